"""`/v1/search`, `/v1/query` and `/v1/feedback`."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.core.chat import Done, Failed, Sources, Token
from steelyard.core.ranking import Query
from steelyard.server import outcomes, sse
from steelyard.server.bodies import (
    FeedbackBody,
    QueryBody,
    SearchBody,
    answer_json,
    passage_json,
    search_json,
)
from steelyard.server.errors import error_json
from steelyard.server.live import live
from steelyard.server.replies import Reply
from steelyard.server.requests import deadline, read_json, user_of, wish


async def search(request: Request) -> Response:
    """Find passages."""
    here = live(request)
    principal = here.door.principal(request)
    body = await read_json(request, SearchBody)
    asked = body.to_query(principal)
    with here.app.serving.hold() as bundle:
        result = await bundle.retriever.search(asked, deadline=deadline(request))
    outcomes.searched(request, asked, result)
    return Reply(search_json(result), headers={"Server-Timing": server_timing(result.timings_ms)})


async def query(request: Request) -> Response:
    """Answer a question with citations; a JSON object, or events when `stream` is true."""
    here = live(request)
    principal = here.door.principal(request)
    body = await read_json(request, QueryBody)
    asked = body.to_query(principal)
    user = user_of(request, principal, body.user, keyed=here.door.required)
    if body.stream:
        return sse.stream(await begun(_events(request, asked, user)))
    with outcomes.failures(request, asked):
        answer = await here.sides.answer(asked, wish(request), user=user)
    outcomes.answered(request, asked, answer)
    return Reply(
        answer_json(answer), headers={"Server-Timing": server_timing(answer.usage.timings_ms)}
    )


async def _events(request: Request, asked: Query, user: str) -> AsyncGenerator[bytes, None]:
    async with aclosing(live(request).sides.stream(asked, wish(request), user=user)) as events:
        async for event in events:
            match event:
                case Sources(sources):
                    yield sse.event("sources", {"sources": [passage_json(p) for p in sources]})
                case Token(text):
                    yield sse.event("token", {"text": text})
                case Done(answer):
                    outcomes.answered(request, asked, answer, stream=True)
                    yield sse.event("done", answer_json(answer))
                case Failed(code, message, retry_after_s):
                    outcomes.failed(request, asked, code, stream=True)
                    yield sse.event("error", error_json(code, message, retry_after_s)["error"])


async def begun(events: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """Return the same events once the first is there: what is wrong with a question then has
    its HTTP status, and the headers are not sent before."""
    first = await anext(events)

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(events):
            yield first
            async for event in events:
                yield event

    return whole()


async def feedback(request: Request) -> Response:
    """Say whether an answer helped, and what it should have said."""
    here = live(request)
    principal = here.door.principal(request)
    body = await read_json(request, FeedbackBody)
    await here.app.library.add_feedback(
        body.answer_id,
        rating=body.rating,
        comment=body.comment,
        correction=body.correction,
        principal=principal,
    )
    return JSONResponse({"ok": True})


def server_timing(timings_ms: Mapping[str, float]) -> str:
    """Return the stages as a `Server-Timing` header, which browsers show."""
    return ", ".join(f"{stage};dur={took_ms:.3f}" for stage, took_ms in timings_ms.items())
