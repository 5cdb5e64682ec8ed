"""What may be right after all is no negative, and the guard says why."""

import pytest

from steelyard.core.training import Provenance, Retrieval, TrainingRow
from steelyard.datasets.training.guard import Candidate, Guard, Guarded

KEPT = "Recordings of the cameras are kept for 21 days, then they are overwritten."
QUESTION = "How long are recordings kept?"


def row(query, *positives, documents=()):
    return TrainingRow(Retrieval(query, positives), Provenance(documents=documents))


def hit(text="The gate opens at seven.", document="d9", score=0.1):
    return Candidate(text, document, score)


# FIELD 21: an embedder that learns from false negatives gets worse.
@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (hit(document="d1"), Guarded.DOCUMENT),
        (hit(f"Cameras\n{KEPT.upper()}"), Guarded.POSITIVE),
        (hit("They are stored on two disks in the cellar of the house."), Guarded.EQUAL),
        (hit(document="d2"), Guarded.EQUAL),
        (hit("All of it goes after 21  days."), Guarded.ANSWER),
        (hit(document="d3"), Guarded.SPLIT),
        (hit(score=0.5), Guarded.SCORE),
        (hit(score=0.49), None),
        (hit("It takes 21 hours of 5 days."), None),
    ],
)
def test_each_reason_is_found(candidate, why):
    rows = [
        row(QUESTION, KEPT, documents=("d1",)),
        row(
            "how long ARE the recordings kept",
            "They are stored on two disks in the cellar of the house.",
            documents=("d2",),
        ),
        row("Who opens the gate?", "The guard.", documents=("d3",)),
    ]
    guard = Guard(rows, answers={QUESTION: ["21 days", "no"]}, splits=["train", "train", "test"])
    assert guard.of(rows[0], bound=0.5, split="train").why(candidate) == why


def test_a_document_of_two_splits_and_rows_without_one_guard_nothing_by_split():
    rows = [row("A?", "a", documents=("d3",)), row("Who opens the gate?", "g", documents=("d4",))]
    guard = Guard(rows, splits=["train", "train"])
    assert guard.of(rows[0], bound=1.0, split="train").why(hit(document="d4")) is None
    assert Guard(rows).of(rows[0], bound=1.0).why(hit(document="d4")) is None
