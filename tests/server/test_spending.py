"""`/v1/spend`: what was asked is priced, for operators alone."""

import pytest


def test_what_was_asked_through_the_door_is_priced(open_client, mock_llm):
    server = mock_llm(reply="Forty-two [1].")
    client = open_client(llm__url=server.url, llm__model="gpt-6-luna")
    client.post("/v1/documents", json={"id": "d", "text": "The answer is forty-two."})
    answers = [client.post("/v1/query", json={"query": "What is the answer?"}) for _ in range(2)]
    first, again = (one.json() for one in answers)
    assert (first["cache"], again["cache"]) == ("miss", "exact")
    told = client.get("/v1/spend", params={"by": "model", "since": "1d"}).json()
    (line,) = told["groups"]
    usage = first["usage"]
    usd = (usage["prompt_tokens"] * 0.10 + usage["completion_tokens"] * 0.50) / 1e6
    assert (line["name"], line["num_questions"], line["num_again"]) == ("gpt-6-luna", 2, 1)
    assert line["usd"] == pytest.approx(usd)
    assert line["saved_usd"] == pytest.approx(usd)
    assert line["usd_per_1000"] == pytest.approx(usd / 2 * 1000)
    assert {price["item"] for price in told["prices"]} == {
        "llm/gpt-6-luna/in",
        "llm/gpt-6-luna/out",
    }


def test_a_wrong_wish_is_a_bad_request(client):
    for params in ({"by": "moon"}, {"since": "soon"}, {"machine": "server/cpu-4"}):
        assert client.get("/v1/spend", params=params).status_code == 400, params
    assert client.get("/v1/spend", params={"machine": "gpu/toaster"}).status_code == 404


def test_only_operators_see_what_was_spent(open_client):
    keys = {}

    def prepare(app):
        for name in ("boss", "ann"):
            keys[name] = app.store.add_key(name, ["public"], operator=name == "boss")

    client = open_client(prepare=prepare)
    for name, status in (("ann", 403), ("boss", 200)):
        headers = {"Authorization": f"Bearer {keys[name]}"}
        assert client.get("/v1/spend", headers=headers).status_code == status
