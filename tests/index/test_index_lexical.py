"""The lexical leg: which words find what, and texts that want to break it."""

import random
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.core.ranking import Allowed
from steelyard.index.analysis import QueryAnalyzer, prepared

ANY = Allowed()


@pytest.fixture
def found(feed, open_shadows):
    """Index texts, chunk ids from 1; return what a question finds, best first."""
    shadows = []

    def found_(texts: list[str], question: str) -> list[int]:
        if not shadows:
            for text in texts:
                feed.add(text)
            shadows.append(open_shadows(feed))
        return shadows[0].view().lexical(question, k=10, allowed=ANY).chunk_ids

    return found_


@pytest.mark.parametrize(
    ("passage", "question"),
    [
        ("The engines were running", "run engine"),
        ("Café Zürich, naïve façade", "CAFE zurich naive"),
        ("cafe\u0301", "café"),
        ("snake_case_name and path/to/file.py", "case file"),
        ("version 3.11 of libfoo-2", "libfoo 3.11"),
        ("Ｆｕｌｌｗｉｄｔｈ", "fullwidth"),
        ("機械学習は人工知能の一部です", "人工知能"),
        ("机器学习", "机器"),
        ("水は大切です", "水"),
        ("การเรียนรู้ของเครื่อง", "เครื่อง"),
        ("기계 학습은 인공지능", "인공지능"),
        ("машинное обучение", "Обучение"),
        ("हिन्दी भाषा", "हिन्दी"),
        ("التعلم الآلي", "التعلم"),
        ("to be or not to be", "to be or not to be"),
        ("the who", "the"),
        ("C and R", "R"),
        ("emoji 🎉 party", "🎉 party"),
    ],
)
def test_a_question_finds_the_passage_that_has_its_words(found, passage, question):
    assert found(["nothing of the kind at hand", passage, "quite another matter"], question)[0] == 2


def test_stop_words_do_not_find_beside_content_words(found):
    texts = ["what is the of and the is it", "volcano"]
    assert found(texts, "what is the volcano") == [2, 1]  # "what" is no stop word
    assert found(texts, "is it the volcano?") == [2]


def test_a_word_said_twice_in_the_question_weighs_twice(found):
    texts = ["alpha", "beta", "gamma"]
    assert found(texts, "alpha beta beta") == [2, 1]
    assert found(texts, "alpha alpha beta") == [1, 2]


def test_the_rarest_words_of_a_long_question_decide(found):
    common = " ".join(f"common{number}" for number in range(100))
    texts = [common, common, f"{common} needle", common]
    assert found(texts, f"{common} needle")[0] == 3


HOSTILE = {
    "operators": 'a AND (b OR NOT "c) +d -e ^f ~g* [x TO y] {z} field:value \\',
    "quotes": '"' * 999,
    "nul": "word\0word\0",
    "surrogate": "\ud800 word \udfff",
    "emoji": "👩‍👩‍👧‍👦" * 500,
    "only spaces": " \t\n\r\u2003\u200b" * 100,
    "long word": "x" * 100_000,
    "long text": " ".join(f"w{number}" for number in range(20_000)),
    "long han": "漢字" * 50_000,
    "long combining": "e" + "\u0301" * 100_000,
    "parentheses": "(" * 100_000,
    "rtl": "\u202eabc\u202c word",
    "control": "".join(map(chr, range(32))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_question_breaks_the_leg(found, name):
    assert isinstance(found(["word", "another"], HOSTILE[name]), list)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_passage_breaks_the_index(found, name):
    assert found([HOSTILE[name], "needle"], "needle") == [2]


def test_questions_of_a_hundred_thousand_characters_have_a_bounded_number_of_terms():
    random.seed(1)
    text = "".join(random.choices(string.ascii_lowercase + " ", k=100_000))
    assert 0 < len(QueryAnalyzer().terms(text)) <= 512


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_finds_itself_if_it_has_a_word_at_all(text):
    analyzer = QueryAnalyzer()
    terms = analyzer.terms(text)
    passage = set(analyzer._every_word.analyze(prepared(text)))
    assert set(terms) <= passage
    assert bool(terms) == bool(passage)


def test_filters_hold_whichever_way_they_are_applied(feed, open_shadows, monkeypatch):
    for number in range(900):
        feed.add("word " * (1 + number % 5), access_class=number % 3)
    view = open_shadows(feed).view()
    ids = np.arange(1, 901, dtype=np.int64)
    cases = [
        Allowed(classes=frozenset({2})),
        Allowed(chunk_ids=ids[::300]),  # few: clauses
        Allowed(chunk_ids=ids[::2]),  # many: filtered afterwards
        Allowed(classes=frozenset({0, 1}), chunk_ids=ids[100:800]),
    ]
    for limit in (4096, 0):  # 0: never filter the best hits of all
        monkeypatch.setattr("steelyard.index.lexical.LEXICAL_WALK_LIMIT", limit)
        for allowed in cases:
            want = [
                chunk_id
                for chunk_id, row in feed.live.items()
                if (allowed.classes is None or row.access_class in allowed.classes)
                and (allowed.chunk_ids is None or chunk_id in allowed.chunk_ids)
            ]
            assert sorted(view.lexical("word", k=900, allowed=allowed).chunk_ids) == want
            best = [chunk_id for chunk_id in want if (chunk_id - 1) % 5 == 4] or want
            first = view.lexical("word", k=5, allowed=allowed).chunk_ids
            assert first == best[:5] or len(best) < 5
            longest = max((chunk_id - 1) % 5 for chunk_id in want)
            assert (first[0] - 1) % 5 == longest
