"""`GET /v1/query`: tags, 304s, and what caches are told."""

import json
import random
from pathlib import Path

import pytest
from asking import LEAVE, NOTICE, QUESTION, ask, put
from starlette.testclient import TestClient

from steelyard.app import App, open_app
from steelyard.core.errors import SetupError
from steelyard.flows.purge import collection_key, document_key
from steelyard.server import build

VOLATILE = {"id", "usage", "cache", "snapshot"}


def searches(client: TestClient) -> float:
    """Return how many searches this server has done."""
    found = client.app.state.live.metrics.expose().decode()
    lines = [line for line in found.splitlines() if 'stage_seconds_count{stage="search"}' in line]
    return float(lines[0].split()[-1]) if lines else 0.0


def test_equal_answers_have_equal_bytes_and_one_strong_tag(client):
    put(client)
    first = ask(client)
    again = ask(client, headers={"Cache-Control": "no-cache"})  # made anew
    assert first.status_code == again.status_code == 200
    assert "31 days" in first.json()["answer"]
    assert first.content == again.content
    assert first.headers["etag"] == again.headers["etag"]
    assert first.headers["etag"].startswith('"')
    assert not VOLATILE & set(first.json())
    assert first.headers["steelyard-answer"] != again.headers["steelyard-answer"]


def test_the_answer_is_that_of_post(client):
    put(client)
    body = ask(client).json()
    posted = client.post("/v1/query", json={"query": QUESTION}).json()
    for name in ("answer", "answerable", "citations", "unsupported", "bundle"):
        assert body[name] == posted[name]
    for ours, theirs in zip(body["sources"], posted["sources"], strict=True):
        assert ours == {key: value for key, value in theirs.items() if key != "score"}


def test_an_unchanged_corpus_is_answered_304_without_a_search(client):
    put(client)
    first = ask(client)
    before = searches(client)
    assert before > 0
    again = ask(client, etag=first.headers["etag"])
    assert again.status_code == 304
    assert again.content == b""
    for name in ("etag", "cache-control", "surrogate-key"):
        assert again.headers[name] == first.headers[name]
    assert searches(client) == before
    assert "steelyard-answer" not in again.headers, "no answer was made at all"


def test_a_changed_document_changes_the_tag_and_is_never_a_304(client):
    put(client)
    old = ask(client).headers["etag"]
    put(client, text=LEAVE.replace("31", "28"))
    new = ask(client, etag=old)
    assert new.status_code == 200
    assert "28 days" in new.json()["answer"]
    assert new.headers["etag"] != old


def test_a_deleted_document_is_never_a_304(client):
    put(client)
    put(client, "notice", NOTICE)
    old = ask(client).headers["etag"]
    client.delete("/v1/documents/leave")
    new = ask(client, etag=old)
    assert new.status_code == 200
    assert "31" not in new.json()["answer"]


def test_a_vanished_file_is_never_a_304_though_nothing_was_committed_yet(client, monkeypatch):
    put(client)
    old = ask(client).headers["etag"]
    monkeypatch.setattr(client.app.state.live.app, "vanished", lambda uri: True)
    edge = client.app.state.live.edge
    assert len(edge._validators) == 1
    assert ask(client, etag=old).headers.get("steelyard-answer"), "it was answered again"
    assert len(edge._validators) == 1


def test_another_document_that_leaves_the_answer_alone_ends_in_304_after_answering(client):
    put(client)
    first = ask(client, k=1)
    put(client, "notice", NOTICE)
    again = ask(client, k=1, etag=first.headers["etag"])
    assert again.status_code == 304
    assert again.headers["etag"] == first.headers["etag"]
    assert "steelyard-answer" in again.headers, "it had to be answered to know"


