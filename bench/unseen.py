"""How well is it told how many questions will be new? Ten times as many, on made traffic.

    python bench/unseen.py [--rounds 12]

Questions are drawn from 60 to 5,000 by Zipf laws; from the first 300 or 1,000 the rest of ten times
as many is extrapolated (steelyard/cost/repeats.py). Prints the mean of expected over real new
questions, and how often the real number lay in the range; writes bench/out/unseen.json.
"""

import argparse
from typing import Any

import numpy as np
from machine import write_result

from steelyard.cost import expected_new

POOLS, POWERS, SEEN = (60, 150, 300, 1_000, 5_000), (0.6, 0.8, 1.0, 1.2), (300, 1_000)
TIMES = 10


def measure(pool: int, power: float, seen: int, rounds: int) -> dict[str, Any]:
    shares = 1 / np.arange(1, pool + 1) ** power
    rng = np.random.default_rng([pool, seen, round(power * 10)])
    told, came, inside = [], [], 0
    for _ in range(rounds):
        asked = rng.choice(pool, seen * TIMES, p=shares / shares.sum())
        known, times = np.unique(asked[:seen], return_counts=True)
        found = expected_new(times.tolist(), more=seen * (TIMES - 1))
        new = len(np.unique(asked)) - len(known)
        told.append(found.value)
        came.append(new)
        inside += found.low <= new <= found.high
    return {
        "pool": pool, "power": power, "seen": seen, "new": round(float(np.mean(came)), 1),
        "told_over_new": round(float(np.mean(told) / max(1.0, np.mean(came))), 2),
        "in_range": round(inside / rounds, 2),
        # of all questions to come, how far the share that must be answered is off
        "off_share": round(float(np.mean(told) - np.mean(came)) / (seen * (TIMES - 1)), 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    rounds = parser.parse_args().rounds
    rows = [measure(p, a, n, rounds) for p in POOLS for a in POWERS for n in SEEN]
    write_result("unseen", {"rounds": rounds, "rows": rows}, quiet=True)
    for row in rows:
        print(*(f"{key} {value}" for key, value in row.items()), sep="  ")


if __name__ == "__main__":
    main()
