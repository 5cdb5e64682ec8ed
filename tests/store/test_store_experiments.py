"""What the query log keeps for live comparisons and replays, and how older homes get there."""

import sqlite3
import stat
from pathlib import Path

import pytest

from steelyard.core.chat import Answer, Asker, Message, Span, Usage
from steelyard.core.errors import SetupError
from steelyard.core.ranking import Principal, Query
from steelyard.store import Pseudonyms, Store
from steelyard.store.schema import LAYOUT

ANN = Principal(id="ann", groups=frozenset({"public", "hr"}))
QUERY = Query(
    "why?", ANN, k=5, collection="c", filter={"lang": "en"}, more_collections=("d",)
)  # fmt: skip


def answer(identity: str, **fields: object) -> Answer:
    given = {
        "text": "42", "answerable": True, "citations": (), "unsupported": (), "sources": (),
        "usage": Usage(timings_ms={"total": 12.5}), "cache": "miss", "bundle": "b1", "snapshot": 1,
        "degraded": (),
    }  # fmt: skip
    return Answer(id=identity, **given | fields)  # type: ignore[arg-type]


def opened(store: Store, **fields: object) -> int:
    given = {"share": 0.5, "champion": "b1", "challenger": "b2", "options": {"retrieve.pool": 100}}
    return store.open_experiment("wide", **given | fields)


def test_the_log_keeps_what_a_faithful_replay_needs(store):
    history = (Message("user", "What is it?"), Message("assistant", "A steelyard."))
    asker = Asker("u1", 7, "challenger")
    made = answer("a1", unsupported=(Span(0, 2),), degraded=("rerank: 3 of 20",))
    store.log_answer(QUERY, made, history=history, asker=asker)
    (kept,) = store.recent_answers()
    assert (kept.user, kept.experiment, kept.arm) == ("u1", 7, "challenger")
    assert (kept.groups, kept.k, kept.filter) == (frozenset({"public", "hr"}), 5, {"lang": "en"})
    assert (kept.collection, kept.more_collections) == ("c", ("d",))
    assert (kept.history, kept.bundle, kept.cache) == (history, "b1", "miss")
    assert (kept.unsupported, kept.degraded) == ((Span(0, 2),), ("rerank: 3 of 20",))
    assert kept.error == ""


def test_a_conversation_too_long_to_keep_is_known_to_have_been_one(store):
    store.log_answer(QUERY, answer("a1"), history=(Message("user", "x" * 20_000),))
    assert store.recent_answers()[0].history is None


def test_a_failure_is_logged_and_listed_only_where_it_is_asked_for(store):
    store.log_failure(QUERY, "left", took_ms=1234.5, bundle="b2", asker=Asker("u", 1, "challenger"))
    assert store.recent_answers() == []
    (kept,) = store.recent_answers(failed=True)
    assert (kept.error, kept.text, kept.bundle) == ("left", "", "b2")
    assert kept.timings_ms == {"total": 1234.5}


def test_only_what_is_new_enough_is_listed(store):
    store.log_answer(QUERY, answer("a1"))
    (kept,) = store.recent_answers(since=1.0)
    assert store.recent_answers(since=kept.at + 1) == []


def test_a_comparison_goes_on_while_nothing_of_it_changes(store):
    first = opened(store)
    assert opened(store) == first
    changed = opened(store, share=0.1)
    assert changed != first
    assert [one.key for one in store.experiments()] == [changed, first]
    assert opened(store) == first  # back as it was: the same comparison, and the newest
    newest = store.experiments()[0]
    assert (newest.key, newest.name, newest.share) == (first, "wide", 0.5)
    assert newest.options == {"retrieve.pool": 100}


def test_exposures_say_what_came_of_each_question(store):
    key = opened(store)
    on_challenger, on_champion = Asker("u1", key, "challenger"), Asker("u2", key, "champion")
    store.log_answer(QUERY, answer("a1", unsupported=(Span(0, 2),)), asker=on_challenger)
    store.log_answer(QUERY, answer("a2", answerable=False), asker=on_champion)
    store.log_answer(QUERY, answer("a3", degraded=("llm: no route",)), asker=on_champion)
    store.log_answer(QUERY, answer("a4"), asker=Asker("u1", key, "challenger", "upstream"))
    store.log_failure(QUERY, "left", took_ms=9, bundle="b2", asker=on_challenger)
    store.log_answer(QUERY, answer("a5"))  # nobody's
    store.add_feedback("a1", "down", principal=ANN)
    one, two, three, four, five = store.exposures(key)
    assert (one.user, one.challenger, one.answerable) == ("u1", True, True)
    assert (one.unsupported, one.failed, one.total_ms, one.rating) == (True, False, 12.5, "down")
    assert (two.challenger, two.answerable, two.failed, two.rating) == (False, False, False, None)
    assert three.failed  # the champion's model failed, and the sentences were quoted instead
    assert four.failed  # the champion stood in
    assert (five.failed, five.answerable, five.total_ms) == (True, False, 9.0)
    assert store.num_unassigned(0.0) == 1
    assert store.exposures(0) == store.exposures(key + 1) == []


def test_the_log_of_an_older_home_is_read_with_defaults(tmp_path: Path):
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statements in LAYOUT.migrations[:2]:
        for statement in statements:
            old.execute(statement)
    old.execute(
        "INSERT INTO answers (id, at, principal, collection, question, text, answerable, "
        "citations, timings_ms, model, snapshot) "
        "VALUES ('a0', 5.0, 'public', 'default', 'Why?', '42', 1, '[]', '{}', 'm', 1)"
    )
    old.execute("INSERT INTO feedback VALUES (1, 'public', 'up', '', 6.0)")
    old.execute(f"PRAGMA application_id = {LAYOUT.application_id}")
    old.execute("PRAGMA user_version = 2")
    old.commit()
    old.close()
    store = Store.open(path)
    (kept,) = store.recent_answers()
    assert (kept.id, kept.rating, kept.text) == ("a0", "up", "42")
    assert (kept.user, kept.arm, kept.bundle, kept.error, kept.k) == ("", "", "", "", 0)
    assert (kept.groups, kept.history, kept.filter) == (None, (), {})
    store.log_answer(QUERY, answer("a1"))
    assert [one.id for one in store.recent_answers()] == ["a1", "a0"]
    assert store.experiments() == []
    store.close()


def test_a_pseudonym_is_stable_in_a_home_and_says_nothing_elsewhere(tmp_path: Path):
    ours, again = Pseudonyms(tmp_path / "users.key"), Pseudonyms(tmp_path / "users.key")
    theirs = Pseudonyms(tmp_path / "other.key")
    assert ours.of("ann") == again.of("ann") != theirs.of("ann")
    assert ours.of("ann") != ours.of("bob")
    assert ours.of("") == ""
    assert "ann" not in ours.of("ann")
    assert stat.S_IMODE((tmp_path / "users.key").stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.key", "users.key"]


def test_a_damaged_key_is_told_with_its_repair(tmp_path: Path):
    (tmp_path / "users.key").write_bytes(b"short")
    with pytest.raises(SetupError, match="has 5 bytes instead of 32; remove it"):
        Pseudonyms(tmp_path / "users.key").of("ann")
