"""An origin that counts: one answer with a tag, surrogate keys and a gate."""

import hashlib
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class CountingOrigin:
    """`text` is what it answers; a request takes it on arrival and then waits for `gate`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.text = "old"
        self.control = "public, max-age=0, must-revalidate, s-maxage=300"
        self.gate = threading.Event()
        self.gate.set()
        self.asked: queue.Queue[str] = queue.Queue()
        self.num_asked = 0


@contextmanager
def counting_origin() -> Iterator[CountingOrigin]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            text = origin.text
            origin.num_asked += 1
            origin.asked.put(self.path)
            origin.gate.wait(timeout=60)
            tag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
            holds = self.headers.get("if-none-match") == tag
            self.send_response(304 if holds else 200)
            self.send_header("etag", tag)
            self.send_header("cache-control", origin.control)
            self.send_header("surrogate-key", "steelyard c1 d1")
            if not holds:
                self.send_header("content-length", str(len(text)))
            self.end_headers()
            if not holds:
                self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    origin = CountingOrigin(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield origin
    finally:
        origin.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
