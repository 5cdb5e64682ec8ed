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
