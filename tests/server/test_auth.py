import pytest

from steelyard.core.errors import SetupError
from steelyard.server.auth import is_loopback

ROUTES = [
    ("POST", "/v1/search", {"query": "x"}),
    ("POST", "/v1/query", {"query": "x"}),
    ("POST", "/v1/feedback", {"answer_id": "a", "rating": "up"}),
    ("GET", "/v1/documents", None),
    ("POST", "/v1/documents", None),
    ("PUT", "/v1/documents/a", {"text": "x"}),
    ("GET", "/v1/documents/a", None),
    ("DELETE", "/v1/documents/a", None),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ("POST", "/v1/embeddings", {"input": "x"}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/status", None),
    ("GET", "/v1/operations", None),
    ("GET", "/metrics", None),
]


@pytest.fixture
def guarded(open_client):
    """A client of a home with keys, and a function that gives the headers of each."""
    secrets = {}

    def prepare(app):
        secrets["boss"] = app.store.add_key("boss", ("public", "board"), operator=True)
        secrets["staff"] = app.store.add_key("staff", ("public",))

    client = open_client(prepare=prepare)
    return client, lambda name: {"Authorization": f"Bearer {secrets[name]}"}


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_every_route_refuses_without_a_key(guarded, method, path, body):
    client, _ = guarded
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        response = client.request(method, path, json=body, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == "Bearer"


def test_health_and_the_page_need_no_key(guarded):
    client, _ = guarded
    assert client.get("/healthz").status_code == 200
    assert client.get("/").status_code == 200


def test_operations_hold_questions_and_are_for_operators_only(guarded):
    client, key = guarded
    client.post("/v1/query", json={"query": "is anything planned?"}, headers=key("staff"))
    refused = client.get("/v1/operations", headers=key("staff"))
    assert refused.status_code == 403
    assert "planned" not in refused.text
    assert "operator's key" in refused.json()["error"]["message"]
    told = client.get("/v1/operations", headers=key("boss")).json()
    assert [slow["question"] for slow in told["slow"]] == ["is anything planned?"]
    assert "planned" not in client.get("/metrics", headers=key("staff")).text


def test_a_reader_sees_its_groups_only_on_every_route(guarded):
    client, key = guarded
    put = client.put(
        "/v1/documents/secret?wait=true",
        json={"text": "# Plans\n\nThe merger is code-named Otter.", "groups": ["board"]},
        headers=key("boss"),
    )
    assert put.json()["state"] == "searchable"
    search = {"query": "merger code name otter"}
    assert client.post("/v1/search", json=search, headers=key("boss")).json()["hits"]
    assert client.post("/v1/search", json=search, headers=key("staff")).json()["hits"] == []
    asked = client.post("/v1/query", json=search, headers=key("staff")).json()
    assert asked["sources"] == []
    assert "Otter" not in asked["answer"]
    assert client.get("/v1/documents/secret", headers=key("staff")).status_code == 404
    assert client.get("/v1/documents", headers=key("staff")).json()["documents"] == []
    chat = {"messages": [{"role": "user", "content": "What is the merger's code name?"}]}
    answer = client.post("/v1/chat/completions", json=chat, headers=key("staff")).json()
    assert "Otter" not in str(answer)


def test_a_reader_may_not_write(guarded):
    client, key = guarded
    for method, path, body in (
        ("PUT", "/v1/documents/a", {"text": "x"}),
        ("DELETE", "/v1/documents/a", None),
        ("POST", "/v1/documents", None),
    ):
        response = client.request(method, path, json=body, headers=key("staff"))
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "forbidden"


def test_beyond_loopback_a_key_is_required_before_it_starts(open_client):
    with pytest.raises(SetupError, match="steelyard keys add"):
        open_client(serve__host="0.0.0.0")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("10.0.0.1", False), ("example.test", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_rest(host, expected):
    assert is_loopback(host) is expected
