"""The query log of a live comparison → both sides' figures, and what they allow to say.

One may look whenever one likes: the intervals hold at all times at once, and for all measures
together (95 %). Errors are shared within a user; each user counts as one, by the mean of what
was asked, in the order of first questions. Strictly, looking often is covered for users whose
answers are all in; a user who asks on moves a little within the interval.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from steelyard.core.errors import NotFound
from steelyard.core.evaluation import Better, Values, Verdict
from steelyard.evals.statistics import (
    LiveInterval,
    by_user,
    confidence_sequence,
    ratio_mismatch,
    users_for,
)
from steelyard.flows.sides import CHALLENGER, CHAMPION
from steelyard.store import Experiment, Exposure, Store

ALPHA = 0.05  # of any false alarm, over all looks and all measures
BROKEN_SPLIT = 0.001
LONGEST_MS = 5_000.0  # a longer wait counts as this one: a mean needs a bound to be sure of
MIN_SHARE = 0.02
MIN_MS = 50.0


@dataclass(frozen=True, slots=True)
class LiveMeasure:
    """What a question counts as, from 0 to `high`. `least` is the difference that matters."""

    name: str
    meaning: str
    better: Better
    score: Callable[[Exposure], float]
    high: float = 1.0
    least: float = MIN_SHARE


MEASURES = (
    LiveMeasure(
        "up", "answers rated up", Better.HIGHER, lambda one: float(one.rating == "up")
    ),
    LiveMeasure(
        "down", "answers rated down", Better.LOWER, lambda one: float(one.rating == "down")
    ),
    LiveMeasure(
        "answered",
        "questions that got an answer of the side's own",
        Better.HIGHER,
        lambda one: float(one.answerable and not one.failed),
    ),
    LiveMeasure(
        "unsupported",
        "answers with a sentence that no source supports, and failures",
        Better.LOWER,
        lambda one: float(one.unsupported or one.failed),
    ),
    LiveMeasure("failed", "failures", Better.LOWER, lambda one: float(one.failed)),
    LiveMeasure(
        "mean_ms",
        f"what askers waited, at most {LONGEST_MS:g} ms each",
        Better.LOWER,
        lambda one: min(max(one.total_ms, 0.0), LONGEST_MS),
        high=LONGEST_MS,
        least=MIN_MS,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SideFigures:
    """One side as the log has it. Shares and times are of questions; None: of none."""

    side: str
    bundle: str
    num_users: int
    num_questions: int
    num_up: int
    num_down: int
    shares: Mapping[str, float | None]
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger − champion of one measure: `value` of the users' means (NaN: one side has none),
    `found` with its interval. About `num_needed` users in all would show a difference that
    matters; None: enough are there, or too few to tell."""

    measure: LiveMeasure
    value: float
    found: LiveInterval
    verdict: Verdict | None
    num_needed: int | None


@dataclass(frozen=True, slots=True)
class AbReport:
    """`split_p` is the chance of so uneven a split; where it is `broken`, no verdict is given."""

    experiment: Experiment
    champion: SideFigures
    challenger: SideFigures
    split_p: float
    broken: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def live_report(store: Store, name: str = "", *, min_share: float = MIN_SHARE) -> AbReport:
    """Return how a comparison stands; the one opened last, of that name if one is given. Blocking.

    Raises:
        NotFound: there was no comparison, or none of that name.
    """
    experiment = _experiment(store.experiments(), name)
    whole_since = store.log_is_whole_since()
    exposures = [one for one in store.exposures(experiment.key) if one.at >= whole_since]
    exposures, num_both = _on_one_side(exposures)
    sides = [_figures(experiment, exposures, side) for side in (CHAMPION, CHALLENGER)]
    share = experiment.share
    split_p = (
        ratio_mismatch(sides[1].num_users, sides[0].num_users, share=share) if share > 0 else 1.0
    )
    broken = split_p < BROKEN_SPLIT
    measures = MEASURES if share > 0 else ()
    return AbReport(
        experiment=experiment,
        champion=sides[0],
        challenger=sides[1],
        split_p=split_p,
        broken=broken,
        differences=tuple(
            _difference(one, exposures, share, min_share=min_share, broken=broken)
            for one in measures
        ),
        notes=tuple(_notes(store, experiment, whole_since, num_both)),
    )


def _experiment(known: Sequence[Experiment], name: str) -> Experiment:
    for one in known:
        if name in ("", one.name):
            return one
    if known:
        names = ", ".join(dict.fromkeys(repr(one.name) for one in known))
        raise NotFound(f"no live comparison is called {name!r}; there are {names}")
    raise NotFound(
        "there is no live comparison yet; start one by "
        "`steelyard serve --set serve.challenger=FILE` (docs/live.md)"
    )


