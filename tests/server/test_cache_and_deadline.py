"""Answers served again, deadlines and several collections, through the door."""

import json

import pytest

from steelyard.app import App

QUESTION = "How long is the notice period?"


def put(client, identity: str, text: str, **more: object) -> None:
    body = {"text": text, **more}
    answer = client.put(f"/v1/documents/{identity}?wait=true", json=body)
    assert answer.status_code in (200, 201), answer.text


def ask(client, question: str = QUESTION, headers: dict[str, str] | None = None, **more: object):
    return client.post("/v1/query", json={"query": question, **more}, headers=headers or {})


@pytest.fixture
def staff(client):
    put(client, "notice", "The notice period is three months for all staff.")
    put(client, "lunch", "Lunch is served at noon in the canteen.")
    return client


def test_an_equal_question_is_served_again_under_an_id_of_its_own(staff) -> None:
    first, second = ask(staff).json(), ask(staff, QUESTION.rstrip("?")).json()
    assert (first["cache"], second["cache"]) == ("miss", "exact")
    assert first["id"] != second["id"]
    for part in ("answer", "citations", "sources", "bundle"):
        assert first[part] == second[part]
    assert staff.post("/v1/feedback", json={"answer_id": second["id"], "rating": "up"}).is_success
    assert second["usage"]["completion_tokens"] == 0


def test_a_stream_from_the_cache_has_the_same_events(staff) -> None:
    whole = ask(staff).json()
    body = {"query": QUESTION, "stream": True}
    with staff.stream("POST", "/v1/query", json=body) as response:
        text = response.read().decode()
    names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
    assert names == ["sources", "token", "done"]
    done = json.loads(text.rsplit("data: ", 1)[1])
    assert (done["cache"], done["answer"]) == ("exact", whole["answer"])


@pytest.mark.parametrize(
    "change",
    [
        lambda client: put(client, "notice", "The notice period is six months for all staff."),
        lambda client: client.delete("/v1/documents/notice"),
        lambda client: put(client, "new", "The notice period is one day for interns."),
    ],
    ids=["changed", "deleted", "added"],
)
def test_a_change_of_a_document_is_never_answered_from_before(staff, change) -> None:
    before = ask(staff).json()
    change(staff)
    after = ask(staff).json()
    assert after["cache"] == "miss"
    assert after["sources"] != before["sources"]


def test_a_change_that_the_question_does_not_find_leaves_the_answer_valid(client) -> None:
    for n in range(30):
        put(client, f"notice{n}", f"The notice period of team {n} is {n} months.")
    first = ask(client, k=3).json()
    put(client, "other", "Zebras graze.", collection="zoo")
    second = ask(client, k=3).json()
    assert (first["cache"], second["cache"]) == ("miss", "exact")
    assert second["snapshot"] > first["snapshot"]


@pytest.mark.parametrize(
    ("control", "outcomes"),
    [("no-cache", ["bypass", "exact"]), ("no-store", ["bypass", "miss"])],
)
def test_a_caller_may_bypass_the_cache(staff, control: str, outcomes: list[str]) -> None:
    first = ask(staff, headers={"Cache-Control": control}).json()
    assert [first["cache"], ask(staff).json()["cache"]] == outcomes


def test_another_principal_never_gets_an_answer_that_was_kept_for_one(open_client) -> None:
    secrets: dict[str, str] = {}

    def keys(app: App) -> None:
        for name, groups in (("hr", ["hr"]), ("all", ["public"])):
            secrets[name] = app.store.add_key(name, tuple(groups))
        secrets["op"] = app.store.add_key("op", (), operator=True)

    client = open_client(prepare=keys)

    def auth(name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secrets[name]}"}

    put_body = {"text": "The notice period of directors is two years.", "groups": ["hr"]}
    made = client.put("/v1/documents/d?wait=true", json=put_body, headers=auth("op"))
    assert made.is_success, made.text
    assert "two years" in ask(client, headers=auth("hr")).text
    other = ask(client, headers=auth("all"))
    assert other.json()["cache"] == "miss"
    assert "two years" not in other.text
    assert ask(client, headers=auth("hr")).json()["cache"] == "exact"


def test_with_the_cache_off_every_question_is_answered_anew(open_client) -> None:
    client = open_client(cache__mode="off")
    put(client, "notice", "The notice period is three months.")
    assert [ask(client).json()["cache"] for _ in range(2)] == ["off", "off"]


def test_a_degraded_answer_is_not_kept(open_client, mock_llm) -> None:
    broken = mock_llm(fault="refuse")
    client = open_client(llm__url=broken.url, llm__model="m")
    put(client, "notice", "The notice period is three months.")
    for _ in range(2):
        answer = ask(client).json()
        assert answer["cache"] == "miss"
        assert answer["degraded"][0].startswith("llm:")


def test_a_deadline_of_zero_serves_what_is_kept_and_nothing_else(staff) -> None:
    none = {"X-Deadline-Ms": "0"}
    refused = ask(staff, headers=none)
    assert refused.status_code == 504
    assert refused.json()["error"]["code"] == "deadline_exceeded"
    assert staff.post("/v1/search", json={"query": "x"}, headers=none).status_code == 504
    ask(staff)
    served = ask(staff, headers=none)
    assert (served.status_code, served.json()["cache"]) == (200, "exact")


@pytest.mark.parametrize("value", ["-1", "soon", "nan", "inf", "600001", ""])
def test_a_deadline_that_is_no_time_is_refused_by_name(staff, value: str) -> None:
    refused = ask(staff, headers={"X-Deadline-Ms": value})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "bad_deadline"
    assert "X-Deadline-Ms" in refused.json()["error"]["message"]


def test_several_collections_are_asked_at_once(client) -> None:
    put(client, "a", "The notice period in Norway is one month.", collection="no")
    put(client, "b", "The notice period in Spain is two weeks.", collection="es")
    put(client, "c", "The notice period in Peru is unknown.", collection="pe")
    body = {"query": QUESTION, "collection": ["no", "es"], "k": 5}
    hits = client.post("/v1/search", json=body).json()["hits"]
    assert {hit["document_id"] for hit in hits} == {"a", "b"}
    assert client.post("/v1/search", json={**body, "collection": []}).status_code == 400
