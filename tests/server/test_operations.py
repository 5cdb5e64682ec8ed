import json

from steelyard import ui
from steelyard.server.openapi import ENDPOINTS, openapi


def test_health_and_readiness(client):
    assert client.get("/healthz").json() == {"ok": True}
    assert client.get("/readyz").json() == {"ready": True, "waiting_for": []}


def test_metrics_count_requests_and_stages(client):
    client.put("/v1/documents/a?wait=true", json={"text": "# A\n\nsome words here"})
    client.post("/v1/query", json={"query": "some words"})
    text = client.get("/metrics").text
    assert 'steelyard_requests_total{route="/v1/query",status="200"} 1.0' in text
    assert 'steelyard_stage_seconds_count{stage="embed"}' in text
    assert 'steelyard_documents_ingested_total{state="searchable"} 1.0' in text
    assert 'steelyard_corpus{what="documents"} 1.0' in text
    assert "steelyard_ingest_seconds_count 1.0" in text
    assert "steelyard_ingest_open 0.0" in text
    assert "steelyard_index_behind 0.0" in text


def test_operations_tell_of_the_last_minutes(client):
    client.put("/v1/documents/a?wait=true", json={"text": "# A\n\nsome words here"})
    client.post("/v1/query", json={"query": "some words"})
    client.post("/v1/search", json={"query": "some words"})
    told = client.get("/v1/operations").json()
    stages = {row["stage"]: row for row in told["stages"]}
    assert stages["lexical"]["count"] == 2
    assert stages["total"]["count"] == stages["first_token"]["count"] == 1
    assert stages["search"]["count"] == 2
    for row in stages.values():
        assert 0 <= row["p50"] <= row["p95"] <= row["p99"] <= row["max"]
    assert sum(told["cache"].values()) == 1
    assert told["admission"] == {"admitted": 2}
    assert told["batches"]["questions"]["items"] == 1  # the second question was remembered
    assert told["snapshot"] == told["truth"] > 0
    assert told["bundle"].startswith("b")
    assert told["ingest"]["open"] == told["in_flight"] == 0
    assert told["window_s"] == 60
    assert told["uptime_s"] >= 0
    [slow] = told["slow"]
    assert slow["question"] == "some words"
    assert slow["timings_ms"]["total"] == stages["total"]["max"]


def test_operations_refuse_a_window_that_is_not_kept(client):
    for window in ("0", "9", "301", "-60", "soon", "6e1"):
        response = client.get(f"/v1/operations?window_s={window}")
        assert response.status_code == 400
        assert "window_s" in response.json()["error"]["message"]
    assert client.get("/v1/operations?window_s=300").json()["window_s"] == 300


def test_wrong_requests_are_neither_admitted_nor_in_flight_for_ever(client):
    for body in ({"query": ""}, {"nonsense": 1}):
        assert client.post("/v1/query", json=body).status_code == 400
    told = client.get("/v1/operations").json()
    assert told["admission"] == {}
    assert told["in_flight"] == 0


def test_a_stream_is_in_flight_until_its_end(client):
    client.put("/v1/documents/a?wait=true", json={"text": "# A\n\nsome words here"})
    with client.stream("POST", "/v1/query", json={"query": "some words", "stream": True}) as got:
        got.read()
    told = client.get("/v1/operations").json()
    assert told["in_flight"] == 0
    assert told["admission"] == {"admitted": 1}
    assert sum(told["answers"].values()) == 1


def test_status_tells_what_the_home_holds(client):
    client.put("/v1/documents/a?wait=true", json={"text": "# A\n\nsome words", "collection": "x"})
    status = client.get("/v1/status").json()
    assert status["num_documents"] == 1
    assert status["num_chunks"] == 1
    assert status["states"]["searchable"] == 1
    assert status["collections"] == ["x"]
    assert status["embedder"] == "hashing"


def test_the_openapi_document_describes_every_endpoint(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for endpoint in ENDPOINTS:
        if endpoint.in_schema:
            path = endpoint.path.replace(":path", "")
            assert endpoint.method.lower() in document["paths"][path]
    refs = set()

    def walk(node):
        if isinstance(node, dict):
            refs.update([node["$ref"]] if "$ref" in node else [])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert all(ref.split("/")[-1] in document["components"]["schemas"] for ref in refs)
    assert json.dumps(openapi())


def test_the_page_and_the_docs_need_nothing_from_elsewhere(client):
    for path in ("/", "/docs"):
        response = client.get(path)
        assert response.status_code == 200
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert "http://" not in response.text.replace("http://www.w3.org", "")
        assert "https://" not in response.text
    for name in ui.STATIC.iterdir():
        assert client.get(f"/static/{name.name}").status_code == 200
