"""How quick are the verbs of training data, and how many edited questions does `leaks` find?

    python bench/training_data.py [--rows 100000] [--data DATA]

Rows are made: a question of the handbook, words around it drawn by chance, a reply. Prints one JSON
line: rows a second of processor time for reading with all checks, keeping, proving and duplicates
(of a tenth of the rows), seconds for `diff` of two versions, seconds of wall beside them, and the
share of the handbook's questions that `leaks` finds after each edit of its test (5 seeds). With the
folder of large data sets also rows a second of `leaks`: gsm8k's against the questions of squad2.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from steelyard.core.training import Chat, TrainingRow, Turn
from steelyard.datasets.training import (
    deduplicate,
    diff,
    evaluation_questions,
    find_leaks,
    keep,
    read_files,
    read_index,
    read_kept,
    write_training,
)

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "datasets" / "training"))
from test_leaks import EDITS, QUESTIONS  # noqa: E402  (the edits are those that the test makes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    num_rows = options.rows
    report: dict[str, float] = {"rows": num_rows}

    def timed(name: str, call: Callable[[], T], count: int = 0) -> T:
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        report[f"{name}_wall_s"] = round(wall, 2)
        report[f"{name}_rows_per_cpu_s" if count else f"{name}_cpu_s"] = round(
            count / cpu if count else cpu, 0 if count else 2
        )
        return result

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = rows(num_rows)
        path = write_training(home / "rows.jsonl", made, form="openai-chat")
        read = timed("validate", lambda: read_files([path]), num_rows)
        old = timed("keep", lambda: keep(home, read.rows, name="a", recipe={}), num_rows).version
        fewer = read.rows[num_rows // 100 :]
        new = keep(home, fewer, name="b", recipe={}).version
        timed("diff", lambda: diff(read_index(home, old), read_index(home, new)))
        timed("prove", lambda: read_kept(home, old), num_rows)
        some = made[: num_rows // 10]
        timed("dedup", lambda: deduplicate(some), len(some))
    if options.data:
        taught = read_files([options.data / "sft_gsm8k" / "train.jsonl.gz"]).rows
        asked = evaluation_questions(Path("none"), [str(options.data / "squad2")])
        timed("leaks", lambda: list(find_leaks(taught, asked)), len(taught))
    print(json.dumps(report | {"found": {edit.__name__: found(edit) for edit in EDITS}}))


def rows(count: int) -> list[TrainingRow]:
    chance = random.Random(0)
    words = sorted({word for one in QUESTIONS for word in one.text.split()})

    def said(length: int) -> str:
        return " ".join(chance.choices(words, k=length))

    return [
        TrainingRow(
            Chat((Turn("user", f"{n} {said(40)}?"), Turn("assistant", f"It is {n}: {said(50)}.")))
        )
        for n in range(count)
    ]


def found(edit: Callable[[str, random.Random], str]) -> float:
    hits = total = 0
    for seed in range(5):
        chance = random.Random(seed)
        edited = [(edit(one.text, chance), one.text) for one in QUESTIONS]
        asked = {text: TrainingRow(Chat((Turn("user", text),))) for text, _ in edited}
        told = {
            (leak.row.example.turns[0].content, leak.question.text)  # type: ignore[union-attr]
            for leak in find_leaks(asked.values(), QUESTIONS)
        }
        hits += sum(pair in told for pair in edited)
        total += len(edited)
    return round(hits / total, 3)


if __name__ == "__main__":
    main()
