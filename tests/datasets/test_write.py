"""What is written is read again as the same set."""

import os
from pathlib import Path

import pytest
from smallsets import write_folder

from steelyard.core.chat import Message
from steelyard.core.errors import InputError
from steelyard.core.evaluation import GoldSpan, Question, QuestionSet
from steelyard.datasets import export_set, read_set

DATA = os.environ.get("STEELYARD_DATA", "")


def test_our_own_form_keeps_everything(tmp_path):
    found = read_set(write_folder(tmp_path / "a"))
    export_set(tmp_path / "b", found)
    again = read_set(tmp_path / "b")
    assert again.id == found.id
    assert again.questions == found.questions
    assert again.documents == found.documents


def test_a_set_over_a_live_home_keeps_everything(tmp_path):
    questions = (
        Question(
            "q 1",
            "What is the limit?",
            answers=("40",),
            answerable=True,
            relevant={"doc\t1": 2, "d2": 0},
            spans=(GoldSpan("d2", "40", 3, 5), GoldSpan("", "limit")),
            history=(Message("user", "Hello"), Message("assistant", "Hi")),
            type="table",
            cluster="c",
            origin="log",
        ),
        Question("q2", "Unknown?", answerable=False, origin="gold"),
    )
    export_set(tmp_path / "out", QuestionSet("x", "", questions))
    assert read_set(tmp_path / "out").questions == questions


def test_beir_and_trec_keep_what_is_judged(tmp_path):
    found = read_set(write_folder(tmp_path / "a"))
    for form in ("beir", "trec"):
        export_set(tmp_path / form, found, form=form)
        again = read_set(tmp_path / form)
        assert [(one.id, one.text, one.relevant) for one in again.questions] == [
            (one.id, one.text, one.relevant) for one in found.questions if one.relevant
        ]
        assert again.documents == found.documents


def test_an_export_overwrites_nothing_and_knows_its_forms(tmp_path):
    found = read_set(write_folder(tmp_path / "a"))
    with pytest.raises(InputError, match="is not empty"):
        export_set(tmp_path / "a", found)
    with pytest.raises(InputError, match="steelyard, beir, trec"):
        export_set(tmp_path / "b", found, form="csv")


@pytest.mark.skipif(not DATA, reason="STEELYARD_DATA names no folder")
@pytest.mark.parametrize("name", ["squad2", "chunk_excerpts", "docs_fastapi"])
def test_a_shared_set_survives_our_form(tmp_path, name):
    found = read_set(Path(DATA) / name)
    export_set(tmp_path / "out", found)
    assert read_set(tmp_path / "out").id == found.id
