"""`/v1/registry`, as an operator's tools meet it."""

from asking import ask, put
from starlette.testclient import TestClient

from steelyard.app import App
from steelyard.core.registry import Evaluation
from steelyard.flows.registry import Draft
from steelyard.registry import options_id


def app_of(client: TestClient) -> App:
    return client.app.state.live.app


def register(client: TestClient, name: str = "words", **options: object) -> str:
    told = {key.replace("__", "."): value for key, value in options.items()}
    return app_of(client).registry.register(Draft(name, options=told), who="ann").version.id


def weigh(client: TestClient, identity: str, *, passed: bool) -> None:
    against = options_id(app_of(client).registry.champions().options)
    reasons = ("pass: all",) if passed else ("fail: F1 better by 0: F1 changed by -0.1",)
    evaluation = Evaluation("r1", "s", "s1", 9, against, passed, {}, reasons)
    app_of(client).store.keep_evaluation(identity, evaluation, who="ann")


def promote(client: TestClient, version: str, **body: object):
    return client.post("/v1/registry/promote", json={"version": version, **body})


def test_a_version_that_passed_serves_when_the_answer_is_there_and_goes_back_likewise(client):
    put(client)
    before = ask(client).json()["bundle"]
    identity = register(client, retrieve__legs="lexical")
    weigh(client, identity, passed=True)
    done = promote(client, "words", why="as weighed")
    assert done.status_code == 200, done.text
    told = done.json()
    assert (told["event"]["who"], told["event"]["forced"], told["refused"]) == (
        "public", False, None,
    )  # fmt: skip
    assert ask(client).json()["bundle"] == told["bundle"] != before
    back = client.post("/v1/registry/rollback", json={"why": "slow"}).json()
    assert back["event"]["before"] == identity
    assert ask(client).json()["bundle"] == back["bundle"] == before


def test_the_registry_is_listed_shown_and_told(client):
    identity = register(client, retrieve__pool=77)
    weigh(client, identity, passed=False)
    promote(client, identity, force=True, why="for the demo")
    listed = client.get("/v1/registry").json()
    assert listed["aliases"] == {"options": {"champion": identity}}
    assert listed["options"] == {"retrieve.pool": 77}
    assert [one["id"] for one in listed["versions"]] == [identity]
    shown = client.get("/v1/registry/versions/champion").json()
    assert shown["lineage"]["name"] == f"words {identity}"
    events = client.get("/v1/registry/history?version=words").json()["events"]
    assert [one["action"] for one in events] == ["register", "weigh", "promote"]
    assert (events[-1]["forced"], events[-1]["why"]) == (True, "for the demo")
    assert len(client.get("/v1/registry/history?limit=1").json()["events"]) == 1
    assert listed["seq"] == events[-1]["seq"]


# FIELD 21: what got worse is not promoted by itself.
def test_what_the_gate_refused_is_refused_with_its_figures(client):
    identity = register(client, retrieve__pool=77)
    unweighed = promote(client, identity)
    assert (unweighed.status_code, unweighed.json()["error"]["code"]) == (409, "not_weighed")
    weigh(client, identity, passed=False)
    refused = promote(client, identity)
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert error["code"] == "gate_refused"
    assert "F1 changed by -0.1" in error["message"]
    assert client.get("/v1/registry").json()["seq"] == 0


def test_what_is_wrong_is_told(client):
    assert promote(client, "nobody").status_code == 404
    assert promote(client, "x", colour="red").status_code == 400
    assert client.post("/v1/registry/rollback", json={}).json()["error"]["code"] == "no_previous"
    identity = register(client, retrieve__pool=77)
    assert promote(client, identity, force=True).status_code == 400  # without a reason
    assert client.get("/v1/registry/versions/previous").status_code == 404


def test_only_operators_see_and_change_the_registry(open_client):
    keys = {}

    def prepare(app: App) -> None:
        for name in ("reader", "boss"):
            keys[name] = app.store.add_key(name, ["public"], operator=name == "boss")

    client = open_client(prepare=prepare)
    identity = register(client, retrieve__pool=77)
    calls = [
        ("GET", "/v1/registry", None),
        ("GET", "/v1/registry/history", None),
        ("GET", f"/v1/registry/versions/{identity}", None),
        ("POST", "/v1/registry/promote", {"version": identity, "force": True, "why": "x"}),
        ("POST", "/v1/registry/rollback", {}),
    ]
    for method, path, body in calls:
        for name, status in ((None, 401), ("reader", 403)):
            headers = {} if name is None else {"Authorization": f"Bearer {keys[name]}"}
            assert client.request(method, path, json=body, headers=headers).status_code == status
    headers = {"Authorization": f"Bearer {keys['boss']}"}
    for method, path, body in calls:
        done = client.request(method, path, json=body, headers=headers)
        assert done.status_code == 200, done.text
    assert app_of(client).store.registry_history()[-1].who == "boss"
