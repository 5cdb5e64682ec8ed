"""How a figure is written: its unit and digits, and which way is better, by its measure's name."""

import math
import re
from functools import cache

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Better, Interval
from steelyard.core.protocols import Measure
from steelyard.evals.measures import parse_measure
from steelyard.evals.measures.retrieval import RetrievalMeasure

_UNITS = {"_ms": "ms", "_usd": "usd", "_tokens": "tokens"}
NONE = "–"


def unit_of(measure: str) -> str:
    """Return ms, usd, tokens, or share (a number from 0 to 1 as a rule)."""
    return next((unit for end, unit in _UNITS.items() if measure.endswith(end)), "share")


def better_of(measure: str) -> Better:
    """Return which way is better; for a measure of another version, as its unit suggests."""
    known = measure_of(measure)
    if known is None:
        return Better.HIGHER if unit_of(measure) == "share" else Better.LOWER
    return known.better


def is_quality(measure: str) -> bool:
    """Tell whether the measure is about the answers, not about what they take."""
    known = measure_of(measure)
    return unit_of(measure) == "share" if known is None else known.quality


def is_retrieval(measure: str) -> bool:
    """Tell whether the measure is about what was found, whatever was answered."""
    return isinstance(measure_of(measure), RetrievalMeasure)


@cache
def measure_of(name: str) -> Measure | None:
    """Return the measure; None: a report of another version names one that is not known here."""
    try:
        return parse_measure(name)
    except InputError:
        return None


def shown(measure: str, value: float) -> str:
    """Return the value with its measure's digits and unit; – where there is none."""
    if not math.isfinite(value):
        return NONE
    unit, size = unit_of(measure), abs(value)
    if unit == "ms":
        digits = 2 if size < 10 else 1 if size < 100 else 0
        return f"{value:,.{digits}f} ms".replace("-", "−")
    if unit == "usd":
        return f"${value:,.{6 if size < 0.01 else 4}f}".replace("$-", "−$")
    text = f"{value:,.0f}" if unit == "tokens" or size >= 1000 else f"{value:.3f}"
    return text.replace("-", "−")


def shown_delta(measure: str, value: float) -> str:
    """Return a difference with its sign; no sign where it rounds to zero."""
    text = shown(measure, value)
    if text == NONE or not re.search(r"[1-9]", text):
        return text.replace("−", "")
    return text if value < 0 else f"+{text}"


def with_interval(measure: str, found: Interval, *, delta: bool = False) -> str:
    """Return `value [low, high]`; the unit stands once, after the value."""
    value = (shown_delta if delta else shown)(measure, found.value)
    return f"{value} {bounds(measure, found, delta=delta)}".rstrip()


def bounds(measure: str, found: Interval, *, delta: bool = False) -> str:
    """Return `[low, high]` without a unit; "" where there is no interval."""
    if not all(math.isfinite(value) for value in (found.value, found.low, found.high)):
        return ""
    write = shown_delta if delta else shown
    low, high = (
        write(measure, end).removesuffix(" ms").replace("$", "") for end in (found.low, found.high)
    )
    return f"[{low}, {high}]"
