"""`/v1/evals` and `/v1/question-sets`: runs and what they show, and the review of questions."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from steelyard.core.errors import InputError
from steelyard.datasets import (
    Decision,
    ReviewItem,
    Verdict,
    decide,
    list_sets,
    queue,
    set_folder,
)
from steelyard.evals.report import page_policy
from steelyard.flows.runs import Pair
from steelyard.infra.concurrent import compute
from steelyard.server.bodies import DecisionBody
from steelyard.server.live import Live, live
from steelyard.server.requests import query_int, read_json

P = ParamSpec("P")
T = TypeVar("T")

# The page's own policy, and an origin of its own: answers in it may be anybody's text.
PAGE_HEADERS = {
    "Content-Security-Policy": f"{page_policy()}; frame-ancestors 'none'; sandbox allow-scripts",
    "Cache-Control": "no-cache",
}


async def runs(request: Request) -> Response:
    """List the runs of the evaluation harness, newest first."""
    here = _operators(request)
    found = await _read(here, here.app.runs.listed)
    return JSONResponse({"runs": [asdict(row) for row in found]})


async def run(request: Request) -> Response:
    """Return one run: arms, figures with intervals, comparisons, what each part brought."""
    here = _operators(request)
    return JSONResponse(await _read(here, here.app.runs.summary, request.path_params["id"]))


async def comparison(request: Request) -> Response:
    """Compare two arms of one run, or of two runs on the same set."""
    here = _operators(request)
    found = await _read(here, here.app.runs.comparison, _pair(request))
    return JSONResponse({"comparisons": found})


async def items(request: Request) -> Response:
    """List a run's questions with two arms' values, the worst losses first, in pages."""
    here = _operators(request)
    kept, pair = here.app.runs, _pair(request)
    limit = query_int(request, "limit", 50, low=1, high=500)
    after = query_int(request, "after", 0, low=0, high=10**9)
    measure = request.query_params.get("measure")
    if measure is None:
        measure = (await _read(here, kept.summary, pair.run))["measures"][0]
    order = request.query_params.get("order", "loss")
    rows = await _read(here, lambda: kept.items(pair, measure=measure, order=order))
    more = str(after + limit) if after + limit < len(rows) else None
    return JSONResponse({"items": rows[after : after + limit], "num": len(rows), "next": more})


async def item(request: Request) -> Response:
    """Return one question of a run, with what every arm answered, found and took."""
    here = _operators(request)
    found = request.path_params
    return JSONResponse(await _read(here, here.app.runs.item, found["id"], found["question"]))


async def report(request: Request) -> Response:
    """Return a run's report as one HTML file."""
    here = _operators(request)
    path = await _read(here, here.app.runs.page, request.path_params["id"])
    return FileResponse(path, media_type="text/html; charset=utf-8", headers=PAGE_HEADERS)


async def question_sets(request: Request) -> Response:
    """List the question sets of the home, and how far their review is."""
    here = _operators(request)
    found = await _read(here, list_sets, here.app.home)
    rows = [
        {
            "name": one.name,
            "num_questions": one.num_questions,
            "by_verdict": {verdict.value: num for verdict, num in one.by_verdict.items()},
        }
        for one in found
    ]
    return JSONResponse({"sets": rows})


async def review_queue(request: Request) -> Response:
    """List a set's questions for review, those that wait unless another verdict is asked for."""
    here = _operators(request)
    wanted = request.query_params.get("verdict", Verdict.PENDING.value)
    if wanted not in set(Verdict):
        raise InputError(f"verdict={wanted!r} is none of {', '.join(Verdict)}")
    limit = query_int(request, "limit", 50, low=1, high=500)
    after = query_int(request, "after", 0, low=0, high=10**9)
    folder = set_folder(here.app.home, request.path_params["name"])
    found = await _read(here, queue, folder)
    counts = {v.value: sum(1 for one in found if one.verdict is v) for v in Verdict}
    chosen = [one for one in found if one.verdict.value == wanted]
    more = str(after + limit) if after + limit < len(chosen) else None
    rows = [_item(one) for one in chosen[after : after + limit]]
    return JSONResponse({"items": rows, "counts": counts, "next": more})


async def decisions(request: Request) -> Response:
    """Accept, edit or reject one question of a set, or take that back (`pending`)."""
    here = live(request)
    principal = here.door.operator(request, to="review questions")
    body = await read_json(request, DecisionBody)
    decision = Decision(
        id=body.id,
        verdict=Verdict(body.verdict),
        by=principal.id,
        question=body.question,
        answers=None if body.answers is None else tuple(body.answers),
        answerable=body.answerable,
    )
    folder = set_folder(here.app.home, request.path_params["name"])
    return JSONResponse(_item(await _read(here, decide, folder, decision)))


def _operators(request: Request) -> Live:
    here = live(request)
    here.door.operator(request, to="see evaluations")
    return here


async def _read(here: Live, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads files and computes behind the questions that people wait for."""
    return await compute(here.app.workers.ingest, function, *args, **kwargs)


def _pair(request: Request) -> Pair:
    asked = request.query_params
    return Pair(
        run=request.path_params["id"],
        arm=asked.get("arm", ""),
        against_run=asked.get("against_run", ""),
        against=asked.get("against", ""),
    )


def _item(one: ReviewItem) -> dict[str, Any]:
    return asdict(one) | {"verdict": one.verdict.value}
