"""What an answer costs beside its model server: caches, reranking, overload.

    python bench/latency.py [--quick]

Over the corpus of bench/serving.py and a mock model (50 ms to its first token): the first token
with and without a reranker of 2 layers (random weights: its time is that of any such model),
exact and semantic hits in the server and at the client, and an open loop at twice the rate that
the server can bear. Writes bench/out/latency.json.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import data
from machine import write_result
from servers import MockModel, Server, free_port, row, steelyard
from serving import HOME, PAGES, WHOLE, ingest, rows, write_pages

from rerank import make_model
from steelyard.loadtest import Load, Measured, measure, request_bytes, target_of

TTFT_MS = 50.0
TWICE = 2.0


def distinct(num: int) -> list[str]:
    """Return `num` different questions: nothing that is remembered may help."""
    every = data.distinct_questions()
    if num > len(every):
        raise SystemExit(f"{num} distinct questions were asked for, there are {len(every)}")
    return every[:num]


def send(
    server: Server,
    path: str,
    bodies: Sequence[object],
    *,
    clients: int,
    rate: float = 0.0,
    seconds: float = 60.0,
) -> Measured:
    """Send each body once; the caches may help here."""
    target = target_of(f"http://127.0.0.1:{server.port}", path)
    requests = [request_bytes(target, body) for body in bodies]
    order = list(range(len(requests)))
    return measure(Load(target, requests, order, clients, seconds=seconds, rate=rate))


def serve(*options: str) -> Server:
    port = free_port()
    return Server(
        steelyard("serve", "--home", str(HOME), "--port", str(port), "--json", *WHOLE, *options),
        port,
    )


def first_tokens(llm: str, num: int, *options: str) -> dict[str, Any]:
    """Return what is added to the model server's own first token, one client, no cache."""
    server = serve("--llm-url", llm, "--llm-model", "mock", *options)
    try:
        bodies = [{"query": question, "stream": True} for question in distinct(num + 20)]
        send(server, "/v1/query", bodies[num:], clients=1)  # warm
        summary = send(server, "/v1/query", bodies[:num], clients=1).summary
        first = summary.first_ms
        assert first is not None
        return {
            "num": summary.num_answered,
            "added_p50_ms": round(first.p50 - TTFT_MS, 2),
            "added_p95_ms": round(first.p95 - TTFT_MS, 2),
            "stages_p50_ms": {name: round(q.p50, 2) for name, q in summary.stages_ms.items()},
            "degraded": dict(summary.degraded),
        }
    finally:
        server.stop()


def hits(llm: str, num: int) -> dict[str, Any]:
    """Return the times of exact and semantic hits: `server_` is the server's own total."""
    server = serve("--llm-url", llm, "--llm-model", "mock")
    try:
        asked = distinct(num)
        found: dict[str, Any] = {}
        exact = [{"query": question} for question in asked]
        same = [
            {"query": f"Please tell me: {question[0].lower()}{question[1:]}"} for question in asked
        ]
        send(server, "/v1/query", exact, clients=4)
        for name, bodies in (("exact", exact), ("semantic", same)):
            samples = list(send(server, "/v1/query", bodies, clients=1).samples)
            of_kind = sorted(s.timings_ms["total"] for s in samples if s.cache == name)
            client = sorted(s.total_ms for s in samples if s.cache == name)
            if not of_kind:
                raise SystemExit(f"no {name} hit among {len(samples)} questions")
            at = int(len(of_kind) * 0.95)
            found[name] = {
                "asked": len(samples),
                "hits": len(of_kind),
                "server_p50_ms": round(statistics.median(of_kind), 3),
                "server_p95_ms": round(of_kind[at], 3),
                "client_p50_ms": round(statistics.median(client), 3),
                "client_p95_ms": round(client[at], 3),
            }
        return found
    finally:
        server.stop()


def overload(num: int) -> dict[str, Any]:
    """Return goodput and latencies of searches at capacity, and at twice that rate."""
    server = serve()
    try:
        bodies = [{"query": question, "k": 10} for question in distinct(num)]
        fresh = {"query": "warm", "k": 10}
        send(server, "/v1/search", [fresh] * 20, clients=2)
        closed = send(server, "/v1/search", bodies[: num // 4], clients=64)
        capacity = closed.summary.per_s
        found = {"capacity_per_s": round(capacity, 1)}
        rest = bodies[num // 4 :]
        for name, factor, part in (
            ("at_capacity", 1.0, rest[: len(rest) // 3]),
            ("at_twice", TWICE, rest[len(rest) // 3 :]),
        ):
            measured = send(
                server, "/v1/search", part, clients=512, rate=factor * capacity, seconds=60.0
            )
            rejected = measured.summary.rejected_ms
            found[name] = {
                **row(measured, clients=512),
                "rejected_p50_ms": None if rejected is None else round(rejected.p50, 2),
                "rejected_p95_ms": None if rejected is None else round(rejected.p95, 2),
            }
        return found
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer questions")
    options = parser.parse_args()
    num = 60 if options.quick else 200
    if not (HOME / "steelyard.db").exists():
        write_pages(PAGES, rows())
        ingest(PAGES, HOME)
    result: dict[str, Any] = {"quick": options.quick}
    with MockModel(ttft_ms=TTFT_MS) as llm, tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "reranker", layers=2)
        result["without_rerank"] = first_tokens(llm.url, num)
        rerank = ("--set", f"rerank.model={model}", "--set", "rerank.max_tokens=128")
        result["with_rerank"] = first_tokens(llm.url, num, *rerank)
        result["hits"] = hits(llm.url, num)
    result["overload"] = overload(400 if options.quick else 1400)
    write_result("latency", result)


if __name__ == "__main__":
    main()
