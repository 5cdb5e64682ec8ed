"""Health, readiness, metrics, the last minutes, status, the OpenAPI document, and the page."""

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from steelyard import ui
from steelyard.app import App
from steelyard.infra.concurrent import compute
from steelyard.infra.telemetry import LONGEST_WINDOW_S, rss_bytes
from steelyard.server.live import Live, live
from steelyard.server.metrics import Home
from steelyard.server.requests import query_int


async def healthz(request: Request) -> Response:
    """Alive: the event loop answers."""
    return JSONResponse({"ok": True})


async def readyz(request: Request) -> Response:
    """Ready: the encoder is loaded and the index has caught up with the documents."""
    app = live(request).app
    missing = await app.not_ready()
    body: dict[str, Any] = {"ready": not missing, "waiting_for": missing}
    if (refusal := app.promotions.refusal) is not None:  # what was promoted before it serves
        body["refused"] = {"code": refusal.code, "reason": refusal.reason}
    return JSONResponse(body, 503 if missing else 200)


async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    here = live(request)
    here.door.principal(request)
    status = await here.app.status()
    here.metrics.home(
        Home(
            num_documents=status.num_documents,
            num_chunks=status.num_chunks,
            behind=(await _last_seq(here)) - status.snapshot,
            num_open=here.app.work.num_open,
            oldest_s=here.app.work.oldest_s(),
        )
    )
    return Response(here.metrics.expose(), media_type=here.metrics.content_type)


async def status(request: Request) -> Response:
    """What the home holds, and what it answers with."""
    here = live(request)
    here.door.principal(request)
    now = await here.app.status()
    return JSONResponse(
        {
            "version": now.version,
            "snapshot": now.snapshot,
            "num_documents": now.num_documents,
            "num_chunks": now.num_chunks,
            "states": dict(now.states),
            "collections": list(now.collections),
            "embedder": now.embedder,
            "generator": now.generator,
            "watching": list(now.watching),
            "examples": list(now.examples),
        }
    )


async def recent(request: Request) -> Response:
    """How the last minutes went: percentiles by stage, caches, batches, admission, the slowest."""
    here = live(request)
    here.door.operator(request, to="see how the server is doing")
    window_s = query_int(request, "window_s", 60, low=10, high=int(LONGEST_WINDOW_S))
    app, metrics, champion = here.app, here.metrics, here.app.champion
    last_seq = await _last_seq(here)
    rss = rss_bytes()
    return JSONResponse(
        {
            "window_s": window_s,
            "uptime_s": round(metrics.uptime_s(), 1),
            "rss_mb": None if rss is None else round(rss / 2**20, 1),
            "bundle": champion.name,
            "generator": champion.generator.model,
            "snapshot": champion.space.index.view().seq,
            "truth": last_seq,
            "in_flight": metrics.num_in_flight,
            "ingest": {
                "open": app.work.num_open,
                "oldest_s": round(app.work.oldest_s(), 3),
            },
            "serving": _serving(app),
            **await compute(app.workers.query, metrics.recent.report, window_s),
        }
    )


def _serving(app: App) -> dict[str, Any]:
    """Return what answers, what would after a rollback, and how the last change went."""
    previous, last, refusal = app.serving.previous, app.promotions.last, app.promotions.refusal
    progress = app.promotions.switch.progress  # of an embedder that is to follow
    return {
        "champion": app.champion.name,
        "previous": None if previous is None else previous.name,
        "draining": app.serving.num_draining,
        "last_swap": None if last is None else asdict(last),
        "refused": None if refusal is None else asdict(refusal),
        "embedding": None if progress is None else asdict(progress),
    }


async def _last_seq(here: Live) -> int:
    return await compute(here.app.workers.query, here.app.store.last_seq)


async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(request.app.state.openapi, media_type="application/json")


async def page(request: Request) -> Response:
    """The page."""
    return FileResponse(ui.STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def docs(request: Request) -> Response:
    """The OpenAPI document for people."""
    return FileResponse(ui.STATIC / "docs.html", headers={"Cache-Control": "no-cache"})


def dumps(document: object) -> bytes:
    return json.dumps(document, indent=1).encode()
