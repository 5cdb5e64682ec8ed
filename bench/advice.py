"""How long advice takes: 10,000 draws of every way, and the whole advice.

    python bench/advice.py [--rounds 20]

Asked for: 10,000 draws in a second. Medians; writes bench/out/advice.json.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import date

from machine import write_result

from steelyard.advise import DEFAULTS, Question, advise, named_scenario, scenario_names
from steelyard.advise.solve import solve
from steelyard.cost import Book


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    book = Book(on=date(2026, 11, 21))
    rows = []
    for name in scenario_names():
        question = Question(named_scenario(name), DEFAULTS, book)
        draws, whole = [], []
        for _ in range(rounds):
            draws.append(seconds(lambda: solve(question, draws=10_000)))  # noqa: B023
            whole.append(seconds(lambda: advise(question)))  # noqa: B023
        rows.append(
            {
                "scenario": name,
                "draws_s": round(statistics.median(draws), 3),
                "advice_s": round(statistics.median(whole), 3),
                "most_s": round(max(whole), 3),
            }
        )
    write_result("advice", {"rounds": rounds, "rows": rows})


if __name__ == "__main__":
    main()
