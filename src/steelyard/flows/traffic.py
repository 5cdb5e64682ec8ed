"""The query log → what a forecast needs of the traffic: volume, peaks, tokens, how often the cache
answers, now and in the months to come."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from steelyard.advise import Arm, Figure, Measured, Scenario, Value
from steelyard.core.chat import SERVED_AGAIN
from steelyard.core.errors import InputError
from steelyard.cost import expected_new
from steelyard.store import UsedAnswer

MIN_ANSWERS = 30
DAY_S, HOUR_S = 86_400.0, 3_600.0
_MONTH_DAYS = 365 / 12
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked in `days` days. Shares and tokens are of answers with a model.

    `hit_ratio` is the share that the cache served; `times` how often each answer that was made
    was given. `peak_factor` None: less than two days were seen.
    """

    num: int
    days: float
    until: str
    questions_per_day: float
    hit_ratio: float
    times: tuple[int, ...]
    peak_factor: float | None
    cached_share: float | None
    prompt_tokens: Figure | None
    answer_tokens: Figure | None

    def hits_to_come(self, more: int) -> tuple[float, float, float]:
        """Return the share of the next `more` questions that the cache will serve, and its range:
        all but those for which an answer will have to be made that was not made before."""
        new = expected_new(self.times, more=more)
        return 1 - new.value / more, 1 - new.high / more, 1 - new.low / more


def traffic_of(rows: Sequence[UsedAnswer]) -> Traffic:
    """Return the traffic of a log, failures left out.

    Raises:
        InputError: fewer than 30 answers, or all within a second.
    """
    good = [row for row in rows if not row.error]
    if len(good) < MIN_ANSWERS:
        raise InputError(
            f"the query log has {len(good)} answers, and {MIN_ANSWERS} are needed to tell the "
            "traffic: ask more, or give the inputs by --set"
        )
    began, ended = min(row.at for row in good), max(row.at for row in good)
    days = (ended - began) / DAY_S
    if days * DAY_S < 1.0:
        raise InputError("all answers of the query log are of one second: no volume can be told")
    made = [row for row in good if row.cache not in SERVED_AGAIN]
    told = [row for row in made if row.prompt_tokens and row.completion_tokens]
    source = f"query log, {len(good)} answers in {days:.2g} days"
    until = datetime.fromtimestamp(ended, UTC).date().isoformat()
    read = [row.prompt_tokens or 0 for row in told]
    written = [row.completion_tokens or 0 for row in told]
    cached = [row.cached_tokens for row in told if row.cached_tokens is not None]
    return Traffic(
        num=len(good),
        days=days,
        until=until,
        questions_per_day=len(good) / days,
        hit_ratio=1 - len(made) / len(good),
        times=_times(good),
        peak_factor=_peak(good, began, ended),
        cached_share=min(1.0, sum(cached) / sum(read))
        if len(cached) == len(told) and read
        else None,
        prompt_tokens=_mean(read, source, until),
        answer_tokens=_mean(written, source, until),
    )


def with_traffic(
    scenario: Scenario, measured: Measured, traffic: Traffic, *, given: Sequence[str] = ()
) -> tuple[Scenario, Measured]:
    """Return a scenario and figures with what the log says in place of what was stated.

    `given` names inputs that the user said: those stay.
    """
    source = f"query log, {traffic.num} answers to {traffic.until}"
    more = max(1, math.ceil(traffic.questions_per_day * _MONTH_DAYS * scenario.choices.months))
    value, low, high = traffic.hits_to_come(more)

    def certain(number: float) -> Value:
        return Value(number, number, number, source)

    found = {
        "questions_per_day": certain(traffic.questions_per_day),
        "hit_ratio": Value(min(0.99, value), min(0.99, low), min(0.99, high), source),
    }
    if traffic.peak_factor is not None:
        found["peak_factor"] = certain(traffic.peak_factor)
    if traffic.cached_share is not None:
        found["cached_share"] = certain(traffic.cached_share)
    values = dict(scenario.values) | {key: one for key, one in found.items() if key not in given}
    arms = dict(measured.arms)
    if traffic.prompt_tokens is not None and Arm.RAG in arms:
        arms[Arm.RAG] = replace(
            arms[Arm.RAG],
            prompt_tokens=traffic.prompt_tokens,
            answer_tokens=traffic.answer_tokens,
        )
    return replace(scenario, values=values), replace(measured, arms=arms)


def _times(rows: Sequence[UsedAnswer]) -> tuple[int, ...]:
    """Return how often each answer that was made was given; where several were made with the same
    words, what was served again is shared out among them."""
    made: Counter[tuple[str, bytes]] = Counter()
    again: Counter[tuple[str, bytes]] = Counter()
    for row in rows:
        (again if row.cache in SERVED_AGAIN else made)[row.collection, row.text] += 1
    found: list[int] = []
    for answer in made:
        each, more = divmod(again[answer], made[answer])
        found += [1 + each + (place < more) for place in range(made[answer])]
    return tuple(found)


def _peak(rows: Sequence[UsedAnswer], began: float, ended: float) -> float | None:
    """Return the busiest whole hour's questions over an hour's mean."""
    hours = math.ceil((ended - began) / HOUR_S)
    if hours < 48:
        return None
    counts = Counter(int((row.at - began) // HOUR_S) for row in rows)
    return max(counts.values()) / (len(rows) / hours)


def _mean(tokens: Sequence[int], source: str, until: str) -> Figure | None:
    if len(tokens) < 2:
        return None
    mean = float(np.mean(tokens))
    half = _Z * float(np.std(tokens, ddof=1)) / math.sqrt(len(tokens))
    return Figure(mean, max(0.0, mean - half), mean + half, source, until)
