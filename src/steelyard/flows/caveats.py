"""What a reader of a report must know to read its figures right: each a note, none a fault."""

from collections.abc import Mapping, Sequence

import numpy as np

from steelyard.core.evaluation import Outcome, Values
from steelyard.core.protocols import Measure
from steelyard.evals.measures.judge import Judgements

NOT_CACHED = ("off", "bypass")
AND_MORE = 3  # names told before "and others"


def caveats(
    outcomes: Mapping[str, Sequence[Outcome]],
    num_reused: Mapping[str, int],
    measures: Sequence[Measure],
    values: Mapping[str, Mapping[str, Values]],
) -> list[str]:
    """Return notes on what arms left out, served again, or were measured beside."""
    notes = [note for arm, told in outcomes.items() for note in _of_arm(arm, told)]
    if any(measure.name.endswith("_ms") for measure in measures):
        notes += _of_times(outcomes, num_reused)
    return notes + _of_nothing(measures, values)


def judge_note(measure: str, arm: str, found: Judgements) -> str:
    """Return how much a judge was asked, how far its votes agree, and what it failed at."""
    told = f"{measure} of {arm}: {found.num_asked - len(found.failures)} judged"
    if found.num_asked > len(found.failures):
        told += f", votes agree on {found.unanimous:.0%}, spread {found.mean_spread:.3f}"
    if found.failures:
        name, reason = next(iter(found.failures.items()))
        told += f"; {len(found.failures)} not judged, as {name!r}: {reason}"
    return told


def _of_arm(arm: str, outcomes: Sequence[Outcome]) -> list[str]:
    notes = []
    lacking = [one.degraded[0] for one in outcomes if one.degraded]
    if lacking:
        notes.append(
            f"{arm}: {len(lacking)} of {len(outcomes)} questions were answered without all of "
            f"its parts, as {lacking[0]!r}; they are asked again by the next run"
        )
    cached = [one.answer.cache for one in outcomes if one.answer is not None]
    if any(how not in NOT_CACHED for how in cached):
        hits = sum(how not in (*NOT_CACHED, "miss") for how in cached)
        notes.append(
            f"{arm}: {hits} of {len(outcomes)} answers came from its cache, which began empty and "
            "was filled in the order of the questions: another order or sample, or a run that was "
            "interrupted, has other hits"
        )
    return notes


def _of_times(
    outcomes: Mapping[str, Sequence[Outcome]], num_reused: Mapping[str, int]
) -> list[str]:
    """Tell of arms whose times were taken in another minute than those of others."""
    if len(set(num_reused.values())) < 2:
        return []
    told = [f"{num} of {len(outcomes[arm])} of {arm}" for arm, num in num_reused.items() if num]
    return [
        f"times were not all taken side by side: those of {', '.join(told)} are of earlier runs, "
        "maybe on a busier machine; --fresh asks all again"
    ]


def _of_nothing(
    measures: Sequence[Measure], values: Mapping[str, Mapping[str, Values]]
) -> list[str]:
    """Tell of measures that no outcome has a value of."""
    names = [
        measure.name
        for measure in measures
        if all(np.isnan(of_arm[measure.name]).all() for of_arm in values.values())
    ]
    if not names:
        return []
    more = " and others" if len(names) > AND_MORE else ""
    return [
        f"{', '.join(names[:AND_MORE])}{more}: no value, as the set has not the gold for it or the "
        "arms do not give what it measures (docs/measures.md)"
    ]
