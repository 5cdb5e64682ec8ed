"""Rows that say the same: exactly, nearly, or with another label."""

import random

from steelyard.core.training import Chat, Labelled, Preference, TrainingRow, Turn
from steelyard.datasets.training import deduplicate, sha256_of

LONG = (
    "The pump in hall four is checked on the first Monday of each month by the person on duty, "
    "who writes the pressure, the oil level and the hours of service into the log book."
)


def row(text, label="a"):
    return TrainingRow(Labelled(text, label))


def chat(asked, said, weight=1):
    return TrainingRow(Chat((Turn("user", asked), Turn("assistant", said, weight))))


def texts(found):
    return sorted(one.example.text for one in found.rows)


def test_rows_equal_but_for_case_marks_and_breaks_are_one():
    found = deduplicate([row("Where is my card?"), row("where is  my CARD"), row("Where is it?")])
    assert len(found.rows) == 2
    (gone,) = found.duplicates
    assert gone.similarity == 1.0
    assert {gone.row, gone.of} == {row("Where is my card?"), row("where is  my CARD")}


def test_a_lightly_edited_row_is_a_near_duplicate_and_another_is_none():
    edited = LONG.replace("Monday", "Tuesday")
    other = "Recordings of the cameras at both gates are overwritten after twenty-one days."
    found = deduplicate([row(LONG), row(edited), row(other)])
    assert len(found.rows) == 2
    assert 0.85 <= found.duplicates[0].similarity < 1
    assert len(deduplicate([row(LONG), row(edited)], threshold=0.99).rows) == 2


def test_what_is_learnt_must_be_the_same_too():
    asked = "How many did she sell?"
    rows = [row(LONG, "a"), row(LONG, "b"), chat(asked, "It is 12."), chat(asked, "It is 12.", 0)]
    found = deduplicate(rows)
    assert len(found.rows) == 4
    assert {one.example.label for one in found.conflicts[0]} == {"a", "b"}
    sides = (Turn("assistant", LONG),), (Turn("assistant", LONG + " Really."),)
    flipped = [TrainingRow(Preference((Turn("user", "x"),), *one)) for one in (sides, sides[::-1])]
    assert len(deduplicate(flipped, threshold=0.999).rows) == 2


def test_the_order_of_rows_does_not_matter():
    words = LONG.split()
    picked = random.Random(7)
    rows = [row(" ".join([*words[:n], "other", *words[n:]])) for n in range(len(words))]
    rows += [row(" ".join(picked.sample(words, 12))) for _ in range(40)]
    first = deduplicate(rows)
    picked.shuffle(rows)
    assert deduplicate(rows) == first
    assert len(first.rows) + len(first.duplicates) == len(rows)
    assert {sha256_of(one) for one in first.rows}.isdisjoint(
        sha256_of(one.row) for one in first.duplicates
    )


def test_rows_without_a_word_are_compared_as_they_stand():
    assert len(deduplicate([row("?!", "a"), row("…", "a"), row("?", "b")]).rows) == 2
