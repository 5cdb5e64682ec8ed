"""An honest small purge target: takes `POST {"keys": [...]}`, or refuses while told to."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 30  # a bound for a hung test, not a measurement


class PurgeTarget:
    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.taken: queue.Queue[set[str]] = queue.Queue()
        self.refused: queue.Queue[set[str]] = queue.Queue()
        self.authorizations: set[str] = set()

    def until(self, key: str) -> set[str]:
        """Return every key taken up to the purge that holds `key`."""
        seen: set[str] = set()
        while key not in seen:
            seen |= self.taken.get(timeout=WAIT_S)
        return seen


@contextmanager
def purge_target() -> Iterator[PurgeTarget]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            target.authorizations.add(self.headers.get("authorization", ""))
            kept = target.taken if target.status == 200 else target.refused
            self.send_response(target.status)
            self.send_header("content-length", "0")
            self.end_headers()
            kept.put(set(body["keys"]))

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    target = PurgeTarget(f"http://127.0.0.1:{server.server_port}/__purge")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
