import pytest


def code(response):
    return response.json()["error"]["code"]


@pytest.mark.parametrize("path", ["/v1/search", "/v1/query"])
@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"query": ""}, 400, "empty_query"),
        ({"query": " \n\t"}, 400, "empty_query"),
        ({"query": "x" * 100_000}, 413, "query_too_long"),
        ({"query": "a\x00b"}, 400, "binary_query"),
        ({"query": "ok", "k": 0}, 400, "bad_k"),
        ({"query": "ok", "k": 10**9}, 400, "bad_k"),
        ({"query": "ok", "k": "many"}, 400, "invalid_body"),
        ({"query": 7}, 400, "invalid_body"),
        ({}, 400, "invalid_body"),
        ({"query": "ok", "colection": "typo"}, 400, "invalid_body"),
        ({"query": "ok", "filter": {"a": {"$evil": 1}}}, 400, "bad_filter"),
        ([1, 2], 400, "invalid_body"),
    ],
)
def test_a_wrong_body_is_a_4xx_with_a_stable_code(client, path, body, status, expected):
    response = client.post(path, json=body)
    assert (response.status_code, code(response)) == (status, expected)
    assert response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/search", "/v1/query", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"\xff\xfe\x00binary", "not_utf8"),
        (b'{"query": "caf\xe9"}', "not_utf8"),
        (b'{"query": "\\ud800"}', "not_utf8"),
        (b"[" * 100_000, "bad_json"),
        (b'{"query": "' + b"y" * 3_000_000 + b'"}', "body_too_large"),
    ],
)
def test_a_body_that_is_not_utf8_json_is_refused(client, path, raw, expected):
    response = client.post(path, content=raw)
    assert response.status_code in (400, 413)
    assert code(response) == expected


def test_a_streamed_query_with_a_wrong_body_fails_before_the_stream(client):
    response = client.post("/v1/query", json={"query": "", "stream": True})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"


def test_unknown_paths_and_methods_have_codes(client):
    assert code(client.get("/nope")) == "not_found"
    assert code(client.get("/v1/search")) == "method_not_allowed"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=99999", "state=lost", "after=%00garbage"]
)
def test_a_wrong_listing_parameter_is_named(client, query):
    response = client.get(f"/v1/documents?{query}")
    assert response.status_code == 400
    assert query.split("=")[0] in response.json()["error"]["message"]


def test_an_upload_without_a_file_says_which_field(client):
    response = client.post("/v1/documents", data={"collection": "x"})
    assert code(response) == "no_file"
    assert "`files`" in response.json()["error"]["message"]


def test_a_document_id_of_control_characters_is_refused(client):
    response = client.put("/v1/documents/a%01b", json={"text": "x"})
    assert code(response) == "bad_id"


def test_errors_name_every_wrong_field_at_once(client):
    body = {"query": 1, "k": "x", "nope": 2}
    message = client.post("/v1/search", json=body).json()["error"]["message"]
    assert all(name in message for name in ("query", "k", "nope"))


def test_other_sites_pages_are_refused(client):
    foreign = client.post(
        "/v1/search", json={"query": "x"}, headers={"Origin": "https://evil.test"}
    )
    assert (foreign.status_code, code(foreign)) == (403, "foreign_origin")
    rebound = client.get("/v1/documents", headers={"Host": "evil.test"})
    assert (rebound.status_code, code(rebound)) == (403, "foreign_origin")
    own = client.get("/v1/documents", headers={"Origin": "http://127.0.0.1:8080"})
    assert own.status_code == 200
