"""TREC's files round trip, and the reference implementation reads them as we mean them."""

from pathlib import Path

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Question, Ranked
from steelyard.datasets import read_qrels, read_run, write_qrels, write_run

IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=6)
SCORES = st.floats(-1e6, 1e6, width=32)


@st.composite
def rankings(draw):
    found = {}
    for question in draw(st.lists(IDS, max_size=3, unique=True)):
        documents = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
        scores = sorted(draw(st.lists(SCORES, min_size=len(documents), max_size=len(documents))))
        found[question] = [Ranked(*pair) for pair in zip(documents, scores[::-1], strict=True)]
    return found


@given(rankings())
def test_a_run_comes_back_in_its_order_and_a_second_time_unchanged(tmp_path_factory, given_run):
    path = tmp_path_factory.mktemp("run") / "run.txt"
    write_run(path, given_run)
    back = read_run(path)
    assert {q: [one.document_id for one in r] for q, r in back.items()} == {
        q: [one.document_id for one in r] for q, r in given_run.items()
    }
    for question, ranking in given_run.items():
        for before, after in zip(ranking, back[question], strict=True):
            assert after.score == pytest.approx(before.score, rel=1e-5, abs=1e-30)
    first = path.read_bytes()
    write_run(path, back)
    assert path.read_bytes() == first


def test_scores_that_differ_come_back_exactly(tmp_path):
    run = {"q": [Ranked("a", 0.1), Ranked("b", 1 / 30), Ranked("c", -2.5)]}
    write_run(tmp_path / "run", run, tag="mine")
    assert read_run(tmp_path / "run") == {"q": tuple(run["q"])}
    assert (tmp_path / "run").read_text().splitlines()[0] == "q Q0 a 1 0.1 mine"


def test_the_reference_sees_our_order_also_among_ties(tmp_path):
    documents = [f"d{n}" for n in (5, 9, 1, 7, 3)]
    run = {"q": [Ranked(name, 1.0) for name in documents]}
    for place, name in enumerate(documents, start=1):
        write_run(tmp_path / "run", run)
        write_qrels(tmp_path / "qrels", [Question("q", "?", relevant={name: 1})])
        with (tmp_path / "run").open() as file:
            parsed_run = pytrec_eval.parse_run(file)
        with (tmp_path / "qrels").open() as file:
            judged = pytrec_eval.parse_qrel(file)
        found = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(parsed_run)
        assert found["q"]["recip_rank"] == pytest.approx(1 / place)


@given(st.dictionaries(IDS, st.dictionaries(IDS, st.integers(0, 9), min_size=1), max_size=4))
def test_judgements_come_back(tmp_path_factory, judged):
    path = tmp_path_factory.mktemp("qrels") / "qrels"
    write_qrels(path, [Question(q, "?", relevant=grades) for q, grades in judged.items()])
    assert read_qrels(path) == judged


def test_what_is_no_run_is_refused_line_by_line(tmp_path):
    path = tmp_path / "run"
    path.write_text("q Q0 d 1 0.5 t\nq Q0 d 2 0.4 t\nq Q0 e x 0.4 t\nq Q0 f 3 nan t\nq d 1\n")
    with pytest.raises(InputError) as raised:
        read_run(path)
    for expected in ("run:2: ranks 'd' for 'q' a second time", "run:3:", "run:4:", "run:5:"):
        assert expected in raised.value.message


def test_ids_with_white_space_and_scores_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="'a b' is empty or has white space"):
        write_run(tmp_path / "run", {"q": [Ranked("a b", 1.0)]})
    with pytest.raises(InputError, match="white space"):
        write_qrels(tmp_path / "qrels", [Question("q 1", "?", relevant={"d": 1})])
    with pytest.raises(InputError, match="fits no run"):
        write_run(tmp_path / "run", {"q": [Ranked("a", float("nan"))]})
    assert not Path(tmp_path / "run").exists()
