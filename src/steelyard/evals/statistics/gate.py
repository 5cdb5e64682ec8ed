"""A gate: which gains a candidate must show, and which losses must be ruled out.

Every rule must hold, so none of them needs a correction for the others (intersection-union
test: Berger, Technometrics 1982); what is missing or cannot be told never passes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Better, Comparison, Interval, Verdict

Figures = Mapping[str, Mapping[str, Interval]]

MARGIN = re.compile(r"(?P<measure>\S+?)\s*:\s*(?P<sign>[+-])(?P<size>\d+\.?\d*|\.\d+)(?P<unit>%?)")


@dataclass(frozen=True, slots=True)
class Margin:
    """The largest loss of a measure that is still no loss: `p95_ms:+10%`, `nDCG@10:-0.01`.

    `allowed` is signed: a rise (+) where lower is better, a fall (−) where higher is;
    `relative`: a share of the baseline's figure.
    """

    measure: str
    allowed: float
    relative: bool = False

    @classmethod
    def parse(cls, text: str) -> "Margin":
        """Return the margin that `str` would print.

        Raises:
            InputError: the text is none.
        """
        found = MARGIN.fullmatch(text.strip())
        if found is None or not isfinite(float(found["size"])):
            raise InputError(
                f"no margin in {text!r}: write MEASURE:SIGN NUMBER, with the sign of the loss, "
                "as in 'p95_ms:+10%' or 'nDCG@10:-0.01'"
            )
        relative = bool(found["unit"])
        size = float(found["size"]) / (100 if relative else 1)
        return cls(found["measure"], -size if found["sign"] == "-" else size, relative)

    def __str__(self) -> str:
        size = abs(self.allowed) * (100 if self.relative else 1)
        sign = "+" if self._allows_rise else "-"
        return f"{self.measure}:{sign}{size:.12g}{'%' if self.relative else ''}"

    @property
    def better(self) -> Better:
        """The direction of the measure for which this sign is a loss."""
        return Better.LOWER if self._allows_rise else Better.HIGHER

    @property
    def _allows_rise(self) -> bool:
        return str(self.allowed)[0] != "-"  # −0.0 is a fall of nothing

    def limit(self, baseline: Interval | None) -> float:
        """Return the allowed difference in the measure's own unit; NaN without a baseline."""
        if not self.relative:
            return self.allowed
        return self.allowed * abs(baseline.value) if baseline is not None else float("nan")


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule, whether it held, and the sentence that says by which numbers."""

    rule: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """All rules with their evidence; it passes if every one holds."""

    reasons: tuple[Reason, ...]

    @property
    def passed(self) -> bool:
        return all(reason.passed for reason in self.reasons)


def non_inferior(delta: Interval, margin: float, better: Better) -> bool:
    """Say whether a loss of the size `margin` is ruled out; never by an interval of NaN.

    The interval's worse end lies within the margin: a one-sided test at 2.5 %.
    """
    worst = delta.low if better is Better.HIGHER else -delta.high
    return worst >= -margin if margin == 0 else worst > -margin


def gate(
    comparisons: Sequence[Comparison],
    figures: Figures,
    *,
    candidate: str,
    better: Mapping[str, Better],
    min_delta: Mapping[str, float] | None = None,
    margins: Sequence[Margin] = (),
) -> GateResult:
    """Weigh a candidate against what is demanded of it.

    `min_delta`: the verdict must be better, and the gain at least so large in value (0: any
    gain that is shown; the size counts, whichever direction is better). `margins`: a loss of
    that size must be ruled out. `better` holds each measure's direction.

    Raises:
        InputError: there is no rule, or one that cannot be meant.
    """
    demands = dict(min_delta or {})
    _check_rules(demands, margins, better)
    by_measure = {one.measure: one for one in comparisons if one.candidate == candidate}
    reasons = [_gain(by_measure.get(name), name, least) for name, least in demands.items()]
    reasons += [_no_loss(by_measure.get(margin.measure), margin, figures) for margin in margins]
    return GateResult(tuple(reasons))


def _check_rules(
    demands: Mapping[str, float], margins: Sequence[Margin], better: Mapping[str, Better]
) -> None:
    faults = [
        f"no gain can be demanded as {least!r} of {measure!r}: give a number"
        for measure, least in demands.items()
        if not isfinite(least)
    ]
    faults += [
        f"{str(margin)!r} would allow a gain: {better[margin.measure]} is better for "
        f"{margin.measure!r}, so its margin begins with "
        f"{'-' if better[margin.measure] is Better.HIGHER else '+'!r}"
        for margin in margins
        if better.get(margin.measure, margin.better) is not margin.better
    ]
    if not demands and not margins:
        faults.append("a gate without a rule lets everything pass: give a delta or a margin")
    if faults:
        raise InputError("; ".join(faults))


def _gain(comparison: Comparison | None, measure: str, least: float) -> Reason:
    rule = f"{measure} better by {abs(least):.6g}"
    if comparison is None or comparison.delta.n == 0:
        return Reason(rule, False, _missing(measure, comparison))
    shown = comparison.verdict is Verdict.BETTER
    enough = abs(comparison.delta.value) >= abs(least)
    evidence = (
        f"{measure} changed by {_words(comparison.delta)}, p {comparison.p_holm:.3g} "
        f"({comparison.test}, Holm): {comparison.verdict}"
    )
    if shown and not enough:
        evidence += f", but by less than {abs(least):.6g}"
    return Reason(rule, shown and enough, evidence)


def _no_loss(comparison: Comparison | None, margin: Margin, figures: Figures) -> Reason:
    rule = f"no loss beyond {margin}"
    if comparison is None or comparison.delta.n == 0:
        return Reason(rule, False, _missing(margin.measure, comparison))
    limit = margin.limit(figures.get(comparison.baseline, {}).get(margin.measure))
    held = non_inferior(comparison.delta, abs(limit), margin.better)
    worst = comparison.delta.low if margin.better is Better.HIGHER else comparison.delta.high
    evidence = f"{margin.measure} changed by {_words(comparison.delta)}; "
    if not isfinite(limit):
        evidence += "the baseline has no figure to take a share of"
    elif not isfinite(worst):
        evidence += "the questions are too few to say how large a loss may be"
    else:
        evidence += f"{worst:+.4g} is {'within' if held else 'not within'} {limit:+.4g}"
    return Reason(rule, held, evidence)


def _missing(measure: str, comparison: Comparison | None) -> str:
    if comparison is None:
        return f"{measure} was not measured for this candidate: add it to the measures of the run"
    return f"{measure} applies to no question of both arms"


def _words(delta: Interval) -> str:
    return f"{delta.value:+.4g} [{delta.low:+.4g}, {delta.high:+.4g}] over {delta.n} questions"
