"""The registry in the truth: versions stay, the log only grows, aliases follow it."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard.core.errors import InputError, NotFound
from steelyard.core.registry import Action, Alias, Evaluation, Score, Version, replayed
from steelyard.core.tuning import BaseModel, Binding, TuneKind
from steelyard.infra.sqlite import Database
from steelyard.store import Store
from steelyard.store.schema import LAYOUT

BINDING = Binding(
    kind=TuneKind.RERANKER,
    base=BaseModel("mini", "a" * 64, "b" * 64),
    method="lora",
    max_tokens=128,
    labels=("yes", "no"),
    settings={"threshold": 0.5},
)
ONE = Version("v1", "first", "reranker", {"rerank.adapter": "{artefact}"}, "c" * 64, BINDING, "MIT")
TWO = Version("v2", "second", "reranker", {"rerank.adapter": "{artefact}"}, "d" * 64)
WIDE = Version("v3", "wide", "options", {"retrieve.pool": 100})
GREEN = Evaluation(
    run="r1", set_name="s", set_id="s1", num_questions=3, against="x", passed=True,
    scores={"nDCG@10": Score((0.6, 0.5, 0.7), (0.5, 0.4, 0.6), (0.1, 0.05, 0.15), 3, "better")},
    reasons=("pass: all",),
)  # fmt: skip


@pytest.fixture
def shelf(store: Store) -> Store:
    for version in (ONE, TWO, WIDE):
        store.register_version(version, who="ann")
    return store


def test_a_version_comes_back_as_it_was_registered_and_twice_is_once(store):
    first = store.register_version(ONE, who="ann", why="try")
    again = store.register_version(replace(ONE, name="other"), who="bob")
    assert (first.known, again.known) == (False, True)
    assert replace(store.version("v1"), created_at=0.0) == ONE
    assert again.version == first.version == store.version("v1")
    (event,) = store.registry_history()
    assert (event.who, event.why, event.action) == ("ann", "try", Action.REGISTER)
    assert store.registry_seq() == 0  # nothing is served yet


def test_promotions_and_rollbacks_move_both_aliases_at_once(shelf):
    shelf.promote_version("v1", who="ann")
    assert shelf.aliases() == {"reranker": {Alias.CHAMPION: "v1"}}
    first = shelf.registry_seq()
    shelf.promote_version("v2", who="bob", why="because", forced=True)
    assert shelf.aliases()["reranker"] == {Alias.CHAMPION: "v2", Alias.PREVIOUS: "v1"}
    assert shelf.registry_seq() > first
    event = shelf.roll_back(who="ann", why="slow")
    assert (event.version, event.before, event.why) == ("v1", "v2", "slow")
    assert shelf.aliases()["reranker"] == {Alias.CHAMPION: "v1", Alias.PREVIOUS: "v2"}
    assert [one.forced for one in shelf.registry_history("v2")] == [False, True, False]
    assert replayed(shelf.registry_history()) == shelf.aliases()


def test_a_first_promotion_is_rolled_back_to_nothing_and_forth_again(shelf):
    shelf.promote_version("v1", who="ann")
    assert shelf.roll_back(who="ann").version == ""
    assert shelf.champion_versions().versions == ()
    assert shelf.roll_back("reranker", who="ann").version == "v1"


def test_kinds_have_their_own_champions_and_a_rollback_is_of_the_last_one(shelf):
    shelf.promote_version("v1", who="ann")
    shelf.promote_version("v3", who="ann")
    served = shelf.champion_versions()
    assert [one.id for one in served.versions] == ["v3", "v1"]  # options, reranker
    assert served.seq == shelf.registry_seq()
    assert shelf.roll_back(who="ann").kind == "options"
    assert [one.id for one in shelf.champion_versions().versions] == ["v1"]


def test_two_kinds_cannot_set_one_option(shelf):
    shelf.register_version(Version("v4", "both", "options", {"rerank.adapter": "x"}), who="ann")
    shelf.promote_version("v1", who="ann")
    with pytest.raises(InputError, match=r"v4 \(options\) sets rerank.adapter, and so does .*v1"):
        shelf.promote_version("v4", who="ann")
    shelf.roll_back(who="ann")
    shelf.promote_version("v4", who="ann")
    with pytest.raises(InputError, match="and so does"):
        shelf.roll_back("reranker", who="ann")


def test_what_was_weighed_is_challenger_until_it_is_promoted(shelf):
    shelf.keep_evaluation("v1", GREEN, who="ann")
    assert shelf.aliases() == {"reranker": {Alias.CHALLENGER: "v1"}}
    assert shelf.registry_seq() == 0
    event = shelf.promote_version("v1", who="ann", evaluation=GREEN)
    assert shelf.aliases() == {"reranker": {Alias.CHAMPION: "v1"}}
    assert event.evaluation == GREEN
    kept = [one for one in shelf.registry_history() if one.action is Action.WEIGH]
    assert replace(kept[0].evaluation, at=0.0) == GREEN
    shelf.keep_evaluation("v1", GREEN, who="ann")  # a champion that is weighed stays one
    assert shelf.aliases() == {"reranker": {Alias.CHAMPION: "v1"}}


def test_a_promotion_that_was_weighed_against_another_champion_is_refused(shelf):
    seq = shelf.registry_seq()
    shelf.promote_version("v3", who="bob")
    with pytest.raises(InputError, match="changed while v1 was weighed"):
        shelf.promote_version("v1", who="ann", expected=seq)
    shelf.promote_version("v1", who="ann", expected=shelf.registry_seq())
    with pytest.raises(InputError, match="changed in the meantime"):
        shelf.roll_back(who="ann", expected=seq)


def test_what_cannot_be_done_is_said(shelf):
    with pytest.raises(InputError, match="nothing to roll back: no version was ever promoted"):
        shelf.roll_back(who="ann")
    with pytest.raises(NotFound, match="'v9'"):
        shelf.promote_version("v9", who="ann")
    shelf.promote_version("v1", who="ann")
    with pytest.raises(InputError, match=r"v1 \(first\) is the champion already"):
        shelf.promote_version("v1", who="ann")
    with pytest.raises(InputError, match="of kind 'reader'"):
        shelf.roll_back("reader", who="ann")


@pytest.mark.parametrize("table", ["versions", "registry_log"])
def test_the_database_itself_refuses_to_change_what_was_written(shelf, table):
    with sqlite3.connect(shelf.path) as connection:
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET kind = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)
    connection.close()


def test_a_home_of_the_fourth_layout_gets_an_empty_registry(tmp_path: Path):
    path = tmp_path / "old.db"
    Database(path, layout=replace(LAYOUT, migrations=LAYOUT.migrations[:4])).close()
    with Store.open(path) as store:
        assert (store.versions(), store.registry_seq(), store.aliases()) == ([], 0, {})
        store.register_version(ONE, who="ann")
        assert store.check() == []
