"""Is a predicted cost what is metered afterwards? The handbook's traffic, predicted from a tenth.

    python bench/cost_replay.py [--requests 3000] [--seed 1]

A server over the handbook, a mock model of a priced name behind it, and three kinds of traffic,
each on a home of its own: `distinct` (no question twice), `handbook` (its 142 questions, asked as
often as a Zipf law of power 1 says) and `worded` (the same, each in six wordings). The first tenth
of the query log is what `steelyard advise --from-log` would see; the model's cost of the rest is
predicted from it by the cost model's own cells, and compared with what the meter says of the rest.
Asked for: within 10 %. Writes bench/out/cost_replay.json.
"""

import argparse
import itertools
import json
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from machine import write_result
from servers import MockModel, Server, free_port, steelyard

from steelyard.advise import DEFAULTS, Arm, Scenario
from steelyard.advise.draws import Inputs
from steelyard.advise.model import Option, Runs, weigh
from steelyard.cost import Book, Used, answer_bill
from steelyard.flows.traffic import traffic_of, with_traffic
from steelyard.store import DATABASE, Store, UsedAnswer

HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"
MODEL = "gpt-6-luna"
WORDINGS = (
    "{}", "Please tell me: {}", "I would like to know this. {}", "Quick question: {}",
    "{} Thank you.", "A colleague asks: {}",
)  # fmt: skip


def own_questions() -> list[str]:
    lines = (HANDBOOK / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def distinct(chance: random.Random) -> Iterator[str]:
    """Yield questions of the handbook's words, none twice."""
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(HANDBOOK.rglob("*.md")))
    words = sorted(set(re.findall(r"[A-Za-z][a-z]{4,}", text)))
    pairs = list(itertools.combinations(words, 2))
    for one, other in chance.sample(pairs, 20_000):
        yield f"What does the handbook say about {one} and {other}?"


def traffic(kind: str, num: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    if kind == "distinct":
        return list(itertools.islice(distinct(chance), num))
    pool = own_questions()
    if kind == "worded":
        pool = [wording.format(text) for text in pool for wording in WORDINGS]
    chance.shuffle(pool)
    shares = [1 / rank for rank in range(1, len(pool) + 1)]
    return chance.choices(pool, shares, k=num)


def served(kind: str, questions: list[str], folder: Path) -> list[UsedAnswer]:
    """Ask all, and return what the log says of them, the oldest first."""
    home, port = folder / kind, free_port()
    # A home that is still growing finds more each minute, and forgets what it answered before.
    subprocess.run(steelyard("--home", str(home), "ingest", str(HANDBOOK)), check=True)
    with MockModel(ttft_ms=1, tokens_per_s=5_000, tokens=60, model=MODEL) as model:
        words = steelyard(
            "--home", str(home), "serve", "--port", str(port),
            "--llm-url", model.url, "--llm-model", MODEL,
        )  # fmt: skip
        server = Server(words, port)
        try:
            for text in questions:
                server.post("/v1/query", {"query": text, "stream": False})
        finally:
            server.stop()
    with Store.open(home / DATABASE) as store:
        return store.used_answers()


def predicted(first: list[UsedAnswer], more: int, book: Book) -> dict[str, float]:
    """Return the model's cost of `more` questions to come, with the range of its cache's hits."""
    found = traffic_of(first)
    scenario = Scenario.read({"api_model": MODEL})
    scenario, measured = with_traffic(scenario, DEFAULTS, found)
    inputs = Inputs(scenario, measured, book)
    weighed = weigh(inputs, Option(Arm.RAG, Runs.API))
    month, asked = weighed.parts["model tokens"].value[0, 0], weighed.questions.value[0, 0]
    each = month / (asked * (1 - scenario["hit_ratio"].value))
    value, low, high = found.hits_to_come(more)
    return {
        "hits": value,
        "usd": float(each * more * (1 - value)),
        "low_usd": float(each * more * (1 - high)),
        "high_usd": float(each * more * (1 - low)),
    }


def metered(rows: list[UsedAnswer], book: Book) -> dict[str, float]:
    bills = [
        answer_bill(
            Used(row.model, row.prompt_tokens, row.completion_tokens, row.cached_tokens), book
        )
        for row in rows
    ]
    costs = [bill.usd for bill in bills]
    assert all(cost is not None for cost in costs), {bill.unknown for bill in bills}
    again = sum(row.prompt_tokens == 0 for row in rows)
    return {"hits": again / len(rows), "usd": float(np.sum(costs))}


def measure(kind: str, num: int, seed: int, folder: Path) -> dict[str, Any]:
    rows = served(kind, traffic(kind, num, seed), folder)
    assert len(rows) == num, f"{len(rows)} of {num} answers are in the log"
    tenth, book = num // 10, Book(on=date(2026, 11, 21))
    told = predicted(rows[:tenth], num - tenth, book)
    came = metered(rows[tenth:], book)
    return {
        "traffic": kind, "seed": seed, "questions": num, "predicted": told, "metered": came,
        "off": told["usd"] / came["usd"] - 1,
        "within_its_range": told["low_usd"] <= came["usd"] <= told["high_usd"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="distinct,handbook,worded")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="steelyard-cost-"))
    try:
        rows = [
            measure(kind, arguments.requests, arguments.seed, folder)
            for kind in arguments.kinds.split(",")
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write_result("cost_replay", {"arguments": vars(arguments), "rows": rows}, quiet=True)
    for row in rows:
        print(
            f"{row['traffic']:<9} predicted {row['predicted']['usd']:.4f} "
            f"[{row['predicted']['low_usd']:.4f}, {row['predicted']['high_usd']:.4f}] USD, metered "
            f"{row['metered']['usd']:.4f}: {row['off']:+.1%}; hits {row['predicted']['hits']:.2f} "
            f"and {row['metered']['hits']:.2f}"
        )


if __name__ == "__main__":
    main()
