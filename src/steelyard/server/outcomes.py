"""What became of a question, told once: to the metrics, and to the traces where they are on."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import time_ns

from starlette.requests import Request

from steelyard.core.chat import Answer
from steelyard.core.errors import InputError, Overloaded, SteelyardError
from steelyard.core.ranking import Query, SearchResult
from steelyard.server.live import Live, live
from steelyard.server.tracing import Asked


def answered(request: Request, asked: Query, answer: Answer, *, stream: bool = False) -> None:
    here = live(request)
    here.metrics.answered(answer, question=asked.text)
    if here.tracing is not None:
        one = _asked(here, request, asked, stream=stream)
        here.tracing.answered(answer, one, ended_ns=time_ns())


def searched(request: Request, asked: Query, result: SearchResult) -> None:
    here = live(request)
    here.metrics.searched(result)
    if here.tracing is not None:
        here.tracing.searched(result, _asked(here, request, asked), ended_ns=time_ns())


def failed(request: Request, asked: Query, code: str, *, stream: bool = False) -> None:
    """Tell of an answer that ended in `Failed`, or was never begun for a fault of ours."""
    here = live(request)
    here.metrics.failed()
    if here.tracing is not None:
        ended_ns = time_ns()
        one = _asked(here, request, asked, stream=stream)
        started_ns = getattr(request.state, "started_ns", ended_ns)
        here.tracing.failed(code, one, started_ns=started_ns, ended_ns=ended_ns)


@contextmanager
def failures(request: Request, asked: Query) -> Iterator[None]:
    """Tell of an answer that could not be made; what the caller can repair is none of ours."""
    try:
        yield
    except SteelyardError as error:
        if not isinstance(error, InputError | Overloaded):  # turned away is no failure
            failed(request, asked, error.code)
        raise


def _asked(here: Live, request: Request, query: Query, *, stream: bool = False) -> Asked:
    return Asked(
        route=getattr(request.scope.get("route"), "path", request.url.path),
        query=query,
        headers=request.headers,
        embedder=here.app.settings.embed.model,
        stream=stream,
    )
