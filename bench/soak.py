"""Does memory grow with the number of questions? A live server, asked distinct questions.

    python bench/soak.py [--queries 100000] [--clients 4] [--home DIR] [--set KEY=VALUE]

Resident memory of the server process after 1,000 questions and at ten points up to the last; the
ratio of the last to the first is to stay below 1.05. The answer cache is on and small
(`cache.max_entries=200`), so that it is full at the first reading. Writes bench/out/soak.json.
"""

import argparse
import http
import http.client
import json
import random
import re
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import write_result
from serving import Server, free_port, steelyard

HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"
FIRST = 1_000
SETTLE_S = 3.0  # what runs behind an answer (its log entry) ends before a reading
FORMS = (
    "What does the handbook say about {} and {}?",
    "How do {} and {} go together?",
    "Who decides about {} when {} is late?",
    "Is there a limit for {} with {}?",
)


def questions(num: int, *, seed: int = 7) -> Iterator[str]:
    """Yield `num` distinct questions made of the handbook's own words."""
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(HANDBOOK.rglob("*.md")))
    words = sorted(set(re.findall(r"[A-Za-z][a-z]{4,}", text)))
    rng = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < num:
        asked = rng.choice(FORMS).format(*rng.sample(words, 2))
        if asked not in seen:
            seen.add(asked)
            yield asked


def get(server: Server, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as response:
        told: dict[str, Any] = json.load(response)
        return told


def reading(server: Server, num_asked: int) -> dict[str, Any]:
    """Return what the server process holds now; `anon_mb` leaves out files that it maps."""
    time.sleep(SETTLE_S)
    folder = Path(f"/proc/{server.process.pid}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text("ascii").splitlines()
    )

    def megabytes(name: str) -> float:
        return round(int(status[name].split()[0]) / 1024, 1)

    now = {
        "queries": num_asked,
        "rss_mb": megabytes("VmRSS"),
        "anon_mb": megabytes("RssAnon"),
        "threads": int(status["Threads"]),
        "files": len(list((folder / "fd").iterdir())),
    }
    print(json.dumps(now), flush=True)
    return now


def ask_all(port: int, bodies: Sequence[dict[str, str]], *, num_clients: int) -> int:
    """Ask every question, each client over one connection; return how many failed."""
    waiting = iter(bodies)
    lock = threading.Lock()
    failed: list[object] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                body = next(waiting, None)
            if body is None:
                break
            try:
                connection.request(
                    "POST", "/v1/query", json.dumps(body), {"content-type": "application/json"}
                )
                response = connection.getresponse()
                response.read()
                if response.status != http.HTTPStatus.OK:
                    failed.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)
                connection.close()
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(num_clients)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return len(failed)


def soak(server: Server, num_queries: int, num_clients: int) -> dict[str, Any]:
    asked = questions(num_queries)
    steps = [FIRST] + [round((num_queries - FIRST) / 10)] * 10
    readings, errors, done, rates = [], 0, 0, []
    for step in steps:
        bodies = [{"query": question} for _, question in zip(range(step), asked, strict=False)]
        if not bodies:
            break
        started = time.perf_counter()
        errors += ask_all(server.port, bodies, num_clients=num_clients)
        done += len(bodies)
        rates.append(round(len(bodies) / (time.perf_counter() - started), 1))
        readings.append(reading(server, done))
    first, last = readings[0], readings[-1]
    return {
        "readings": readings,
        "per_s": rates,
        "errors": errors,
        "ratio": round(last["rss_mb"] / first["rss_mb"], 4),
        "ratio_anon": round(last["anon_mb"] / first["anon_mb"], 4),
        "asked_ratio": 1.05,
    }


def run(home: Path, args: argparse.Namespace, sets: Sequence[str]) -> dict[str, Any]:
    words = [word for one in sets for word in ("--set", one)]
    port = free_port()
    command = steelyard("serve", "--home", str(home), "--port", str(port), *words, str(HANDBOOK))
    server = Server(command, port)
    try:
        while get(server, "/v1/status")["states"].get("searchable", 0) < 60:
            time.sleep(0.5)
        result = soak(server, args.queries, args.clients)
        told = get(server, "/v1/operations?window_s=300")
        return {**result, "settings": list(sets), "cache": told["cache"], "stages": told["stages"]}
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    args = parser.parse_args()
    if args.queries < 2 * FIRST:
        parser.error(f"--queries {args.queries} is too few; ask {2 * FIRST} or more")
    sets = ["cache.max_entries=200", *args.sets]
    with tempfile.TemporaryDirectory() as folder:
        result = run(args.home or Path(folder), args, sets)
    write_result("soak", result)


if __name__ == "__main__":
    main()
