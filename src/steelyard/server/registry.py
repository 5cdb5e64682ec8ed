"""`/v1/registry`: versions of what is served, their history, promotion and rollback; for operators.

A promotion here weighs nothing, because asking hundreds of questions outlives a request: the
version's last weighing over what is served must have passed (`steelyard registry promote
--dry-run --data SET`), or it is forced with a reason.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.core.errors import InputError
from steelyard.core.registry import Event
from steelyard.flows.lineage import lineage
from steelyard.flows.promote import Order, promote, refusal
from steelyard.infra.concurrent import compute
from steelyard.server.bodies import PromoteBody, RollbackBody
from steelyard.server.live import Live, live
from steelyard.server.requests import query_int, read_json

P = ParamSpec("P")
T = TypeVar("T")


async def versions(request: Request) -> Response:
    """List the versions, newest first, the aliases of each kind, and what the registry serves."""
    here = live(request)
    here.door.operator(request, to="see the registry")
    store = here.app.store
    found = await _read(here, store.versions)
    served = await _read(here, here.app.registry.champions)
    return JSONResponse(
        {
            "seq": served.seq,
            "aliases": await _read(here, store.aliases),
            "options": dict(served.options),
            "versions": [asdict(one) for one in found],
        }
    )


async def version(request: Request) -> Response:
    """Show a version by id, name or alias: what it is bound to, how it did, its history."""
    here = live(request)
    here.door.operator(request, to="see the registry")
    registry = here.app.registry
    found = await _read(here, registry.find, request.path_params["version"])
    events = await _read(here, registry.store.registry_history, found.id)
    tree = await _read(here, lineage, registry, found)
    return JSONResponse(
        {**asdict(found), "lineage": tree.as_json(), "history": [asdict(one) for one in events]}
    )


async def history(request: Request) -> Response:
    """List what happened in the registry, oldest first: who, what, when, why, forced or not."""
    here = live(request)
    here.door.operator(request, to="see the registry")
    limit = query_int(request, "limit", 200, low=1, high=10_000)
    named = request.query_params.get("version", "")
    of = (await _read(here, here.app.registry.find, named)).id if named else ""
    events = await _read(here, here.app.store.registry_history, of, limit=limit)
    return JSONResponse({"events": [asdict(one) for one in events]})


async def promote_version(request: Request) -> Response:
    """Serve a version whose last weighing passed, or that is forced; answers once it serves."""
    here = live(request)
    principal = here.door.operator(request, to="promote versions")
    body = await read_json(request, PromoteBody)
    registry = here.app.registry
    found = await _read(here, registry.find, body.version)
    order = Order(principal.id, body.why, body.force)
    done = await _read(here, promote, registry, found, order)
    if done.event is None:
        raise InputError(refusal(done), code="gate_refused")
    return JSONResponse({**await _followed(here, done.event), "notes": list(done.notes)})


async def roll_back(request: Request) -> Response:
    """Serve what was champion before; answers once it serves."""
    here = live(request)
    principal = here.door.operator(request, to="roll back versions")
    body = await read_json(request, RollbackBody)
    registry = here.app.registry
    event = await _read(here, registry.roll_back, body.kind, who=principal.id, why=body.why)
    return JSONResponse(await _followed(here, event))


async def _followed(here: Live, event: Event) -> dict[str, Any]:
    """Return an event, and what serves after it; `refused`: why it is not what the event says."""
    promotions = here.app.promotions
    await promotions.look()
    refused = promotions.refusal
    return {
        "event": asdict(event),
        "bundle": here.app.bundle,
        "refused": None if refused is None else asdict(refused),
    }


async def _read(here: Live, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads files behind the questions that people wait for."""
    return await compute(here.app.workers.ingest, function, *args, **kwargs)
