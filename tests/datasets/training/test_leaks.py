"""Evaluation questions in training rows: every exact one is found, edited ones nearly all."""

import json
import random
from pathlib import Path

import pytest

from steelyard.core.errors import InputError
from steelyard.core.training import Chat, Labelled, Reading, Retrieval, TrainingRow, Turn
from steelyard.datasets.training import EvaluationQuestion, evaluation_questions, find_leaks

HANDBOOK = Path(__file__).parents[3] / "examples" / "handbook" / "questions.jsonl"
QUESTIONS = [
    EvaluationQuestion("handbook", str(number), json.loads(line)["question"])
    for number, line in enumerate(HANDBOOK.read_text().splitlines())
]
SMALL = ("the", "a", "an", "of", "in", "is", "do", "does", "to", "for", "on", "at", "are")


def chat(text):
    return TrainingRow(Chat((Turn("user", text), Turn("assistant", "So it is."))))


def found(rows, questions=QUESTIONS):
    return {(leak.row, leak.question.text) for leak in find_leaks(rows, questions)}


def typo(text, chance):
    words = text.split()
    at = chance.choice([n for n, word in enumerate(words) if len(word) > 3 and word.isalpha()])
    spot = chance.randrange(len(words[at]) - 1)
    word = words[at]
    words[at] = word[:spot] + word[spot + 1] + word[spot] + word[spot + 2 :]
    return " ".join(words)


def dropped(text, chance):
    words = text.split()
    small = [n for n, word in enumerate(words) if word.lower() in SMALL]
    del words[chance.choice(small or range(len(words)))]
    return " ".join(words)


def doubled(text, chance):
    words = text.split()
    words.insert(chance.randrange(1, len(words)), chance.choice(("really", "exactly", "usually")))
    return " ".join(words)


def swapped(text, chance):
    words = text.split()
    at = chance.randrange(len(words) - 1)
    words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


def opened(text, chance):
    return chance.choice(("Please tell me: ", "Hi, ", "Quick question - ")) + text


def inflected(text, chance):
    words = text.rstrip("?").split()
    long = [n for n, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    words[chance.choice(long)] += "s"
    return " ".join(words)


EDITS = (typo, dropped, doubled, swapped, opened, inflected)


@pytest.mark.parametrize("edit", EDITS, ids=[edit.__name__ for edit in EDITS])
def test_of_lightly_edited_questions_at_least_95_in_100_are_found(edit):
    chance = random.Random(3)
    edited = {chat(edit(one.text, chance)): one.text for one in QUESTIONS}
    hits = found(edited)
    caught = sum((row, text) in hits for row, text in edited.items())
    assert caught >= 0.95 * len(edited), [
        row.example.turns[0].content for row, text in edited.items() if (row, text) not in hits
    ]


def test_every_exact_question_is_found_whatever_case_marks_and_text_around():
    asked = [f"  {one.text.upper()} !!" for one in QUESTIONS]
    assert len(found([chat(text) for text in asked])) == len(QUESTIONS)
    within = [f"Context: a page.\n\nQ: {one.text}\nA:" for one in QUESTIONS]
    assert len(found([chat(text) for text in within])) == len(QUESTIONS)
    said = [Chat((Turn("user", "Ask!"), Turn("assistant", one.text))) for one in QUESTIONS]
    assert len(found(map(TrainingRow, said))) == len(QUESTIONS)


@pytest.mark.parametrize(
    "example",
    [
        Retrieval("How long are recordings kept", ("21 days",)),
        Reading("how long are recordings KEPT?", "21 days", ()),
        Labelled("Hi! How long are recordings kept?", "cameras"),
    ],
)
def test_every_kind_of_row_is_looked_at(example):
    question = EvaluationQuestion("set", "q1", "How long are recordings kept?")
    (leak,) = find_leaks([TrainingRow(example)], [question])
    assert (leak.question, leak.similarity) == (question, 1.0)


def test_questions_of_other_things_or_other_numbers_are_no_leaks():
    questions = [
        EvaluationQuestion("set", "1", "What is the budget of 2025 for the workshop?"),
        EvaluationQuestion("set", "2", "Who?"),
        EvaluationQuestion("set", "3", "How many judges are there?"),
    ]
    clean = [
        "What is the budget of 2026 for the workshop?",
        "How do I reset my password?",
        "How many trees are there?",
        "Who signs the travel request of a contractor?",
    ]
    assert found(map(chat, clean), questions) == set()


def test_questions_come_from_the_homes_sets_and_the_places_given(tmp_path):
    with pytest.raises(InputError, match="no evaluation question to compare with"):
        evaluation_questions(tmp_path)
    kept = tmp_path / "questions" / "mine"
    kept.mkdir(parents=True)
    (kept / "questions.jsonl").write_text('{"id": "q1", "question": "What is kept?"}\n')
    texts = {one.text for one in evaluation_questions(tmp_path, [str(HANDBOOK)])}
    assert texts == {"What is kept?", *(one.text for one in QUESTIONS)}
