"""`/v1/advise`: a scenario weighed by a run and the prices of today, and what it can be made of."""

import json
from collections.abc import Callable
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.advise import (
    DRAWS,
    Advice,
    Question,
    Scenario,
    advice_json,
    advise,
    choosable,
    named_scenario,
    one_page,
    scenario_json,
    scenario_names,
    specs_json,
    what_if,
)
from steelyard.app import App
from steelyard.core.errors import InputError
from steelyard.cost import Book
from steelyard.flows.advise import question_of
from steelyard.infra.concurrent import compute
from steelyard.server.bodies import Body
from steelyard.server.errors import NO_STORE
from steelyard.server.live import Live, live
from steelyard.server.requests import read_json

T = TypeVar("T")

LEFT = 499  # who asked has gone: nobody reads this
# The file has no script and loads nothing; its few styles stand in it.
PAGE_HEADERS = NO_STORE | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Content-Disposition": 'attachment; filename="steelyard-costs.html"',
}


class AdviseBody(Body):
    """A scenario by name, or inputs and choices; the latter over the scenario `base`, if given.

    `what_if` sets prices and measured figures by their names in formulas.
    """

    scenario: str | dict[str, Any] = Field(default_factory=dict)
    base: str = Field("", max_length=200, description="a scenario of /v1/advise/scenarios")
    run: str = Field("", max_length=200, description="a run of /v1/evals; empty: stated defaults")
    measure: str = Field("", max_length=200, description="of quality; empty: the run's first")
    names: dict[str, str] = Field(
        default_factory=dict, description="the run's arms → base, rag, tuned, tuned+rag"
    )
    draws: int = Field(DRAWS, ge=200, le=DRAWS)
    what_if: dict[str, float] = Field(default_factory=dict, max_length=200)


async def weigh(request: Request) -> Response:
    """Weigh a scenario: each way's cost, quality and waiting, which to take, what flips that."""
    return await _weighed(request, _as_json)


async def weigh_page(request: Request) -> Response:
    """Weigh a scenario, and return one page to print or send."""
    response = await _weighed(request, lambda advice: one_page(advice).encode())
    if response.status_code != LEFT:
        response.headers.update(PAGE_HEADERS)
        response.headers["Content-Type"] = "text/html; charset=utf-8"
    return response


async def scenarios(request: Request) -> Response:
    """List what a scenario can say, the named ones, and what the price book offers to choose."""
    here = _operators(request)
    found = await compute(here.app.workers.ingest, offered, here.app)
    return Response(found, media_type="application/json")


async def _weighed(request: Request, written: Callable[[Advice], bytes]) -> Response:
    here = _operators(request)
    body = await read_json(request, AdviseBody)
    async with here.weighing:  # one at a time: a slider asks often, and each takes a core
        if await request.is_disconnected():
            return Response(status_code=LEFT)
        found = await compute(
            here.app.workers.ingest,
            lambda: written(advise(question_for(here.app, body), draws=body.draws)),
        )
    return Response(found, media_type="application/json")


def _operators(request: Request) -> Live:
    here = live(request)
    here.door.operator(request, to="see costs")
    return here


def question_for(app: App, body: AdviseBody) -> Question:
    """Return what is to be decided.

    Raises:
        InputError: says all that is wrong with the scenario, the run and `what_if`.
        NotFound: there is no such scenario, run or price.
    """
    faults: list[InputError] = []
    prices = Book(app.home)
    scenario = _tried(lambda: _scenario(body), faults)
    found = _tried(
        lambda: question_of(
            scenario or named_scenario(scenario_names()[0]),
            prices,
            report=app.runs.report(body.run) if body.run else None,
            measure=body.measure,
            names=body.names,
        ),
        faults,
    )
    changed = None if found is None else _tried(partial(what_if, found, body.what_if), faults)
    if len(faults) == 1:
        raise faults[0]
    if changed is None or faults:
        raise InputError("; ".join(one.message for one in faults), code="bad_scenario")
    return changed


def _scenario(body: AdviseBody) -> Scenario:
    if isinstance(body.scenario, str):
        if body.base:
            raise InputError("base is for a scenario that is an object, not a name")
        return named_scenario(body.scenario)
    return named_scenario(body.base, body.scenario) if body.base else Scenario.read(body.scenario)


def _tried(make: Callable[[], T], faults: list[InputError]) -> T | None:
    try:
        return make()
    except InputError as error:
        faults.append(error)
        return None


def _as_json(advice: Advice) -> bytes:
    return json.dumps(advice_json(advice), allow_nan=False, separators=(",", ":")).encode()


def offered(app: App) -> bytes:
    book = Book(app.home)
    found = {
        "scenarios": [scenario_json(named_scenario(name)) for name in scenario_names()],
        "inputs": specs_json(),
        "items": _choosable(app.home, book.on, book.identity),
    }
    return json.dumps(found, allow_nan=False, separators=(",", ":")).encode()


@lru_cache(maxsize=4)
def _choosable(home: Path, on: date, identity: str) -> dict[str, list[dict[str, Any]]]:
    """Return what a day's book offers: thousands of prices, looked up once a day and a change."""
    del identity  # a part of the key alone
    return choosable(Book(home, on=on))
