"""What a report says, in words: one plain sentence an arm, fit for every door."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.evaluation import Better, Comparison, Report, Verdict
from steelyard.evals.report.figures import better_of, is_quality, shown, with_interval

SYMBOLS = {
    Verdict.BETTER: "▲",
    Verdict.WORSE: "▼",
    Verdict.NO_EVIDENCE: "=",
    Verdict.UNDERPOWERED: "?",
}
_LEADS = {
    Verdict.BETTER: "better in",
    Verdict.WORSE: "worse in",
    Verdict.NO_EVIDENCE: "no evidence of a difference in",
    Verdict.UNDERPOWERED: "too few questions to tell in",
}
MIXED = "mixed"
BASELINE = "baseline"
NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class ArmVerdict:
    """`overall` is a `Verdict`'s value over the measures of quality (all, where none is one),
    or `mixed`, `baseline` or `not compared`; `text` is the sentence."""

    arm: str
    overall: str
    text: str


def weighed(report: Report) -> list[Comparison]:
    """Return the comparisons in which both arms had figures for some question."""
    return [one for one in report.comparisons if one.delta.n and math.isfinite(one.delta.value)]


def baseline_of(report: Report) -> str:
    """Return the arm that most comparisons start from, else the first; "" without arms."""
    starts = [one.baseline for one in report.comparisons]
    if starts:
        return max(dict.fromkeys(starts), key=starts.count)
    return report.arms[0].name if report.arms else ""


def arm_verdicts(report: Report) -> list[ArmVerdict]:
    """Return one verdict an arm, in the report's order."""
    baseline = baseline_of(report)
    return [_arm_verdict(report, arm.name, baseline) for arm in report.arms]


def _arm_verdict(report: Report, arm: str, baseline: str) -> ArmVerdict:
    starts = dict.fromkeys(one.baseline for one in report.comparisons if one.candidate == arm)
    if not starts:
        if arm == baseline and report.comparisons:
            return ArmVerdict(arm, BASELINE, f"{arm} is the baseline.")
        return ArmVerdict(arm, NOT_COMPARED, f"{arm} was measured and compared with nothing.")
    found = [one for one in weighed(report) if one.candidate == arm]
    sentences = []
    for start in starts:
        clauses = _clauses([one for one in found if one.baseline == start])
        told = f"{arm} against {start}: {'; '.join(clauses)}."
        sentences.append(told if clauses else f"{arm} and {start} have no measure in common.")
    return ArmVerdict(arm, overall(found), " ".join(sentences))


def _clauses(found: Sequence[Comparison]) -> list[str]:
    clauses = []
    for verdict, lead in _LEADS.items():
        these = [one for one in found if one.verdict is verdict]
        if these:
            clauses.append(f"{lead} {_listed([_evidence(one) for one in these])}")
    return clauses


def _evidence(one: Comparison) -> str:
    if one.verdict is Verdict.UNDERPOWERED:
        enough = f" (about {one.n_needed:,} would do)" if one.n_needed else ""
        return one.measure + enough
    if (
        one.verdict is Verdict.NO_EVIDENCE
        and one.delta.value == one.delta.low == one.delta.high == 0
    ):
        return f"{one.measure} (equal)"
    return f"{one.measure} ({with_interval(one.measure, one.delta, delta=True)})"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def overall(comparisons: Sequence[Comparison]) -> str:
    """Return what several comparisons of one arm come to, quality first."""
    chosen = [one for one in comparisons if is_quality(one.measure)] or list(comparisons)
    verdicts = {one.verdict for one in chosen}
    if {Verdict.BETTER, Verdict.WORSE} <= verdicts:
        return MIXED
    order = (Verdict.BETTER, Verdict.WORSE, Verdict.UNDERPOWERED, Verdict.NO_EVIDENCE)
    return next((verdict.value for verdict in order if verdict in verdicts), NOT_COMPARED)


def verdict_words(one: Comparison) -> str:
    """Return one comparison's verdict with its symbol: `▲ better`."""
    return f"{SYMBOLS[one.verdict]} {one.verdict.value}"


def detectable(report: Report) -> str:
    """Return the sentence on the smallest differences that this many questions show; "": none."""
    largest: dict[str, float] = {}
    for one in report.comparisons:
        if math.isfinite(one.mde):
            largest[one.measure] = max(one.mde, largest.get(one.measure, 0.0))
    if not largest:
        return ""
    told = [f"{measure} {shown(measure, mde)}" for measure, mde in largest.items()]
    num = f"{len(report.question_ids):,} question{'' if len(report.question_ids) == 1 else 's'}"
    return f"Smallest difference that {num} show with a power of 80 %: {', '.join(told)}."


def gain(measure: str, delta: float) -> float:
    """Return a difference turned so that more is better."""
    return delta if better_of(measure) is Better.HIGHER else -delta
