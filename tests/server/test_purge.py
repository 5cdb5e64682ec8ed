"""Purges: what changed is posted to the edge, and answers are left to it only while it listens."""

import json
import logging
from collections.abc import Iterator

import pytest
from asking import LEAVE, NOTICE, ask, put
from purges import PurgeTarget, purge_target
from starlette.testclient import TestClient

from steelyard.app import App, open_app
from steelyard.flows.purge import EVERYTHING, Owners, collection_key, document_key
from steelyard.server import build
from steelyard.store import OPERATOR, Span

FRESH = "public, max-age=0, must-revalidate, s-maxage=300"


@pytest.fixture
def target() -> Iterator[PurgeTarget]:
    with purge_target() as one:
        yield one


def settled(client) -> None:
    """Wait until the edge knows all that was seen."""
    purge = client.app.state.live.edge.purge
    for _ in range(10_000):
        if purge.settled:
            return
        client.get("/healthz")
    raise AssertionError("the purge was never settled")


def test_a_new_home_purges_everything_once_and_then_leaves_answers_to_the_edge(
    open_client, target, monkeypatch
):
    monkeypatch.setenv("STEELYARD_PURGE_TOKEN", "hush")
    client = open_client(serve__purge_url=target.url)
    assert target.until(EVERYTHING) == {EVERYTHING}
    put(client)
    target.until(document_key("default", "leave"))
    settled(client)
    headers = ask(client).headers
    assert headers["cache-control"] == FRESH
    assert target.authorizations == {"Bearer hush"}


def test_adding_and_changing_purge_document_and_collection_deleting_the_document_alone(
    open_client, target
):
    client = open_client(serve__purge_url=target.url)
    target.until(EVERYTHING)
    put(client)
    key, all_of_it = document_key("default", "leave"), collection_key("default")
    assert target.until(key) == {key, all_of_it}
    put(client, text=LEAVE.replace("31", "28"))
    assert target.until(key) == {key, all_of_it}
    put(client, "notice", NOTICE, collection="law")
    law = document_key("law", "notice")
    assert target.until(law) == {law, collection_key("law")}
    client.delete("/v1/documents/leave")
    assert target.until(key) == {key}


def test_what_another_process_writes_is_purged_too(open_client, target, tmp_path):
    client = open_client(serve__purge_url=target.url)
    target.until(EVERYTHING)
    put(client)
    target.until(collection_key("default"))
    other = open_app(tmp_path / "home0", flags={"embed.model": "hashing"})
    try:
        other.store.delete("default", ["leave"], principal=OPERATOR)
    finally:
        other.close()
    assert target.until(document_key("default", "leave"))


def test_while_the_edge_cannot_be_told_nothing_is_left_to_it_and_nothing_is_lost(
    open_client, target, caplog
):
    client = open_client(serve__purge_url=target.url)
    target.until(EVERYTHING)
    put(client)
    target.until(collection_key("default"))
    settled(client)
    target.status = 500
    with caplog.at_level(logging.INFO):
        put(client, "notice", NOTICE)
        target.refused.get(timeout=30)
        assert ask(client).headers["cache-control"] == "public, no-cache"
        put(client, "more", "# More\n\nThere is more.\n")
        target.refused.get(timeout=30)
        target.refused.get(timeout=30)
    assert len([line for line in caplog.messages if line.startswith("purge_fails")]) == 1
    target.status = 200
    more = document_key("default", "more")
    assert target.until(more) >= {document_key("default", "notice"), more}
    settled(client)
    assert ask(client).headers["cache-control"] == FRESH


def test_a_server_without_an_edge_that_listens_still_answers(open_client):
    client = open_client(serve__purge_url="http://127.0.0.1:9/__purge")
    put(client)
    got = ask(client)
    assert got.status_code == 200
    assert got.headers["cache-control"] == "public, no-cache"


def reopened(tmp_path, target: PurgeTarget, *, between) -> set[str]:
    """Serve, stop, do `between` with the home, serve again: return the last run's purges."""
    flags = {"embed.model": "hashing", "serve.purge_url": target.url}
    seen: set[str] = set()
    for turn in range(2):
        app = open_app(tmp_path / "home", flags=flags)
        with TestClient(build(app), base_url="http://127.0.0.1:8080") as client:
            if turn == 0:
                put(client)
                target.until(collection_key("default"))
                settled(client)
                between_home = app.home
            else:
                put(client, "probe", NOTICE, collection="probe")
                seen = target.until(collection_key("probe"))
        app.close()
        if turn == 0:
            between(between_home)
    return seen


def test_a_restart_without_a_change_purges_nothing(tmp_path, target):
    seen = reopened(tmp_path, target, between=lambda home: None)
    assert seen == {document_key("probe", "probe"), collection_key("probe")}


def test_what_changed_while_no_server_ran_purges_everything(tmp_path, target):
    def change(home) -> None:
        app = open_app(home, flags={"embed.model": "hashing"})
        app.store.delete("default", ["leave"], principal=OPERATOR)
        app.close()

    assert EVERYTHING in reopened(tmp_path, target, between=change)


def test_a_damaged_note_purges_everything(tmp_path, target):
    def damage(home) -> None:
        assert json.loads((home / "edge.json").read_text())["url"] == target.url
        (home / "edge.json").write_text("{")

    assert EVERYTHING in reopened(tmp_path, target, between=damage)


def test_a_promoted_bundle_purges_the_answers_of_the_one_before(open_client, target):
    client = open_client(serve__purge_url=target.url)
    target.until(EVERYTHING)
    app: App = client.app.state.live.app
    before = app.bundle
    app.champion.__dict__["name"] = "b0000000000000000"
    assert target.until(before) == {before}


def test_more_keys_than_one_request_holds_purge_everything(open_client, target, monkeypatch):
    monkeypatch.setattr("steelyard.flows.purge.MAX_KEYS", 3)
    client = open_client(serve__purge_url=target.url)
    target.until(EVERYTHING)
    purge = client.app.state.live.edge.purge
    client.portal.call(purge._add, {"da", "db"})
    assert target.until("da") == {"da", "db"}
    client.portal.call(purge._add, {f"d{n}" for n in range(5)})
    assert target.until(EVERYTHING) == {EVERYTHING}


def test_a_chunk_is_known_by_its_document_after_it_is_gone():
    owners = Owners([Span("a", "one", 1, 3), Span("a", "two", 6, 2)])
    one, two = document_key("a", "one"), document_key("a", "two")
    assert [owners.key(n) for n in range(9)] == [None, one, one, one, None, None, two, two, None]
    owners.add([Span("a", "two", 6, 2), Span("b", "one", 8, 1)])
    assert owners.key(8) == document_key("b", "one") != one
    assert len(owners) == 3
