"""Health, readiness, metrics, status, the OpenAPI document, and the page."""

import json

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from steelyard import ui
from steelyard.server.live import live


async def healthz(request: Request) -> Response:
    """Alive: the event loop answers."""
    return JSONResponse({"ok": True})


async def readyz(request: Request) -> Response:
    """Ready: the encoder is loaded and the index has caught up with the documents."""
    app = live(request).app
    missing = await app.not_ready()
    body = {"ready": not missing, "waiting_for": missing}
    return JSONResponse(body, 503 if missing else 200)


async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    here = live(request)
    here.door.principal(request)
    status = await here.app.status()
    here.metrics.corpus({"documents": status.num_documents, "chunks": status.num_chunks})
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