def test_if_none_match_takes_lists_weak_tags_and_a_star(client):
    put(client)
    tag = ask(client).headers["etag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', f'W/"a,b" ,W/{tag}', "*", " * "):
        assert ask(client, etag=sent).status_code == 304, sent
    for sent in ('"other"', f'W/"{tag[1:9]}"', tag.strip('"'), '"*"', "garbage", '"', ",,,"):
        assert ask(client, etag=sent).status_code == 200, sent


def test_several_if_none_match_lines_are_one_list(client):
    put(client)
    tag = ask(client).headers["etag"]
    lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
    response = client.get("/v1/query", params={"q": QUESTION}, headers=lines)
    assert response.status_code == 304


def test_the_tag_of_one_question_says_nothing_about_another(client):
    put(client)
    put(client, "notice", NOTICE)
    tag = ask(client).headers["etag"]
    assert ask(client, "How long is the notice period?", etag=tag).status_code == 200
    assert ask(client, k=1, etag=tag).status_code == 200


def test_head_has_the_headers_of_get_and_no_body(client):
    put(client)
    got = ask(client)
    head = client.head("/v1/query", params={"q": QUESTION})
    assert head.status_code == 200
    assert head.content == b""
    for name in ("etag", "cache-control", "surrogate-key", "content-type", "content-length"):
        assert head.headers[name] == got.headers[name], name
    tagged = {"If-None-Match": got.headers["etag"]}
    assert client.head("/v1/query", params={"q": QUESTION}, headers=tagged).status_code == 304


def test_without_a_purge_url_every_cache_has_to_ask(client):
    put(client)
    headers = ask(client).headers
    assert headers["cache-control"] == "public, no-cache"
    assert "vary" not in headers


def test_surrogate_keys_name_documents_collection_bundle_and_everything(client):
    put(client)
    put(client, "notice", NOTICE)
    response = ask(client)
    keys = response.headers["surrogate-key"].split()
    assert keys == response.headers["cache-tag"].split(",")
    documents = {source["document_id"] for source in response.json()["sources"]}
    assert documents == {"leave", "notice"}
    expected = {document_key("default", identity) for identity in documents}
    expected |= {collection_key("default"), response.json()["bundle"], "steelyard"}
    assert set(keys) == expected
    assert len(keys) == len(expected)


def test_several_collections_are_several_keys(client):
    put(client)
    put(client, "notice", NOTICE, collection="law")
    response = ask(client, collection=["default", "law"])
    assert {collection_key("default"), collection_key("law")} <= set(
        response.headers["surrogate-key"].split()
    )
    assert len(response.json()["sources"]) == 2


def test_unanswerable_degraded_and_wrong_is_nobodys_to_keep(open_client, client):
    empty = ask(client, "anything?")
    assert empty.json()["answerable"] is False
    assert empty.headers["cache-control"] == "no-store"
    assert "etag" not in empty.headers
    assert ask(client, "anything?", etag="*").status_code == 200
    dead = open_client(llm__url="http://127.0.0.1:9", llm__model="mock")
    put(dead)
    degraded = ask(dead)
    assert degraded.json()["degraded"]
    assert degraded.headers["cache-control"] == "no-store"
    for path in ("/v1/query", "/nowhere", "/v1/documents/none"):
        assert client.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, ["'q' is missing"]),
        ({"q": ""}, ["empty"]),
        ({"q": "x", "k": "many"}, ["k='many'"]),
        ({"q": "x", "k": "0"}, ["k is 0"]),
        ({"q": "x", "k": "1" * 5000}, ["k="]),
        ({"q": "x", "colection": "a"}, ["'colection'", "did you mean 'collection'?"]),
        ({"query": "x", "k": "a", "z": "1"}, ["'query'", "'q'?", "'z'", "k='a'", "'q' is missing"]),
        ({"q": ["x", "y"]}, ["'q' is given 2 times"]),
        ({"q": "x", "collection": ""}, ["collection="]),
        ({"q": "a\0b"}, ["NUL"]),
        ({"q": "x", "filter": "{}"}, ["'filter'"]),
    ],
)
def test_wrong_parameters_are_all_named_in_one_line(client, parameters, named):
    response = client.get("/v1/query", params=parameters)
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    for part in named:
        assert part in message
    assert "\n" not in message


def test_a_question_that_is_too_long_is_refused(client):
    response = client.get("/v1/query", params={"q": "long " * 7000})
    assert response.status_code == 413


def test_what_a_key_is_answered_is_private(open_client):
    secrets: dict[str, str] = {}

    def prepare(app: App) -> None:
        secrets["admin"] = app.store.add_key("admin", ("public", "staff"), operator=True)
        secrets["staff"] = app.store.add_key("staff", ("public", "staff"))

    client = open_client(prepare=prepare)
    admin = {"Authorization": f"Bearer {secrets['admin']}"}
    staff = {"Authorization": f"Bearer {secrets['staff']}"}
    put(client, groups=["staff"], headers=admin)
    got = ask(client, headers=staff)
    assert got.headers["cache-control"] == "private, no-cache"
    assert got.headers["vary"] == "Authorization"
    assert "surrogate-key" not in got.headers
    assert "x-accel-expires" not in got.headers
    again = ask(client, headers=staff, etag=got.headers["etag"])
    assert again.status_code == 304
    assert again.headers["vary"] == "Authorization"
    nobody = ask(client, etag=got.headers["etag"])
    assert nobody.status_code == 401
    assert nobody.headers["cache-control"] == "no-store"


