"""What the rules promise, whatever is asked."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from steelyard.cache.meaning import LONGEST, Meaning, guard, words
from steelyard.cache.meaning.numbers import unit_of
from steelyard.cache.meaning.stems import stem
from steelyard.cache.meaning.tokens import tokenise

QUESTIONS = [
    "How do I export the {} report to Excel?",
    "What is the {} fee in Germany?",
    "Who approves the {} contract before May?",
    "Can I send a {} parcel to my office?",
    "Why does the {} server not start?",
]
WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=10)
NUMBERS = st.integers(0, 10**7)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_are_judged_and_in_both_directions_alike(a, b):
    assert bool(guard(a, b)) == bool(guard(b, a))
    assert guard(a, a) == ""


@given(st.sampled_from(QUESTIONS), WORDS, WORDS)
def test_an_unknown_word_in_place_of_another_is_another_question(question, one, other):
    known = words.EMPTY | words.SOFT.keys() | set(words.senses()) | words.QUANTIFIERS
    assume(stem(one) != stem(other) and not {one, other, stem(one), stem(other)} & known)
    assert guard(question.format(one), question.format(other))


@given(st.sampled_from(QUESTIONS), NUMBERS, NUMBERS)
def test_another_number_is_another_question(question, one, other):
    assume(one != other)
    assert guard(question.format(one), question.format(other))
    assert guard(question.format(one), question.format(f"{one:,}")) == ""


@given(st.sampled_from(QUESTIONS), WORDS)
def test_a_word_more_is_another_question(question, word):
    assume(word not in words.EMPTY and word not in words.SOFT)
    assume(not (question.startswith(("Can", "What")) and word == "new"))
    assert guard(question.format(word), question.format(""))


@pytest.mark.parametrize("pair", sorted(sorted(pair) for pair in words.antonyms()))
def test_listed_opposites_are_never_the_same(pair):
    one, other = pair
    assert words.senses().get(one, one) != words.senses().get(other, other)


def test_no_word_is_in_two_groups_of_synonyms():
    seen: dict[str, str] = {}
    for line in words._table("synonyms.txt"):
        assert len(line) > 1, line
        for word in line:
            assert seen.setdefault(stem(word), line[0]) == line[0], word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("twenty-five users", ["25", "user"]),
        ("two hundred and five rows", ["205", "row"]),
        ("1,234.5 km", ["1234.5", "kilometer"]),
        ("$5", ["5", "dollar"]),
        ("the 2nd", ["the", "#2"]),
        ("second", ["#2"]),
        ("30 seconds", ["30", "second"]),
        ("100 Mb", ["100", "megabit"]),
        ("100 MB", ["100", "megabyte"]),
        ("10 per cent", ["10", "percent"]),
        ("-4 °C", ["-4", "celsius"]),
        ("a 5G phone", ["a", "5g", "phone"]),
        ("python 3.10.1", ["python", "3.10.1"]),
    ],
)
def test_numbers_and_units_are_read_as_values(text, shown):
    assert [token.text for token in tokenise(text)][: len(shown)] == [
        {"user": "users", "row": "rows"}.get(word, word) for word in shown
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [("cancelled", "cancel"), ("installation", "install"), ("paid", "paying"), ("bought", "buy"),
     ("activation", "activate"), ("created", "create"), ("policies", "policy"),
     ("stopped", "stop"), ("adding", "add")],
)  # fmt: skip
def test_forms_of_a_word_have_one_stem(one, other):
    assert stem(one) == stem(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("employer", "employee"), ("older", "old"), ("park", "parking"), ("ship", "shipping"),
     ("careful", "careless"), ("news", "new"), ("good", "goods"), ("late", "lately")],
)  # fmt: skip
def test_words_of_two_meanings_have_two_stems(one, other):
    assert stem(one) != stem(other)


def test_too_far_too_long_and_nothing_are_no_hit():
    meaning = Meaning(0.9)
    assert meaning.same("How do I pay?", "How can I pay?", cosine=0.95).same
    assert meaning.same("How do I pay?", "How can I pay?", cosine=0.85).reason == "similarity"
    assert not meaning.same("How do I pay?", "How can I pay?", cosine=float("nan")).same
    assert guard("a " * LONGEST, "b " * LONGEST) == "length"
    assert guard("?", "the!") == "empty"
    assert unit_of("nonsense") is None


@pytest.mark.parametrize(
    "pair",
    [
        "What is a company?|What does a company do?",
        "What is a company?|What does a company have?",
        "Can it run Linux?|Can I run Linux?",
        "How do I pay you?|How do you pay me?",
        "How should the fund be taxed?|How is the fund taxed?",
        "How will taxes change?|How do taxes change?",
        "Who else can approve?|Who can approve?",
        "Who was paid?|Who paid?",
        "Is Anna paying?|Is Anna paid?",
        "black cats and dogs|black dogs and cats",
        "feed 2 cats and 3 dogs|feed 3 cats and 2 dogs",
        "manager of the team in the company|manager of the company in the team",
        "Who sent flowers for Anna?|Who did Anna send flowers?",
        "What if a > b?|What if a < b?",
        "Does A beat B?|Does B beat A?",
        "symptoms in children of flu in adults|symptoms in adults of flu in children",
        "Am I hired?|Do I hire?",
        "When do I get paid?|When do I pay?",
    ],
)
def test_what_embarrassed_us_once_does_not_again(pair):
    a, b = pair.split("|")
    assert guard(a, b)
