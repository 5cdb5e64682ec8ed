"""Two arms question by question, of one run or of two runs on the same questions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import QuestionSet, Report, Values
from steelyard.evals.report.figures import NONE, shown, shown_delta
from steelyard.evals.report.verdicts import gain

ORDERS = ("loss", "win", "change", "set")


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of one run."""

    report: Report
    arm: str

    def __post_init__(self) -> None:
        if self.arm not in self.report.values:
            known = ", ".join(self.report.values)
            raise NotFound(f"run {self.report.id!r} has no arm {self.arm!r}; it has {known}")

    @property
    def measures(self) -> Mapping[str, Values]:
        return self.report.values[self.arm]

    @property
    def place(self) -> str:
        """Return `RUN:ARM`, as the command line names it."""
        return f"{self.report.id}:{self.arm}"


def _common(one: Side, other: Side) -> tuple[list[int], list[int]]:
    """Return where the questions that both runs asked stand in each."""
    places = {identity: place for place, identity in enumerate(other.report.question_ids)}
    here = [n for n, identity in enumerate(one.report.question_ids) if identity in places]
    return here, [places[one.report.question_ids[n]] for n in here]


def item_rows(
    candidate: Side,
    baseline: Side | None,
    questions: QuestionSet,
    *,
    measure: str,
    order: str,
) -> list[dict[str, Any]]:
    """Return the questions of the candidate's run in an order, with both arms' values.

    Raises:
        InputError: no such measure or order.
    """
    if order not in ORDERS:
        raise InputError(f"order={order!r} is none of {', '.join(ORDERS)}")
    if measure not in candidate.measures:
        known = ", ".join(candidate.measures)
        raise InputError(f"run {candidate.report.id!r} did not measure {measure!r}, only {known}")
    texts = {question.id: question for question in questions.questions}
    values = candidate.measures[measure]
    starts = _starts(candidate, baseline, measure)
    gains = np.array([gain(measure, float(v)) for v in values - starts])
    failed = {arm.name: arm.failures for arm in candidate.report.arms}[candidate.arm]
    rows = []
    for place in _ordered(gains, order):
        identity = candidate.report.question_ids[place]
        known_question = texts.get(identity)
        value, start = float(values[place]), float(starts[place])
        rows.append({
            "id": identity,
            "text": identity if known_question is None else known_question.text,
            "type": "" if known_question is None else known_question.type,
            "value": shown(measure, value),
            "baseline": NONE if baseline is None else shown(measure, start),
            "delta": NONE if baseline is None else shown_delta(measure, value - start),
            "kind": _kind(float(gains[place])) if baseline else "",
            "failed": failed.get(identity, ""),
        })  # fmt: skip
    return rows


def _starts(candidate: Side, baseline: Side | None, measure: str) -> Values:
    """Return the baseline's values where the candidate's questions stand; NaN: not asked."""
    starts = np.zeros(len(candidate.report.question_ids))
    if baseline is None:
        return starts
    starts[:] = math.nan
    found = baseline.measures.get(measure)
    if found is not None:
        here, there = _common(candidate, baseline)
        starts[here] = found[there]
    return starts


def _ordered(gains: Values, order: str) -> Sequence[int]:
    if order == "set":
        return range(len(gains))
    key = {"loss": gains, "win": -gains, "change": -np.abs(gains)}[order]
    return [int(place) for place in np.argsort(key, kind="stable")]  # NaN comes last


def _kind(gained: float) -> str:
    return "gain" if gained > 0 else "loss" if gained < 0 else ""