def test_another_key_with_other_groups_never_gets_304_from_the_first_ones_state(open_client):
    secrets: dict[str, str] = {}

    def prepare(app: App) -> None:
        secrets["admin"] = app.store.add_key("admin", ("public",), operator=True)
        secrets["staff"] = app.store.add_key("staff", ("public", "staff"))
        secrets["guest"] = app.store.add_key("guest", ("public",))

    client = open_client(prepare=prepare)
    as_key = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
    put(client, groups=["staff"], headers=as_key["admin"])
    put(client, "notice", NOTICE, headers=as_key["admin"])
    tag = ask(client, headers=as_key["staff"]).headers["etag"]
    other = ask(client, headers=as_key["guest"], etag=tag)
    assert other.status_code == 200
    assert "31" not in other.json()["answer"]


def test_the_key_of_the_edge_is_answered_publicly_and_only_that_one(open_client):
    secrets: dict[str, str] = {}

    def prepare(app: App) -> None:
        secrets["admin"] = app.store.add_key("admin", ("public",), operator=True)
        secrets["edge"] = app.store.add_key("edge", ("public",))

    client = open_client(prepare=prepare, serve__public_key="edge")
    as_admin = {"Authorization": f"Bearer {secrets['admin']}"}
    as_edge = {"Authorization": f"Bearer {secrets['edge']}"}
    put(client, headers=as_admin)
    public = ask(client, headers=as_edge)
    assert public.headers["cache-control"] == "public, no-cache"
    assert public.headers["vary"] == "Authorization"
    assert ask(client, headers=as_admin).headers["cache-control"] == "private, no-cache"


def test_tags_are_remembered_within_bounds(client, monkeypatch):
    monkeypatch.setattr("steelyard.server.freshness.MAX_VALIDATORS", 2)
    put(client)
    tags = [ask(client, k=k).headers["etag"] for k in (1, 2, 3)]
    assert len(client.app.state.live.edge._validators) == 2
    again = ask(client, k=1, etag=tags[0])
    assert again.status_code == 304
    assert "steelyard-answer" in again.headers


def test_the_endpoint_is_described(client):
    paths = json.loads(client.get("/openapi.json").content)["paths"]
    described = paths["/v1/query"]["get"]
    assert [one["name"] for one in described["parameters"]] == ["q", "k", "collection"]
    assert "post" in paths["/v1/query"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"serve.edge_ttl_s": 0}, "serve.edge_ttl_s = 0"),
        ({"serve.public_key": "edge"}, "no API key of this home; run `steelyard keys add edge`"),
        ({"serve.public_key": "admin"}, "an operator's key"),
        ({"serve.purge_url": "edge.example"}, "is no http"),
        ({"serve.purge_url": "http://"}, "is no http"),
        ({"serve.purge_url": "http://edge:port/"}, "is no http"),
        ({"serve.purge_url": "https://u:secret@edge.example/"}, "holds a password"),
    ],
)
def test_a_wrong_option_about_the_edge_is_said_at_the_start(tmp_path: Path, flags, said):
    app = open_app(tmp_path / "home", flags={"embed.model": "hashing", **flags})
    try:
        app.store.add_key("admin", ("public",), operator=True)
        with pytest.raises(SetupError) as caught:
            build(app)
        assert said in caught.value.message
        assert "secret" not in caught.value.message
        assert "\n" not in caught.value.message
    finally:
        app.close()


def test_no_sequence_of_changes_ends_in_a_304_for_what_is_no_longer_said(client):
    chance = random.Random(7)
    tags: set[str] = set()
    num_held = num_changed = 0
    for step in range(100):
        identity, days = f"d{chance.randrange(3)}", chance.randrange(20, 24)
        match chance.randrange(4):
            case 0:
                put(client, identity, LEAVE.replace("31", str(days)))
            case 1:
                client.delete(f"/v1/documents/{identity}")
            case 2:
                put(client, f"other{step}", NOTICE, collection="law")
        conditional = ask(client, k=2, etag=", ".join(sorted(tags)))
        anew = ask(client, k=2, headers={"Cache-Control": "no-cache"})
        if conditional.status_code == 304:
            assert conditional.headers["etag"] == anew.headers["etag"]
            num_held += 1
        else:
            assert conditional.content == anew.content
            num_changed += 1
        if "etag" in anew.headers:
            tags.add(anew.headers["etag"])
    assert num_held > 5
    assert num_changed > 5


def test_a_wrong_method_is_told_every_right_one(client):
    assert client.put("/v1/query").headers["allow"] == "GET, HEAD, POST"
    assert client.put("/v1/search").headers["allow"] == "POST"
