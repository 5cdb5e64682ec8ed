"""Measures by name: read in any case, printed in one form, and all faults told at once."""

import difflib
import re
from collections.abc import Sequence

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Outcome, Question, Reduce, Values
from steelyard.core.protocols import Measure
from steelyard.evals.measures import (
    abstention,
    answers,
    citations,
    effort,
    judged,
    retrieval,
    served,
)
from steelyard.evals.measures.measure import Meaning
from steelyard.evals.measures.retrieval import RetrievalMeasure, retrieval_values

MAX_K = 10_000
_ROOMS = (retrieval, answers, abstention, citations, served, effort, judged)
_PLAIN: dict[str, Measure] = {
    measure.name.lower(): measure
    for room in (answers, abstention, citations, served, effort, judged)
    for measure in room.MEASURES
}
_FAMILIES = {meaning.form.removesuffix("@k").lower(): meaning for meaning in retrieval.FAMILIES}
_NAMES = {key: meaning.form.removesuffix("@k") for key, meaning in _FAMILIES.items()}
# What other tools call them.
_ALIASES = {
    "mrr": "rr", "map": "ap", "recall": "r", "precision": "p", "hit": "success", "hits": "success",
    "exact_match": "em", "rougel": "rouge-l", "latency_ms": "mean_ms", "failures": "failed",
    **{f"{r.value}_first_token_ms": f"{r.value}_ttft_ms" for r in Reduce},
}  # fmt: skip


def known_measures() -> tuple[Meaning, ...]:
    """Return how each family of measures is written and what it says, for help and docs."""
    return tuple(meaning for room in _ROOMS for meaning in room.FAMILIES)


def parse_measure(name: str) -> Measure:
    """Return the measure that `name` says, in whatever case; it prints in the usual one.

    Raises:
        InputError: there is none of this name; the message gives the nearest one.
    """
    found = _read(name)
    if isinstance(found, str):
        raise InputError(_one_line([found]))
    return found


def parse_measures(names: str) -> tuple[Measure, ...]:
    """Return the measures of a list with commas, in order, each once.

    Raises:
        InputError: nothing is listed, or names are unknown; the message gives all of them.
    """
    read = [_read(name) for name in names.split(",") if name.strip()]
    faults = [one for one in read if isinstance(one, str)]
    if faults:
        raise InputError(_one_line(faults))
    if not read:
        raise InputError("no measure is named; write some, such as nDCG@10,R@10,EM,F1,p95_ms")
    return tuple({one.name: one for one in read if not isinstance(one, str)}.values())


def values_of(
    measures: Sequence[Measure], questions: Sequence[Question], outcomes: Sequence[Outcome]
) -> dict[str, Values]:
    """Return the (N,) values of each measure by its name; those of retrieval in one pass."""
    ranked = [measure for measure in measures if isinstance(measure, RetrievalMeasure)]
    found = retrieval_values(ranked, questions, outcomes) if ranked else {}
    for measure in measures:
        if measure.name not in found:
            found[measure.name] = measure.values(questions, outcomes)
    return {measure.name: found[measure.name] for measure in measures}


def _read(name: str) -> Measure | str:
    """Return the measure, or in one line why there is none."""
    wanted = name.strip().lower()
    wanted = _ALIASES.get(wanted, wanted)
    if wanted in _PLAIN:
        return _PLAIN[wanted]
    family, at, cutoff = wanted.partition("@")
    family = _ALIASES.get(family, family)
    if family in _PLAIN and at:
        return f"{name.strip()!r}: {_PLAIN[family].name} takes no @; write {_PLAIN[family].name}"
    if family not in _NAMES:
        return f"no measure is called {name.strip()!r}{_nearest(wanted)}"
    known = _NAMES[family]
    if not at and known in retrieval.WITHOUT_CUTOFF:
        return RetrievalMeasure(known)
    if not re.fullmatch(r"[0-9]{1,5}", cutoff) or not 1 <= int(cutoff) <= MAX_K:
        example = _FAMILIES[family].example
        return f"{name.strip()!r} needs a whole number from 1 to {MAX_K} behind @, as {example}"
    return RetrievalMeasure(known, int(cutoff))


def _nearest(wanted: str) -> str:
    """Return a question for the nearest name, "" if none is near."""
    family, _, cutoff = wanted.partition("@")
    if re.fullmatch(r"[0-9]{1,5}", cutoff):
        near = difflib.get_close_matches(family, [*_NAMES, *_ALIASES], n=1, cutoff=0.6)
        known = _NAMES.get(_ALIASES.get(near[0], near[0])) if near else None
        return f" (did you mean {known}@{cutoff}?)" if known else ""
    examples = {meaning.example.lower(): meaning.example for meaning in retrieval.FAMILIES}
    names = {key: measure.name for key, measure in _PLAIN.items()} | examples
    near = difflib.get_close_matches(wanted, list(names), n=1, cutoff=0.6)
    return f" (did you mean {names[near[0]]}?)" if near else ""


def _one_line(faults: Sequence[str]) -> str:
    """Return all faults, and all names if one of them is near to none."""
    line = "; ".join(dict.fromkeys(faults))
    if all(fault.endswith("?)") or "called" not in fault for fault in faults):
        return line
    return f"{line}; known are {', '.join(meaning.form for meaning in known_measures())}"
