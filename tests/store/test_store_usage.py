"""What the log keeps of an answer's tokens, and how homes from before get there."""

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.chat import Answer, Usage
from steelyard.core.ranking import Principal, Query
from steelyard.infra.sqlite import Database
from steelyard.store import Store
from steelyard.store.schema import LAYOUT

QUERY = Query("why?", Principal(id="ann", groups=frozenset({"hr"})), collection="c")
USED = Usage(
    timings_ms={"generate": 1500.0, "total": 1600.0},
    prompt_tokens=900,
    completion_tokens=40,
    cached_tokens=256,
    context_tokens=700,
    model="gpt-6-luna",
)


def answer(identity: str, usage: Usage = USED, *, cache: str = "miss", text: str = "42") -> Answer:
    return Answer(
        identity, text, True, (), (), (), usage, cache, bundle="b1", snapshot=1, degraded=()
    )


def tokens(one: object) -> tuple[int | None, ...]:
    names = ("prompt_tokens", "cached_tokens", "completion_tokens")
    return tuple(getattr(one, name) for name in names)


def test_the_log_keeps_what_the_model_read_and_wrote(store):
    store.log_answer(QUERY, answer("a1"))
    (kept,) = store.recent_answers()
    assert (*tokens(kept), kept.context_tokens) == (900, 256, 40, 700)
    (used,) = store.used_answers()
    assert tokens(used) == (900, 256, 40)
    assert (used.principal_id, used.collection, used.bundle) == ("ann", "c", "b1")
    assert (used.model, used.cache, used.error, used.generate_s) == ("gpt-6-luna", "miss", "", 1.5)


def test_tokens_that_nobody_told_are_unknown_and_not_none(store):
    store.log_answer(QUERY, answer("a1", Usage(model="x", context_tokens=0)))
    store.log_failure(QUERY, "upstream", took_ms=9, bundle="b1")
    failed, silent = store.recent_answers(failed=True)
    assert tokens(silent) == tokens(failed) == (None, None, None)
    assert (silent.context_tokens, failed.context_tokens) == (0, None)
    assert [one.error for one in store.used_answers()] == ["", "upstream"]


@pytest.mark.parametrize("cache", ["exact", "semantic"])
def test_an_answer_served_again_used_nothing(store, cache):
    store.log_answer(QUERY, answer("a1"))
    store.log_answer(QUERY, answer("a2", Usage(model="gpt-6-luna"), cache=cache))
    made, again = store.used_answers()
    assert tokens(again) == (0, 0, 0)
    assert made.text == again.text
    assert len(made.text) == 16


def test_only_what_was_asked_since_is_returned(store):
    store.log_answer(QUERY, answer("a1"))
    assert store.used_answers(since=time.time() + 60) == []


def test_a_home_of_the_sixth_layout_keeps_its_log_with_unknown_tokens(tmp_path: Path):
    path = tmp_path / "old.db"
    Database(path, layout=replace(LAYOUT, migrations=LAYOUT.migrations[:6])).close()
    old = sqlite3.connect(path)
    old.execute(
        "INSERT INTO answers (id, at, principal, collection, question, text, answerable, "
        "citations, timings_ms, model, snapshot) "
        "VALUES ('a0', 5.0, 'ann', 'c', 'Why?', '42', 1, '[]', '{}', 'gpt-6-luna', 1)"
    )
    old.commit()
    old.close()
    with Store.open(path) as store:
        (kept,) = store.recent_answers()
        assert (kept.id, *tokens(kept), kept.context_tokens) == ("a0", None, None, None, None)
        store.log_answer(QUERY, answer("a1"))
        assert [tokens(one) for one in store.used_answers()] == [(None,) * 3, (900, 256, 40)]
        assert store.used_answers()[0].generate_s == 0.0
        assert store.check() == []
