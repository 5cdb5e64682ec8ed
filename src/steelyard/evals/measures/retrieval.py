"""Measures of a ranking against judgements, by trec_eval's own code (ir_measures).

A question without judgements, or without a relevant document, has no value. One whose outcome
failed, or found nothing, counts as 0.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from steelyard.core.evaluation import Better, Outcome, Question, Ranked, Reduce, Values
from steelyard.evals.measures.measure import FAILED, NOT_APPLICABLE, Meaning

if TYPE_CHECKING:
    import ir_measures

ALL = "All"
JUDGED = "Judged"
_WHOLE = 1 - 1e-9

FAMILIES = (
    Meaning(
        "nDCG@k",
        "nDCG@10",
        "discounted gain of the first k, as a share of the best possible; nDCG: of all",
        "0 to 1",
        Better.HIGHER,
        "Järvelin & Kekäläinen 2002; trec_eval `ndcg_cut`: gain = grade, log2(rank + 1)",
    ),
    Meaning(
        "R@k",
        "R@10",
        "share of the relevant documents that are among the first k",
        "0 to 1",
        Better.HIGHER,
        "trec_eval `recall`",
    ),
    Meaning(
        "RR@k",
        "RR@10",
        "1 / rank of the first relevant document, 0 beyond k; RR: at any rank",
        "0 to 1",
        Better.HIGHER,
        "Kantor & Voorhees 2000; the mean is MRR",
    ),
    Meaning(
        "P@k",
        "P@5",
        "share of the first k that are relevant; a shorter ranking is divided by k too",
        "0 to 1",
        Better.HIGHER,
        "trec_eval `P`",
    ),
    Meaning(
        "AP@k",
        "AP@100",
        "mean of the precisions at each relevant document's rank; AP: over all ranks",
        "0 to 1",
        Better.HIGHER,
        "trec_eval `map`, `map_cut`; the mean is MAP",
    ),
    Meaning(
        "Success@k",
        "Success@5",
        "1 if a relevant document is among the first k (hit rate)",
        "0 or 1",
        Better.HIGHER,
        "trec_eval `success`",
    ),
    Meaning(
        "All@k",
        "All@10",
        "1 if all relevant documents are among the first k: what a multi-hop question needs",
        "0 or 1",
        Better.HIGHER,
        "R@k = 1",
    ),
    Meaning(
        "Judged@k",
        "Judged@10",
        "share of the first k that somebody has judged: how far the others can be trusted",
        "0 to 1",
        Better.HIGHER,
        "as in ir_measures; a question with any judgement counts",
    ),
)
WITHOUT_CUTOFF = ("nDCG", "RR", "AP")


@dataclass(frozen=True, slots=True)
class RetrievalMeasure:
    """`family` at `cutoff`; None: over the whole ranking."""

    family: str
    cutoff: int | None = None

    @property
    def name(self) -> str:
        return self.family if self.cutoff is None else f"{self.family}@{self.cutoff}"

    @property
    def reduce(self) -> Reduce:
        return Reduce.MEAN

    @property
    def better(self) -> Better:
        return Better.HIGHER

    @property
    def quality(self) -> bool:
        return True

    def __str__(self) -> str:
        return self.name

    def values(self, questions: Sequence[Question], outcomes: Sequence[Outcome]) -> Values:
        return retrieval_values((self,), questions, outcomes)[self.name]


def retrieval_values(
    measures: Sequence[RetrievalMeasure], questions: Sequence[Question], outcomes: Sequence[Outcome]
) -> dict[str, Values]:
    """Return each measure's (N,) values by its name, from one pass over the rankings."""
    assert len(questions) == len(outcomes), (len(questions), len(outcomes))
    depth = _depth(measures)
    runs: dict[int, list[str]] = {}  # question's place -> documents, best first
    for place, (question, outcome) in enumerate(zip(questions, outcomes, strict=True)):
        if question.relevant and outcome.ranking and not outcome.error:
            runs[place] = _documents(outcome.ranking, depth)
    found = {measure.name: np.full(len(questions), FAILED) for measure in measures}
    scored = [measure for measure in measures if measure.family != JUDGED]
    for measure, place, value in _scored(scored, questions, runs):
        found[measure.name][place] = value
    for measure in measures:
        if measure.family == JUDGED:
            for place, documents in runs.items():
                first, judged = documents[: measure.cutoff], questions[place].relevant
                found[measure.name][place] = sum(map(judged.__contains__, first)) / len(first)
        found[measure.name][~_applies(measure, questions)] = NOT_APPLICABLE
    return found


def _scored(
    measures: Sequence[RetrievalMeasure],
    questions: Sequence[Question],
    runs: Mapping[int, Sequence[str]],
) -> Iterator[tuple[RetrievalMeasure, int, float]]:
    """Yield what trec_eval gives to each measure of each question in `runs`.

    It sorts again, in single precision and ties by id: so ranks are the scores that it gets.
    """
    import ir_measures

    if not measures or not runs:
        return
    run = {
        str(place): dict(zip(documents, map(float, range(0, -len(documents), -1)), strict=True))
        for place, documents in runs.items()
    }
    qrels = {str(place): dict(questions[place].relevant) for place in runs}
    theirs: dict[ir_measures.Measure, list[RetrievalMeasure]] = {}
    for measure in measures:
        theirs.setdefault(_theirs(measure), []).append(measure)
    # Their measures hash by printing themselves, so each is looked up once, then by identity.
    seen: dict[int, tuple[ir_measures.Measure, list[RetrievalMeasure]]] = {}
    for query, measured, value in ir_measures.iter_calc(list(theirs), qrels, run):
        if id(measured) not in seen:
            seen[id(measured)] = measured, theirs[measured]
        for measure in seen[id(measured)][1]:
            yield measure, int(query), _ours(measure, value)


def _ours(measure: RetrievalMeasure, value: float) -> float:
    """Return our measure's value, from the one of theirs that holds it."""
    if measure.family == ALL:
        return float(value > _WHOLE)
    if measure.family == "RR" and measure.cutoff is not None:
        return value if value * measure.cutoff > _WHOLE else 0.0
    return value


def _theirs(measure: RetrievalMeasure) -> "ir_measures.Measure":
    """Return the measure to ask for: all of them in trec_eval's own code, by one call."""
    import ir_measures

    family: ir_measures.Measure = getattr(
        ir_measures, "R" if measure.family == ALL else measure.family
    )
    if measure.cutoff is None or measure.family == "RR":
        return family
    theirs: ir_measures.Measure = family @ measure.cutoff
    return theirs


def _depth(measures: Sequence[RetrievalMeasure]) -> int | None:
    """Return how much of a ranking the deepest measure sees; None: all."""
    cutoffs = [measure.cutoff for measure in measures]
    return None if None in cutoffs else max(cutoff or 0 for cutoff in cutoffs)


def _documents(ranking: Sequence[Ranked], depth: int | None) -> list[str]:
    """Return the first `depth` documents in order, each once."""
    documents = [ranked.document_id for ranked in ranking[:depth]]
    if len(set(documents)) < len(documents):
        documents = list(islice(dict.fromkeys(ranked.document_id for ranked in ranking), depth))
    return documents


def _applies(measure: RetrievalMeasure, questions: Sequence[Question]) -> NDArray[np.bool_]:
    least = -math.inf if measure.family == JUDGED else 1
    grades = (question.relevant.values() for question in questions)
    return np.fromiter((any(grade >= least for grade in each) for each in grades), np.bool_)
