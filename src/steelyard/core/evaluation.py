"""Evaluation's words: questions with gold, what an arm did with each, and what that says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steelyard.core.chat import Answer, Message

# Shape suffixes: N items (questions) of one set, in the set's order; B resamples.
Values = NDArray[np.float64]  # (N,); NaN where a measure does not apply to the question


SERVED = "served"


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """Words of a document that answer: `text`, at `[start, end)` of the document's text as the
    set gives it; both None where only the words are known."""

    document_id: str
    text: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One item of a set, and what is known to be right.

    `relevant` grades documents by id, 0: judged not relevant; empty: no judgements.
    `answerable` None: not known. `cluster` is what errors are shared within (the document it
    was asked about, a conversation); "": alone. `origin` is `gold`, `synthetic`, `log` or
    `served`: then the answers and documents are those that were served, right or wrong.
    """

    id: str
    text: str
    answers: tuple[str, ...] = ()
    answerable: bool | None = None
    relevant: Mapping[str, int] = field(default_factory=dict)
    spans: tuple[GoldSpan, ...] = ()
    history: tuple[Message, ...] = ()
    type: str = ""
    cluster: str = ""
    origin: str = "gold"


@dataclass(frozen=True, slots=True)
class SetDocument:
    """A document of a set; `filename` tells the parser how to read `text`."""

    id: str
    title: str
    text: str
    filename: str = "document.txt"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions with gold, and the documents they are asked of; () means a live home's.

    `id` is a content hash of all of it. `notes` are faults that were counted and left: each a
    sentence with its number.
    """

    name: str
    id: str
    questions: tuple[Question, ...]
    documents: tuple[SetDocument, ...] = ()
    notes: tuple[str, ...] = ()


class Ranked(NamedTuple):
    """A document where its best chunk ranks; scores fall, ties are in rank order."""

    document_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one arm did with one question. Exactly as the production flow gave it.

    `answer` is None for an arm that only retrieves. `error` is "" or why there is no result: it
    then counts as zero in every measure of quality. `wall_ms` is what the asker waited.
    """

    question_id: str
    ranking: tuple[Ranked, ...] = ()
    answer: Answer | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    wall_ms: float = 0.0
    cost_usd: float | None = None
    error: str = ""
    degraded: tuple[str, ...] = ()


class Reduce(StrEnum):
    """How a set's values become one figure."""

    MEAN = "mean"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval over `n` questions to which it applies."""

    value: float
    low: float
    high: float
    n: int


class Verdict(StrEnum):
    """What the evidence allows. `UNDERPOWERED`: the set is too small to show the smallest
    effect that was said to matter."""

    BETTER = "better"
    WORSE = "worse"
    NO_EVIDENCE = "no evidence"
    UNDERPOWERED = "underpowered"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`delta` = candidate − baseline of one measure, paired by question.

    `p` is two-sided; `p_holm` after Holm over the report's family. `mde` is the smallest
    difference that this many questions show with a power of .8; `n_needed` what it would take
    to show the smallest one that matters (None: it is shown already, or nothing was said).
    """

    measure: str
    baseline: str
    candidate: str
    delta: Interval
    p: float
    p_holm: float
    test: str
    mde: float
    n_needed: int | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One arm's part of a report: what it is made of, its figures by measure, what failed.

    `parts` maps each part (embedder, retrieval, reranker, context, reader, prompt, k, ...) to
    its name or hash, in a question's order. `busy_s` is the arm's own time, summed over
    questions; `failures` maps a question's id to the reason.
    """

    name: str
    parts: Mapping[str, str]
    figures: Mapping[str, Interval]
    failures: Mapping[str, str]
    busy_s: float
    num_reused: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the harness. `values[arm][measure]` is (N,) in the order of `question_ids`."""

    id: str
    created_at: str
    set_name: str
    set_id: str
    question_ids: tuple[str, ...]
    clusters: NDArray[np.int64]  # (N,)
    measures: tuple[str, ...]
    arms: tuple[ArmFigures, ...]
    comparisons: tuple[Comparison, ...]
    values: Mapping[str, Mapping[str, Values]]
    notes: Sequence[str] = ()
    machine: Mapping[str, str] = field(default_factory=dict)
    wall_s: float = 0.0
    overhead_s: float = 0.0
