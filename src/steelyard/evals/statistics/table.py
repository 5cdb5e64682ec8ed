"""The values that are weighed, by arm and measure, and whether they fit together."""

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Values
from steelyard.core.protocols import Measure

FEWEST_RESAMPLES = 100
Arms = Mapping[str, Mapping[str, Values]]  # (N,) each


def check_options(min_effects: Mapping[str, float], *, resamples: int, seed: int | None) -> None:
    """See that what was asked for can be meant.

    Raises:
        InputError: all that cannot, at once.
    """
    faults = [
        f"the smallest difference of {name!r} that matters cannot be {effect!r}: give 0 or more"
        for name, effect in min_effects.items()
        if not 0 <= effect < inf
    ]
    if resamples < FEWEST_RESAMPLES:
        faults.append(f"{resamples} resamples make no interval: draw {FEWEST_RESAMPLES} or more")
    if seed is not None and seed < 0:
        faults.append(f"a seed is 0 or more, not {seed}")
    if faults:
        raise InputError("; ".join(faults))


def checked(
    values: Arms, measures: Sequence[Measure], *, baseline: str, num_items: int
) -> dict[str, dict[str, Values]]:
    """Return the values as float arrays, infinite ones as NaN.

    Raises:
        InputError: the baseline or values are missing, or their numbers differ; all at once.
    """
    faults = []
    if baseline not in values:
        faults.append(f"no arm {baseline!r} to be the baseline: there are {sorted(values)}")
    table: dict[str, dict[str, Values]] = {}
    for arm, by_measure in values.items():
        table[arm] = {}
        for measure in measures:
            if measure.name not in by_measure:
                faults.append(f"arm {arm!r} has no values of {measure.name!r}")
                continue
            values_N = np.asarray(by_measure[measure.name], dtype=np.float64)
            if values_N.shape != (num_items,):
                faults.append(
                    f"arm {arm!r} has values of shape {values_N.shape} of {measure.name!r}, "
                    f"not one for each of {num_items} questions"
                )
            table[arm][measure.name] = np.where(np.isfinite(values_N), values_N, np.nan)
    if faults:
        raise InputError("; ".join(faults))
    return table
