"""`/v1/rerank`, in the shape that Cohere and Jina share."""

from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.core.deadline import Deadline
from steelyard.core.errors import InputError, Overloaded, SetupError
from steelyard.core.protocols import Reranker
from steelyard.core.ranking import RerankPassage
from steelyard.infra.concurrent import compute
from steelyard.server.bodies import RerankBody
from steelyard.server.live import live
from steelyard.server.requests import deadline, read_json

MAX_DOCUMENTS = 1000
DEFAULT_BUDGET_S = 30.0  # a caller who reranks by himself waits for all of it
_SLICE = 20  # scored together; between slices other requests have their turn


async def rerank(request: Request) -> Response:
    """Score documents against a query, best first, by the model that serves searches."""
    here = live(request)
    here.door.principal(request)
    body = await read_json(request, RerankBody)
    texts = _checked(body)
    left = deadline(request, default_s=DEFAULT_BUDGET_S)
    with here.app.serving.hold() as champion:
        reranker = await compute(here.app.workers.query, lambda: champion.reranker)
        if reranker is None:
            raise SetupError(
                "no reranker is configured; set STEELYARD_RERANK_MODEL to the directory or hub "
                "name of a cross-encoder or the URL of a /v1/rerank endpoint, and start again",
                code="no_reranker",
            )
        scores = await _scores(reranker, body.query, texts, left)
    order = sorted(range(len(texts)), key=lambda at: (-scores[at], at))
    results: list[dict[str, Any]] = [
        {"index": at, "relevance_score": scores[at]} for at in order[: body.top_n]
    ]
    if body.return_documents:
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    return JSONResponse({"id": f"rerank-{uuid4()}", "model": reranker.model, "results": results})


async def _scores(reranker: Reranker, query: str, texts: list[str], left: Deadline) -> list[float]:
    """Return a score for every text.

    Raises:
        Overloaded: time ran out before the last one.
    """
    passages = [RerankPassage(at, text) for at, text in enumerate(texts)]
    scores: list[float] = []
    while len(scores) < len(passages):
        some = passages[len(scores) : len(scores) + _SLICE]
        found = await reranker.scores(query, some, budget_s=left.left_s())
        scores += found
        if len(found) < len(some):
            raise Overloaded(
                f"{len(scores)} of {len(passages)} documents were scored within "
                f"{left.budget_s:g} s; send fewer, or allow more time with X-Deadline-Ms"
            )
    return scores


def _checked(body: RerankBody) -> list[str]:
    texts = body.texts
    if not body.query.strip():
        raise InputError("query is empty; send the question that is asked", code="invalid_body")
    if not 1 <= len(texts) <= MAX_DOCUMENTS:
        raise InputError(
            f"documents has {len(texts)} texts; send 1 to {MAX_DOCUMENTS:,}", code="invalid_body"
        )
    return texts
