"""`/v1/rerank`: Cohere's shape over whatever reranks searches."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

DOCUMENTS = ["bb", "aaaa", "c"]


@pytest.fixture
def upstream():
    """An endpoint whose scores are the documents' lengths; `fault` makes it answer nonsense."""

    class Handler(BaseHTTPRequestHandler):
        fault = False

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            rows = [
                {"index": n, "relevance_score": float(len(text))}
                for n, text in enumerate(sent["documents"])
            ]
            body = b"{}" if Handler.fault else json.dumps({"results": rows}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield Handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(open_client, upstream):
    return open_client(rerank__model=upstream[1])


def test_results_are_best_first_and_point_at_what_was_sent(client) -> None:
    body = {"model": "rerank-v3.5", "query": "q", "documents": DOCUMENTS}
    found = client.post("/v1/rerank", json=body)
    assert found.status_code == 200
    assert found.json()["results"] == [
        {"index": 1, "relevance_score": 4.0},
        {"index": 0, "relevance_score": 2.0},
        {"index": 2, "relevance_score": 1.0},
    ]


def test_top_n_and_documents_as_objects(client) -> None:
    documents = [{"text": text} for text in DOCUMENTS]
    body = {"query": "q", "documents": documents, "top_n": 1, "return_documents": True}
    assert client.post("/v1/rerank", json=body).json()["results"] == [
        {"index": 1, "relevance_score": 4.0, "document": {"text": "aaaa"}}
    ]


def test_more_than_one_slice_is_scored_whole(client) -> None:
    documents = ["x" * n for n in range(1, 51)]
    results = client.post("/v1/rerank", json={"query": "q", "documents": documents}).json()
    assert [row["index"] for row in results["results"]] == list(range(49, -1, -1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"query": "  "}, "query is empty"),
        ({"documents": []}, "documents has 0 texts; send 1 to 1,000"),
        ({"documents": ["x"] * 1001}, "documents has 1001 texts"),
        ({"documents": "x"}, "documents"),
        ({"documents": [7]}, "documents"),
        ({"top_n": 0}, "top_n"),
    ],
)
def test_wrong_bodies_are_told_what_is_wrong(client, change, words) -> None:
    body = {"query": "q", "documents": DOCUMENTS} | change
    answer = client.post("/v1/rerank", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_without_a_reranker_the_repair_is_named(open_client) -> None:
    answer = open_client().post("/v1/rerank", json={"query": "q", "documents": DOCUMENTS})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no_reranker"
    assert "STEELYARD_RERANK_MODEL" in answer.json()["error"]["message"]


def test_a_failing_endpoint_is_a_bad_gateway_and_a_search_goes_on_without(client, upstream) -> None:
    client.put("/v1/documents/a?wait=true", json={"text": "31 days of leave"})
    upstream[0].fault = True
    answer = client.post("/v1/rerank", json={"query": "q", "documents": DOCUMENTS})
    assert answer.status_code == 502
    assert "is it a /v1/rerank endpoint?" in answer.json()["error"]["message"]
    found = client.post("/v1/search", json={"query": "days of leave"}).json()
    assert len(found["hits"]) == 1
    assert any("rerank" in word for word in found["degraded"])


def test_no_time_is_an_overload_that_says_how_far_it_came(client) -> None:
    answer = client.post(
        "/v1/rerank",
        json={"query": "q", "documents": DOCUMENTS},
        headers={"X-Deadline-Ms": "0"},
    )
    assert answer.status_code == 429
    assert "0 of 3 documents were scored within 0 s" in answer.json()["error"]["message"]
