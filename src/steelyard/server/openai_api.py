"""OpenAI's shapes: `/v1/chat/completions`, `/v1/embeddings`, `/v1/models`."""

import base64
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.core.chat import Answer, AnswerEvent, Done, Failed, Message, Sources, Token
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal, Query
from steelyard.infra.concurrent import compute
from steelyard.server import outcomes, sse
from steelyard.server.bodies import ChatBody, EmbeddingsBody
from steelyard.server.errors import error_json
from steelyard.server.live import live
from steelyard.server.questions import begun
from steelyard.server.requests import read_json, user_of, wish

MODEL = "steelyard"
MAX_INPUTS = 2048  # OpenAI's own limit


async def models(request: Request) -> Response:
    """List what `model` may be: the answering bundle and the embedder."""
    here = live(request)
    here.door.principal(request)
    names = (MODEL, here.app.space.settings.embed.model)
    rows = [{"id": n, "object": "model", "created": 0, "owned_by": "steelyard"} for n in names]
    return JSONResponse({"object": "list", "data": rows})


async def chat_completions(request: Request) -> Response:
    """Answer the last user message from the documents; citations are in `annotations`."""
    here = live(request)
    principal = here.door.principal(request)
    body = await read_json(request, ChatBody)
    asked, history = _question(body, principal)
    user = user_of(request, principal, body.user, keyed=here.door.required)
    if body.stream:
        with_usage = bool((body.stream_options or {}).get("include_usage"))
        stream = here.sides.stream(asked, wish(request, history), user=user)
        return sse.stream(await begun(_chunks(request, asked, stream, with_usage=with_usage)))
    with outcomes.failures(request, asked):
        answer = await here.sides.answer(asked, wish(request, history), user=user)
    outcomes.answered(request, asked, answer)
    message = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": annotations(answer),
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    head = _head(answer.id, "chat.completion")
    return JSONResponse({**head, "choices": [choice], "usage": _usage(answer)})


def _question(body: ChatBody, principal: Principal) -> tuple[Query, list[Message]]:
    if body.n not in (None, 1):
        raise InputError(f"n is {body.n}; only 1 answer at a time is given", code="invalid_body")
    turns = [Message(turn.role, turn.text) for turn in body.messages]
    last = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=None)
    if last is None:
        raise InputError("messages has no user message; the last one is the question")
    question = Query(
        text=turns[last].content,
        principal=principal,
        k=body.k,
        collection=body.collection,
        filter=body.filter,
    )
    return question, [turn for turn in turns[:last] if turn.role in ("user", "assistant")]


async def _chunks(
    request: Request,
    asked: Query,
    stream: AsyncGenerator[AnswerEvent, None],
    *,
    with_usage: bool,
) -> AsyncGenerator[bytes, None]:
    head = _head("chatcmpl-" + str(time.time_ns()), "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return sse.event(None, {**head, "choices": [choice]})

    async with aclosing(stream) as events:
        async for event in events:
            match event:
                case Sources():
                    yield chunk({"role": "assistant", "content": ""})
                case Token(text):
                    yield chunk({"content": text})
                case Done(answer):
                    outcomes.answered(request, asked, answer, stream=True)
                    yield chunk({"annotations": annotations(answer)}, "stop")
                    if with_usage:
                        yield sse.event(None, {**head, "choices": [], "usage": _usage(answer)})
                case Failed(code, message, retry_after_s):
                    outcomes.failed(request, asked, code, stream=True)
                    yield sse.event(None, error_json(code, message, retry_after_s))
    yield sse.event(None, "[DONE]")


async def embeddings(request: Request) -> Response:
    """Embed texts with the home's own embedder."""
    here = live(request)
    here.door.principal(request)
    body = await read_json(request, EmbeddingsBody)
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not texts or len(texts) > MAX_INPUTS or not all(text.strip() for text in texts):
        raise InputError(
            f"input has {len(texts)} texts; send 1 to {MAX_INPUTS}, none of them empty",
            code="invalid_body",
        )
    space = here.app.space
    embedder = space.embedder
    pool = here.app.workers.ingest
    vectors = await compute(pool, embedder.embed_passages, texts)
    num_tokens = sum(await compute(pool, embedder.tokenizer.count, texts))
    rows = [
        {"object": "embedding", "index": i, "embedding": _encode(vector, body.encoding_format)}
        for i, vector in enumerate(vectors.astype("<f4"))
    ]
    usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
    model = space.settings.embed.model
    return JSONResponse({"object": "list", "data": rows, "model": model, "usage": usage})


def annotations(answer: Answer) -> list[dict[str, Any]]:
    """Return citations in OpenAI's `url_citation` form, with our exact spans beside it.

    `start_index` and `end_index` span the marker `[n]` in the answer.
    """
    titles = {source.n: source.title for source in answer.sources}
    rows = []
    for citation in answer.citations:
        marker = f"[{citation.n}]"
        at = max(answer.text.find(marker), 0)
        url_citation = {
            "url": citation.uri,
            "title": titles.get(citation.n, ""),
            "start_index": at,
            "end_index": at + len(marker),
        }
        span = {
            "n": citation.n,
            "document_id": citation.document_id,
            "chunk_id": str(citation.chunk_id),
            "start": citation.start,
            "end": citation.end,
            "quote": citation.quote,
        }
        rows.append({"type": "url_citation", "url_citation": url_citation, "steelyard": span})
    return rows


def _head(identity: str, kind: str) -> dict[str, Any]:
    return {"id": identity, "object": kind, "created": int(time.time()), "model": MODEL}


def _usage(answer: Answer) -> dict[str, Any]:
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    told: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if answer.usage.cached_tokens is not None:
        told["prompt_tokens_details"] = {"cached_tokens": answer.usage.cached_tokens}
    return told


def _encode(vector: np.ndarray[Any, Any], encoding_format: str) -> list[float] | str:
    if encoding_format == "base64":
        return base64.b64encode(vector.tobytes()).decode("ascii")
    return [float(value) for value in vector]
