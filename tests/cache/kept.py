"""Kept answers, made small."""

import numpy as np

from steelyard.cache import Entry
from steelyard.core.chat import Answer, Citation, Passage, Usage

DIM = 8


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(DIM, np.float32)
    vector[: len(values)] = values
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def make_answer(identity: str = "a1", text: str = "Five days. [1]") -> Answer:
    passage = Passage(1, 7, "d1", "file:///leave.md", "Leave", "Five days.", 0, 10, 0.5, ("Top",))
    return Answer(
        id=identity,
        text=text,
        answerable=True,
        citations=(Citation(1, "d1", "file:///leave.md", 7, 0, 10, "Five days."),),
        unsupported=(),
        sources=(passage,),
        usage=Usage(timings_ms={"total": 1.5}, model="m"),
        cache="off",
        bundle="b1",
        snapshot=3,
        degraded=(),
    )


def make_entry(
    question: str = "How many days?",
    *,
    scope: str = "s",
    vector: np.ndarray | None = None,
    answer: Answer | None = None,
    snapshot: int = 3,
    created_at: float = 0.0,
) -> Entry:
    return Entry(
        question=question,
        scope=scope,
        vector=vector,
        answer=answer or make_answer(),
        pool=(7, 8),
        snapshot=snapshot,
        created_at=created_at,
    )


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
