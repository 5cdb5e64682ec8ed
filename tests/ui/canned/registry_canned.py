"""The registry with canned versions, for the page's Operations view."""

import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(slots=True)
class RegistryCanned:
    """What each alias of each kind leads to, and the rollbacks that were asked for."""

    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    rollbacks: list[dict[str, str]] = field(default_factory=list)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/registry", self.versions),
            Route("/v1/registry/history", self.history),
            Route("/v1/registry/rollback", self.roll_back, methods=["POST"]),
        ]

    async def versions(self, request: Request) -> Response:
        ids = {one for aliases in self.aliases.values() for one in aliases.values() if one}
        versions = [{"id": one, "name": one.split("-")[0]} for one in sorted(ids)]
        return JSONResponse(
            {"seq": 3, "aliases": self.aliases, "options": {}, "versions": versions}
        )

    async def history(self, request: Request) -> Response:
        events = [
            {
                "seq": n,
                "at": time.time() - 60,
                "who": "owner",
                "action": "promote",
                "kind": kind,
                "version": aliases["champion"],
                "why": "<b>it is better</b>",
                "forced": kind == "reader",
            }
            for n, (kind, aliases) in enumerate(self.aliases.items())
        ]
        return JSONResponse({"events": events})

    async def roll_back(self, request: Request) -> Response:
        body = await request.json()
        self.rollbacks.append(body)
        if body["why"] == "too late":
            told = {"code": "conflict", "message": "another promotion overtook this one"}
            return JSONResponse({"error": told}, 409)
        own = self.aliases[body["kind"]]
        own["champion"], own["previous"] = own.get("previous", ""), own["champion"]
        return JSONResponse({"event": {}, "bundle": "b1", "refused": None})
