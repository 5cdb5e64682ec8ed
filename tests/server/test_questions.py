import json
from typing import get_args

import pytest

from steelyard.infra.mock_llm import Fault

LEAVE = """# Leave

Staff get 31 days of paid leave a year. Leave is booked in Rostra.

# Notice

The notice period is three months for everybody.
"""
QUERY_KEYS = {
    "answer", "answerable", "citations", "sources", "usage", "cache", "bundle", "snapshot",
    "degraded",
}  # fmt: skip


def put(client, identity="leave", text=LEAVE, **body):
    response = client.put(f"/v1/documents/{identity}?wait=true", json={"text": text, **body})
    assert response.json()["state"] == "searchable"


def events(client, query, **body):
    """Return (name, data) of each event of a streamed query."""
    found = []
    with client.stream("POST", "/v1/query", json={"query": query, "stream": True, **body}) as got:
        assert got.headers["content-type"].startswith("text/event-stream")
        assert got.headers["x-accel-buffering"] == "no"
        name = None
        for line in got.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                found.append((name, json.loads(line[6:])))
    return found


def test_an_answer_has_the_promised_keys_and_exact_citations(client):
    put(client)
    body = client.post(
        "/v1/query", json={"query": "How many days of paid leave do staff get a year?"}
    ).json()
    assert set(body) >= QUERY_KEYS
    assert body["answerable"] is True
    assert "31" in body["answer"]
    text = client.get("/v1/documents/leave").json()["text"]
    assert body["citations"]
    for citation in body["citations"]:
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    stages = body["usage"]["timings_ms"]
    assert {"embed", "dense", "lexical", "fuse", "fetch", "first_token", "total"} <= set(stages)


def test_search_reports_its_stages(client):
    put(client)
    body = client.post("/v1/search", json={"query": "leave"}).json()
    assert set(body["usage"]["timings_ms"]) == {
        "embed", "dense", "lexical", "fuse", "fetch", "total"
    }  # fmt: skip
    assert body["degraded"] == []
    assert body["snapshot"] > 0


def test_a_stream_is_sources_tokens_done_and_done_carries_the_json(client):
    put(client)
    got = events(client, "How many days of paid leave do staff get a year?")
    names = [name for name, _ in got]
    assert names[0] == "sources"
    assert names[-1] == "done"
    assert set(names[1:-1]) == {"token"}
    done = got[-1][1]
    assert "".join(data["text"] for name, data in got if name == "token") == done["answer"]
    assert set(done) >= QUERY_KEYS


def test_streamed_and_unstreamed_answers_cite_the_same(client):
    put(client)
    query = "How long is the notice period?"
    plain = client.post("/v1/query", json={"query": query}).json()
    streamed = events(client, query)[-1][1]
    assert plain["answer"] == streamed["answer"]
    assert plain["citations"] == streamed["citations"]


def test_the_documents_do_not_tell_is_said(client):
    put(client)
    body = client.post("/v1/query", json={"query": "Who won the chess olympiad?"}).json()
    assert body["answerable"] is False
    assert body["citations"] == []


def test_an_empty_home_answers_that_it_does_not_know(client):
    body = client.post("/v1/query", json={"query": "anything?"}).json()
    assert body["answerable"] is False


def test_feedback_is_kept_and_unknown_answers_are_refused(client):
    put(client)
    answer = client.post(
        "/v1/query", json={"query": "How many days of paid leave do staff get a year?"}
    ).json()
    for _ in range(50):  # the log is written behind the answer
        body = {
            "answer_id": answer["id"],
            "rating": "up",
            "comment": "thanks",
            "correction": "30 days [1].",
        }
        response = client.post("/v1/feedback", json=body)
        if response.status_code == 200:
            break
    assert response.status_code == 200
    (logged,) = client.app.state.live.app.store.recent_answers()
    assert (logged.rating, logged.correction) == ("up", "30 days [1].")
    unknown = client.post("/v1/feedback", json={"answer_id": "nope", "rating": "up"})
    assert unknown.status_code == 404
    wrong = client.post("/v1/feedback", json={"answer_id": answer["id"], "rating": "meh"})
    assert wrong.status_code == 400


def test_a_language_model_streams_its_answer_with_citations(open_client, mock_llm):
    url = mock_llm(reply="Staff get 31 days of paid leave a year [1].").url
    client = open_client(llm__url=url, llm__model="mock")
    put(client)
    got = events(client, "How many days of paid leave do staff get a year?")
    done = got[-1][1]
    assert done["answer"] == "Staff get 31 days of paid leave a year [1]."
    assert len([1 for name, _ in got if name == "token"]) > 1
    assert done["citations"][0]["quote"].startswith("Staff get 31 days")
    assert done["degraded"] == []


@pytest.mark.parametrize("fault", [fault for fault in get_args(Fault) if fault])
def test_whatever_the_language_model_does_every_stream_ends_once(open_client, mock_llm, fault):
    client = open_client(
        llm__url=mock_llm(fault=fault).url,
        llm__model="mock",
        llm__first_token_timeout_s=0.3,
        llm__stall_timeout_s=0.3,
        llm__total_timeout_s=2,
    )
    put(client)
    got = events(client, "How many days of paid leave do staff get a year?")
    names = [name for name, _ in got]
    assert names[-1] in ("done", "error")
    assert names.count("done") + names.count("error") == 1
    if names[-1] == "error":
        assert got[-1][1]["code"]
        assert "Traceback" not in got[-1][1]["message"]
    elif fault not in ("no_done", "no_stream_options", "whole"):
        assert got[-1][1]["degraded"], "a fallback must be told"


def test_a_missing_language_model_falls_back_to_the_documents_and_says_so(open_client):
    client = open_client(llm__url="http://127.0.0.1:9", llm__model="mock")
    put(client)
    body = client.post(
        "/v1/query", json={"query": "How many days of paid leave do staff get a year?"}
    ).json()
    assert "31" in body["answer"]
    assert body["degraded"][0].startswith("llm: ")
