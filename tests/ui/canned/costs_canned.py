"""The Costs endpoints over the real engine with few draws, and replies that can be held back."""

import asyncio
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from lab_canned import RUN, LabCanned
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from steelyard.advise import advice_json, advise, one_page
from steelyard.core.errors import InputError, NotFound
from steelyard.server.costs import AdviseBody, offered, question_for

DRAWS = 400


def nothing_measured() -> Any:
    return LabCanned(empty=True)


@dataclass(slots=True)
class CostsCanned:
    """`delays` holds seconds for the coming replies; `asked` is what was asked for."""

    report: Any = None
    refused: bool = False
    delays: list[float] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/advise/scenarios", self.scenarios),
            Route("/v1/advise", self.weigh, methods=["POST"]),
            Route("/v1/advise/page", self.page, methods=["POST"]),
        ]

    def _app(self) -> Any:
        def report(run: str) -> Any:
            if run != RUN or self.report is None:
                raise NotFound(f"there is no run {run!r}")
            return self.report

        return SimpleNamespace(home=None, runs=SimpleNamespace(report=report))

    async def scenarios(self, request: Request) -> Response:
        if self.refused:
            return _error(403, "forbidden", "'staff' may not see costs")
        found = await asyncio.to_thread(offered, self._app())
        return Response(found, media_type="application/json")

    async def weigh(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        delay = self.delays.pop(0) if self.delays else 0.0
        try:
            told = await asyncio.to_thread(self._told, body)
        except InputError as error:
            return _error(404 if isinstance(error, NotFound) else 400, error.code, error.message)
        await asyncio.sleep(delay)
        return Response(json.dumps(told, allow_nan=False), media_type="application/json")

    def _told(self, body: dict[str, Any]) -> dict[str, Any]:
        return advice_json(advise(self._question(body), draws=DRAWS))

    def _question(self, body: dict[str, Any]) -> Any:
        return question_for(self._app(), AdviseBody.model_validate(body))

    async def page(self, request: Request) -> Response:
        question = self._question(await request.json())
        return HTMLResponse(one_page(advise(question, draws=DRAWS)))


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
