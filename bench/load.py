"""A small closed-loop load generator: raw HTTP/1.1 on kept-alive loopback connections.

It costs some 0.1 ms a request, so that the server is measured and not the client.
"""

import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Load:
    """What `num_clients` saw. Latencies in ms, sorted."""

    num_clients: int
    per_s: float
    latencies_ms: tuple[float, ...]
    num_errors: int

    def percentile(self, p: float) -> float:
        at = min(int(len(self.latencies_ms) * p / 100), len(self.latencies_ms) - 1)
        return self.latencies_ms[at]

    def row(self) -> dict[str, float | int]:
        return {
            "clients": self.num_clients,
            "per_s": round(self.per_s, 1),
            "p50_ms": round(self.percentile(50), 2),
            "p95_ms": round(self.percentile(95), 2),
            "p99_ms": round(self.percentile(99), 2),
            "mean_ms": round(statistics.fmean(self.latencies_ms), 2),
            "errors": self.num_errors,
        }


async def run_load(
    port: int, path: str, bodies: Sequence[object], *, num_clients: int, num_requests: int
) -> Load:
    """Send `num_requests` POSTs over `num_clients` connections, each waiting for its answer."""
    payloads = [_request(path, body) for body in bodies]
    latencies: list[float] = []
    errors = 0
    left = iter(range(num_requests))

    async def client() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for number in left:
                started = perf_counter()
                writer.write(payloads[number % len(payloads)])
                status = await _response(reader)
                latencies.append((perf_counter() - started) * 1000)
                errors += status != 200
        finally:
            writer.close()

    started = perf_counter()
    await asyncio.gather(*(client() for _ in range(num_clients)))
    took_s = perf_counter() - started
    return Load(num_clients, len(latencies) / took_s, tuple(sorted(latencies)), errors)


def _request(path: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _response(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])
