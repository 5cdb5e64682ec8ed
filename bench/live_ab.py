"""Does a live comparison that is looked at all the time rule out the truth as rarely as it says?

    nice python bench/live_ab.py [--seconds 50] [--users 400] [--questions 2000]

Users differ, and a few of them ask most of the questions (Zipf); half of them see the challenger.
Every 100 questions somebody looks, as `steelyard eval ab` does: each user counts by the mean of
what was asked so far, so that a user who asks on moves a value that was looked at before. Of a
challenger that is no other (A/A) and of one that is better by `--gain`: how often 0 was ruled out
at any look; the share of last intervals that hold the truth; bench/out/live_ab.json.
"""

import argparse
from time import monotonic
from typing import Any

import numpy as np
from machine import write_result
from numpy.typing import NDArray

from steelyard.evals.statistics import LiveInterval, by_user, confidence_sequence

LOOK_EVERY = 100
SHARE = 0.5


def traffic(rng: np.random.Generator, num_users: int, num_questions: int) -> NDArray[np.int64]:
    """Return who asks each question; the first user asks most."""
    drawn = rng.zipf(1.3, num_questions * 4)
    return np.asarray(drawn[drawn <= num_users][:num_questions] - 1, dtype=np.int64)


def looks(
    rng: np.random.Generator, *, gain: float, num_users: int, num_questions: int
) -> list[LiveInterval]:
    """Return what each look at one comparison shows."""
    rates = rng.beta(2, 2, num_users) * (1 - gain)
    treated = rng.random(num_users) < SHARE
    who = traffic(rng, num_users, num_questions)
    values = (rng.random(len(who)) < rates[who] + gain * treated[who]).astype(float)
    names, arms = [str(user) for user in who], treated[who].tolist()
    found = []
    for n in range(LOOK_EVERY, len(who) + 1, LOOK_EVERY):
        users = by_user(names[:n], arms[:n], values[:n].tolist())
        found.append(confidence_sequence(users.values_U, users.treated_U, share=SHARE))
    return found


def measure(gain: float, options: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    until = monotonic() + options.seconds / 2
    num = ruled_out = held = num_looks = 0
    while monotonic() < until:
        found = looks(rng, gain=gain, num_users=options.users, num_questions=options.questions)
        num += 1
        num_looks += len(found)
        ruled_out += any(one.low > 0 or one.high < 0 for one in found)
        held += found[-1].low <= gain <= found[-1].high
    return {
        "gain": gain,
        "experiments": num,
        "looks": num_looks,
        "zero_ruled_out": ruled_out / num,
        "last_interval_holds_the_truth": held / num,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=50)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--questions", type=int, default=2_000)
    parser.add_argument("--gain", type=float, default=0.3)
    options = parser.parse_args()
    rows = [measure(gain, options) for gain in (0.0, options.gain)]
    write_result("live_ab", {"options": vars(options), "rows": rows})


if __name__ == "__main__":
    main()
