"""Questions embedded through the batcher, beside the same embedder without it.

    python bench/batching.py [--rounds 5]

Both embed the same distinct questions with the same sessions and threads, at 1 to 64 askers at
once, in turns within each round. `repeated` asks ten questions over and over: what sharing and
remembering add. Writes bench/out/batching.json.
"""

import argparse
import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any

import data
from machine import write_result

from steelyard.core.ranking import Vector
from steelyard.embed.bert import BertEmbedder
from steelyard.infra.concurrent import Workers, compute, loop_factory
from steelyard.retrieve import QuestionEmbedder

CLIENTS = (1, 2, 8, 32, 64)
NUM = 192

Embed = Callable[[str], Awaitable[Vector]]


async def run(embed: Embed, questions: Sequence[str], *, clients: int) -> dict[str, float]:
    """Embed all questions, `clients` at once; return rate and latencies."""
    took: list[float] = []
    left = iter(questions)

    async def client() -> None:
        for question in left:
            started = perf_counter()
            await embed(question)
            took.append((perf_counter() - started) * 1000)

    started = perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    took.sort()
    return {
        "per_s": len(took) / (perf_counter() - started),
        "p50_ms": took[len(took) // 2],
        "p95_ms": took[int(len(took) * 0.95)],
    }


async def measure(rounds: int) -> list[dict[str, Any]]:
    workers, embedder = Workers(), BertEmbedder()
    titles = data.questions()
    fresh = iter(f"{title} Say it in {n} words." for n in range(10_000) for title in titles)

    def distinct() -> list[str]:
        return [next(fresh) for _ in range(NUM)]

    async def alone(text: str) -> Vector:
        return await compute(workers.query, embedder.embed_query, text)

    rows = []
    for clients in CLIENTS:
        found: dict[str, list[dict[str, float]]] = {"alone": [], "batched": [], "repeated": []}
        for _ in range(rounds):
            batched = QuestionEmbedder(embedder, pool=workers.query)
            found["alone"].append(await run(alone, distinct(), clients=clients))
            found["batched"].append(await run(batched.vector, distinct(), clients=clients))
            again = [title for _ in range(NUM // 10) for title in titles[:10]]
            found["repeated"].append(await run(batched.vector, again, clients=clients))
        row: dict[str, Any] = {"clients": clients}
        for name, runs in found.items():
            row[name] = {key: round(statistics.median(r[key] for r in runs), 2) for key in runs[0]}
        row["ratio"] = round(
            statistics.median(
                b["per_s"] / a["per_s"]
                for a, b in zip(found["alone"], found["batched"], strict=True)
            ),
            3,
        )
        rows.append(row)
        print(row)
    embedder.close()
    workers.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        rows = runner.run(measure(options.rounds))
    write_result("batching", {"rows": rows})


if __name__ == "__main__":
    main()