def _on_one_side(exposures: Sequence[Exposure]) -> tuple[list[Exposure], int]:
    """Return the questions of users who saw one side, and how many users saw both."""
    sides: dict[str, set[bool]] = {}
    for one in exposures:
        sides.setdefault(one.user, set()).add(one.challenger)
    both = {user for user, seen in sides.items() if len(seen) > 1}
    return [one for one in exposures if one.user not in both], len(both)


def _figures(experiment: Experiment, exposures: Sequence[Exposure], side: str) -> SideFigures:
    is_challenger = side == CHALLENGER
    own = [one for one in exposures if one.challenger is is_challenger]
    waits_ms = np.array([one.total_ms for one in own])
    shares = {
        measure.name: float(np.mean([measure.score(one) for one in own])) if own else None
        for measure in MEASURES
    }
    p50_ms, p95_ms = np.quantile(waits_ms, (0.5, 0.95)) if own else (None, None)
    return SideFigures(
        side=side,
        bundle=experiment.challenger if is_challenger else experiment.champion,
        num_users=len({one.user for one in own}),
        num_questions=len(own),
        num_up=sum(one.rating == "up" for one in own),
        num_down=sum(one.rating == "down" for one in own),
        shares=shares,
        p50_ms=None if p50_ms is None else round(float(p50_ms), 3),
        p95_ms=None if p95_ms is None else round(float(p95_ms), 3),
    )


def _difference(
    measure: LiveMeasure,
    exposures: Sequence[Exposure],
    share: float,
    *,
    min_share: float,
    broken: bool,
) -> Difference:
    alpha = ALPHA / len(MEASURES)
    users = by_user(
        [one.user for one in exposures],
        [one.challenger for one in exposures],
        [measure.score(one) for one in exposures],
    )
    found = confidence_sequence(
        users.values_U,
        users.treated_U,
        share=share,
        high=measure.high,
        alpha=alpha,
    )
    least = measure.least if measure.high > 1 else min_share
    verdict = None if broken else _verdict(found, measure.better, least)
    needed = users_for(
        users.values_U, users.treated_U, least=least, share=share, high=measure.high, alpha=alpha
    )
    return Difference(
        measure=measure,
        value=_mean(users.values_U[users.treated_U]) - _mean(users.values_U[~users.treated_U]),
        found=found,
        verdict=verdict,
        num_needed=needed if verdict is Verdict.UNDERPOWERED else None,
    )


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else nan


def _verdict(found: LiveInterval, better: Better, least: float) -> Verdict:
    """Return what an interval allows to say of a difference."""
    if found.low > 0 or found.high < 0:
        higher = found.low > 0
        return Verdict.BETTER if higher is (better is Better.HIGHER) else Verdict.WORSE
    within = found.low >= -least and found.high <= least
    return Verdict.NO_EVIDENCE if within else Verdict.UNDERPOWERED


def _notes(store: Store, experiment: Experiment, whole_since: float, num_both: int) -> list[str]:
    notes = []
    if experiment.share == 0:
        notes.append("the share is 0: nobody sees the challenger; raise serve.challenger_share")
    if num_both:
        notes.append(f"{num_both} users were seen on both sides and are left out")
    if experiment.started_at < whole_since:
        notes.append(
            "the log no longer reaches back to the beginning of this comparison: the figures are "
            "of what is left, and its intervals hold for one look"
        )
    if outside := store.num_unassigned(max(experiment.started_at, whole_since)):
        notes.append(
            f"{outside:,} questions since then were on no side: they named no user, or came by "
            "GET /v1/query or from a server without this comparison"
        )
    return notes


def live_json(report: AbReport) -> dict[str, object]:
    """Return a report as JSON; numbers that are not known are null."""
    experiment = report.experiment
    return {
        "experiment": experiment.name,
        "share": experiment.share,
        "started_at": experiment.started_at,
        "sides": [_side_json(side) for side in (report.champion, report.challenger)],
        "split": {"p": report.split_p, "broken": report.broken},
        "differences": [_difference_json(one) for one in report.differences],
        "notes": list(report.notes),
    }


def _side_json(side: SideFigures) -> dict[str, object]:
    return {
        "side": side.side,
        "bundle": side.bundle,
        "users": side.num_users,
        "questions": side.num_questions,
        "rated_up": side.num_up,
        "rated_down": side.num_down,
        **side.shares,
        "p50_ms": side.p50_ms,
        "p95_ms": side.p95_ms,
    }


def _difference_json(one: Difference) -> dict[str, object]:
    found = one.found
    return {
        "measure": one.measure.name,
        "meaning": one.measure.meaning,
        "better": one.measure.better.value,
        "delta": None if one.value != one.value else one.value,
        "low": found.low,
        "high": found.high,
        "users": found.num_users,
        "shown_after_users": found.shown_after,
        "users_needed": one.num_needed,
        "verdict": one.verdict.value if one.verdict else None,
    }
