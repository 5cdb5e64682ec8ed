"""Marks for answers that people wrote: behind each sentence that a passage backs, and no other."""

from steelyard.core.chat import Passage
from steelyard.generate.marking import with_marks


def passage(n, text):
    return Passage(n, n, f"d{n}", "u", "", text, 0, len(text), 1.0)


PASSAGES = (
    passage(1, "The gate opens at 7 every morning. Ask the guard."),
    passage(2, "Recordings of the cameras are kept for 21 days."),
)


def test_a_sentence_gets_the_mark_of_the_passage_that_backs_it():
    said = "Recordings of the cameras are kept for 21 days. The gate opens at 7 every morning."
    assert with_marks(said, PASSAGES) == (
        "Recordings of the cameras are kept for 21 days. [2] The gate opens at 7 every morning. [1]"
    )


def test_marks_that_are_there_stay_and_what_no_passage_backs_has_none():
    said = "Recordings are kept for 21 days [2]. The moon is made of green cheese."
    assert with_marks(said, PASSAGES) == said
    assert with_marks("Nobody knows.", ()) == "Nobody knows."
