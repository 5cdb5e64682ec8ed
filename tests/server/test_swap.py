"""Promotions as a server's askers, its edge and its operator see them."""

import itertools
import time
from collections.abc import Callable

from asking import ask, put
from starlette.testclient import TestClient

from steelyard.app import App
from steelyard.core.registry import OPTIONS_KIND, Version

Open = Callable[..., TestClient]
_numbers = itertools.count()


def app_of(client: TestClient) -> App:
    return client.app.state.live.app


def promote(client: TestClient, **options: object) -> None:
    store = app_of(client).store
    named = {key.replace("__", "."): value for key, value in options.items()}
    identity = f"s{next(_numbers):016x}"
    store.register_version(Version(identity, identity, OPTIONS_KIND, named), who="test")
    store.promote_version(identity, who="test")


def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")


def serving(client: TestClient) -> dict:
    return client.get("/v1/operations").json()["serving"]


def test_a_tag_of_the_bundle_before_never_holds_for_the_next(client):
    put(client)
    first = ask(client)
    etag = first.headers["etag"]
    assert ask(client, etag=etag).status_code == 304
    before = first.json()["bundle"]
    promote(client, retrieve__legs="lexical")
    until(lambda: app_of(client).bundle != before)
    second = ask(client, etag=etag)
    assert second.status_code == 200
    assert second.json()["bundle"] == app_of(client).bundle != before
    app_of(client).store.roll_back(who="test")
    until(lambda: app_of(client).bundle == before)
    assert ask(client, etag=etag).status_code == 304


def test_operations_tell_what_serves_what_served_before_and_how_long_the_flip_took(client):
    before = app_of(client).bundle
    assert serving(client) == {
        "champion": before, "previous": None, "draining": 0, "last_swap": None, "refused": None,
        "embedding": None,
    }  # fmt: skip
    promote(client, retrieve__legs="lexical")
    until(lambda: app_of(client).bundle != before)
    told = serving(client)
    assert (told["champion"], told["previous"]) == (app_of(client).bundle, before)
    assert told["last_swap"]["after"] == told["champion"]
    assert told["last_swap"]["flip_ms"] >= 0


def test_a_refused_promotion_is_told_and_the_server_stays_ready(client, tmp_path):
    put(client)
    before = app_of(client).bundle
    promote(client, rerank__model=str(tmp_path / "nowhere"))
    until(lambda: app_of(client).promotions.refusal is not None)
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "nowhere" in ready.json()["refused"]["reason"]
    assert serving(client)["refused"]["code"] == "setup"
    assert ask(client).json()["bundle"] == before


def test_a_comparison_begins_anew_with_each_champion(open_client: Open, tmp_path):
    file = tmp_path / "wide.toml"
    file.write_text('[wide]\nbase = "rag"\nretrieve.legs = "lexical"\n', encoding="utf-8")
    client = open_client(serve__challenger=str(file), serve__challenger_share=0.5)
    app = app_of(client)
    first = app.bundle
    promote(client, retrieve__pool=33)
    until(lambda: len(app.store.experiments()) == 2)
    newest = max(app.store.experiments(), key=lambda one: one.key)
    assert newest.champion == app.bundle != first
    until(lambda: client.app.state.live.sides._experiment == newest.key)


def test_a_promoted_challenger_ends_its_comparison(open_client: Open, tmp_path):
    file = tmp_path / "wide.toml"
    file.write_text('[wide]\nbase = "rag"\nretrieve.legs = "lexical"\n', encoding="utf-8")
    client = open_client(serve__challenger=str(file), serve__challenger_share=0.5)
    app, sides = app_of(client), client.app.state.live.sides
    promote(client, retrieve__legs="lexical")
    until(lambda: app.settings.retrieve.legs == "lexical")
    put(client)
    body = {"query": "How many days of paid leave do staff get a year?", "user": "u1"}
    assert client.post("/v1/query", json=body).json()["bundle"] == app.bundle
    assert sides.challenge is None
    assert len(app.store.experiments()) == 1
