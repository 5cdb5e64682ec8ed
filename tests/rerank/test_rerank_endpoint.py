"""A `/v1/rerank` endpoint, and all the ways in which it can let us down."""

import asyncio
import json

import pytest

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.ranking import RerankPassage
from steelyard.rerank import EndpointReranker, RerankOptions, is_endpoint

QUESTION = "how many days?"


def ask(url: str, passages, *, question: str = QUESTION, budget_s: float = 10.0, **options):
    async def once() -> list[float]:
        reranker = EndpointReranker(RerankOptions(model=url, **options))
        try:
            return await reranker.scores(question, passages, budget_s=budget_s)
        finally:
            await reranker.aclose()

    return once()


def test_scores_come_back_in_the_order_of_the_passages(rerank_server, passages, run) -> None:
    scores = run(ask(rerank_server.url + "#bge-m3", passages))
    assert scores == [float(len(passage.text)) for passage in passages]
    path, body, key = rerank_server.seen[0]
    assert path == "/v1/rerank"
    assert body == {
        "model": "bge-m3",
        "query": QUESTION,
        "documents": [passage.text for passage in passages],
        "top_n": 5,
    }
    assert key is None


def test_key_comes_from_the_environment(
    rerank_server, passages, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEELYARD_RERANK_KEY", "secret")
    run(ask(rerank_server.url + "/v1/rerank", passages))
    path, body, key = rerank_server.seen[0]
    assert (path, key) == ("/v1/rerank", "Bearer secret")
    assert "model" not in body


def test_without_budget_or_passages_nothing_is_sent(rerank_server, passages, run) -> None:
    assert run(ask(rerank_server.url, passages, budget_s=0)) == []
    assert run(ask(rerank_server.url, [])) == []
    assert rerank_server.seen == []


def test_endpoint_that_hangs_costs_the_budget_and_an_error(rerank_server, passages, run) -> None:
    rerank_server.hang.clear()
    with pytest.raises(UpstreamError, match="no scores within 50 ms"):
        run(ask(rerank_server.url, passages, budget_s=0.05))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"<html>hello</html>", "no list of scores"),
        (b"[1, 2]", "no list of scores"),
        (b'{"results": 7}', "no list of scores"),
        (b'{"results": [{"index": 0}]}', "no list of scores"),
        (b'{"results": [{"index": "0", "relevance_score": 1}]}', "no list of scores"),
        (b'{"results": [{"index": 0, "relevance_score": "good"}]}', "no list of scores"),
        (b'{"results": []}', "gave 0 scores for 5"),
        (b'{"results": [{"index": 0, "relevance_score": 1}]}', "gave 1 scores for 5"),
        (
            json.dumps({"results": [{"index": 0, "relevance_score": 1}] * 5}).encode(),
            "for others than were sent",
        ),
        (
            json.dumps(
                {"results": [{"index": n, "relevance_score": float("nan")} for n in range(5)]}
            ).encode(),
            "the score nan",
        ),
    ],
)
def test_nonsense_is_an_upstream_error(rerank_server, passages, run, reply, words) -> None:
    rerank_server.reply = reply
    with pytest.raises(UpstreamError, match=words):
        run(ask(rerank_server.url, passages))


def test_refusals_and_dead_servers_are_upstream_errors(rerank_server, passages, run) -> None:
    rerank_server.status, rerank_server.reply = 401, b""
    with pytest.raises(UpstreamError, match="refuses the key"):
        run(ask(rerank_server.url, passages))
    with pytest.raises(UpstreamError, match="cannot connect"):
        run(ask("http://127.0.0.1:9", passages))


def test_surrogates_and_huge_questions_are_sent_as_what_a_server_takes(rerank_server, run) -> None:
    passages = [RerankPassage(1, "bad \ud800 text")]
    run(ask(rerank_server.url, passages, question="why? \udfff " * 10_000, max_tokens=128))
    body = rerank_server.seen[0][1]
    assert body["documents"] == ["bad ? text"]
    assert len(body["query"]) == 512


def test_a_cancelled_request_ends_at_once(rerank_server, passages, run) -> None:
    rerank_server.hang.clear()

    async def cancel() -> None:
        job = asyncio.ensure_future(ask(rerank_server.url, passages))
        await asyncio.to_thread(rerank_server.arrived.wait, 10)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    run(cancel())


def test_only_urls_are_endpoints() -> None:
    assert is_endpoint("https://api.example/v1#m")
    assert not is_endpoint("cross-encoder/ms-marco-MiniLM-L6-v2")
    with pytest.raises(SetupError, match=r"rerank\.model: .*holds a password"):
        EndpointReranker(RerankOptions(model="http://me:secret@127.0.0.1/v1"))
