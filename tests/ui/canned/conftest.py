"""The API with canned answers, for driving the page without a real server."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steelyard.ui import STATIC, index_html

sys.path.insert(0, str(Path(__file__).parent))

from costs_canned import CostsCanned
from lab_canned import LabCanned
from registry_canned import RegistryCanned

TEXT = (
    "# Leave 🌴\n\n"
    + "Some words before, with emoji 👩‍🚀🎉 and a 𝔉raktur letter.\n\n" * 60
    + "Everyone gets 28 days of paid leave a year. 🏖️ Unused days expire in March. "
    + "Part-time staff get a share.\n\n"
    + "And much more text after it.\n" * 400
)
QUOTE = "Everyone gets 28 days of paid leave a year."
SECOND = "Unused days expire in March."
PASSAGE = f"{QUOTE} 🏖️ {SECOND} Part-time staff get a share."
ANSWER = (
    "🎉 You get **28 days** of paid leave a year [1]. What isn't used expires in March [1].\n\n"
    "- Ask `people@example.com`\n- <img src=x onerror=alert(1)> is text [2]\n\n"
    "The moon is made of cheese."
)


def span(text: str, part: str) -> dict[str, int]:
    """Return where `part` is in `text`, in code points, which is how Python counts."""
    return {"start": text.index(part), "end": text.index(part) + len(part)}


def source(n: int, identity: str, text: str, body: str, **more: Any) -> dict[str, Any]:
    return {
        "n": n,
        "document_id": identity,
        "uri": f"handbook/{identity}",
        "title": identity.title(),
        "chunk_id": str(n),
        "text": text,
        "score": 0.0328 / n,
        "heading": ["People", "Leave"],
        "page": 3,
        **span(body, text),
        **more,
    }


def citation(n: int, identity: str, quote: str, body: str) -> dict[str, Any]:
    return {
        "n": n,
        "document_id": identity,
        "uri": f"handbook/{identity}",
        "chunk_id": str(n),
        "quote": quote,
        **span(body, quote),
    }


TIMINGS = {
    "embed": 0.9,
    "dense": 0.7,
    "lexical": 2.1,
    "fuse": 0.1,
    "fetch": 0.6,
    "context": 0.4,
    "first_token": 180.0,
    "generate": 640.0,
    "total": 646.0,
}
NO_LAG = {"count": 0, "mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}
IDLE: dict[str, Any] = {
    "window_s": 60,
    "uptime_s": 4_000.0,
    "rss_mb": 191.4,
    "bundle": "b0123456789abcdef",
    "generator": "extractive",
    "snapshot": 41,
    "truth": 41,
    "in_flight": 0,
    "ingest": {"open": 0, "oldest_s": 0.0},
    "stages": [],
    "answers": {},
    "cache": {},
    "degraded": {},
    "batches": {},
    "queues": {},
    "admission": {},
    "loop_lag": NO_LAG,
    "slow": [],
}
OTHER = "A plain second document about images and text."
DOCUMENTS = {"leave/2026?.md": TEXT, "images.md": OTHER}
SOURCES = [
    source(1, "leave/2026?.md", PASSAGE, TEXT),
    source(2, "images.md", OTHER, OTHER),
    source(3, "images.md", "second document", OTHER, page=None, heading=[]),
]


@dataclass(slots=True)
class Canned:
    """The API with canned answers; a test changes these fields to change its behaviour."""

    key: str | None = None
    pause_s: float = 0.01
    num_documents: int = 3
    examples: list[str] | None = None
    collections: list[str] = field(default_factory=lambda: ["default"])
    rows: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=lambda: dict(DOCUMENTS))
    feedback: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[tuple[str, str, int]] = field(default_factory=list)
    listings: list[dict[str, str]] = field(default_factory=list)
    operations: dict[str, Any] = field(default_factory=dict)
    spans_asked: list[str] = field(default_factory=list)
    registry: RegistryCanned = field(default_factory=RegistryCanned)
    lab: LabCanned = field(default_factory=LabCanned)
    costs: CostsCanned = field(default_factory=CostsCanned)

    def __post_init__(self) -> None:
        now = time.time()
        for i in range(self.num_documents):
            error = "encrypted: a password is needed to open it" if i % 97 == 1 else None
            state = "failed" if error else "searchable"
            self.rows.append(self.row(f"file-{i:04d}.md", state, error=error, updated_at=now - i))

    def row(self, identity: str, state: str, **more: Any) -> dict[str, Any]:
        row = {
            "id": identity,
            "uri": f"handbook/{identity}",
            "title": f"Handbook page {identity}",
            "collection": "default",
            "state": state,
            "error": None,
            "num_chunks": 7 if state == "searchable" else 0,
            "updated_at": 0.0,
            "media_type": "text/markdown",
            "groups": ["public"],
            **more,
        }
        stamp = datetime.fromtimestamp(row["updated_at"] or time.time(), UTC)
        return row | {"updated_at": stamp.isoformat()}

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.index),
                Route("/v1/query", self.query, methods=["POST"]),
                Route("/v1/feedback", self.rate, methods=["POST"]),
                Route("/v1/status", self.status),
                Route("/v1/operations", self.tell_operations),
                Route("/v1/documents", self.listing),
                Route("/v1/documents", self.upload, methods=["POST"]),
                Route("/v1/documents/{id:path}", self.read),
                Route("/v1/documents/{id:path}", self.delete, methods=["DELETE"]),
                *self.lab.routes(),
                *self.costs.routes(),
                *self.registry.routes(),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(Guard, canned=self)],
        )

    async def index(self, request: Request) -> Response:
        return HTMLResponse(index_html())

    async def status(self, request: Request) -> Response:
        states: dict[str, int] = {}
        for row in self.rows:
            states[row["state"]] = states.get(row["state"], 0) + 1
        return JSONResponse(
            {
                "version": "0.1.0",
                "snapshot": len(self.rows),
                "num_documents": len(self.rows),
                "num_chunks": sum(row["num_chunks"] for row in self.rows),
                "states": states,
                "collections": self.collections,
                "embedder": "all-MiniLM-L6-v2 int8",
                "generator": "extractive",
                "watching": ["handbook"],
            }
            | ({"examples": self.examples} if self.examples else {})
        )

    async def tell_operations(self, request: Request) -> Response:
        self.spans_asked.append(request.query_params["window_s"])
        if self.operations.get("refused"):
            return error(403, "forbidden", "'staff' may not see how the server is doing")
        return JSONResponse(IDLE | self.operations)

    async def listing(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.listings.append(asked)
        after, state = asked.get("after", ""), asked.get("state")
        rows = [r for r in self.rows if state in (None, r["state"]) and r["id"] > after]
        limit = int(asked.get("limit", 100))
        more = rows[limit - 1]["id"] if len(rows) > limit else None
        return JSONResponse({"documents": rows[:limit], "next": more})

    async def read(self, request: Request) -> Response:
        identity = request.path_params["id"]
        if identity in self.texts:
            row = self.row(identity, "searchable")
            return JSONResponse(row | {"text": self.texts[identity]})
        for row in self.rows:
            if row["id"] == identity:
                return JSONResponse(row | {"text": "" if row["error"] else f"Text of {identity}"})
        return error(404, "not_found", f"no document {identity!r}")

    async def delete(self, request: Request) -> Response:
        self.rows = [row for row in self.rows if row["id"] != request.path_params["id"]]
        return JSONResponse({"deleted": True, "snapshot": len(self.rows)})

    async def upload(self, request: Request) -> Response:
        async with request.form() as form:
            part = form["files"]
            assert isinstance(part, UploadFile)
            name = part.filename or ""
            self.uploads.append((name, str(form.get("collection", "")), part.size or 0))
        if name.endswith(".exe"):
            return error(415, "unsupported", f"{name!r} is a program, not a document")
        row = self.row(name, "parsing")
        self.rows.insert(0, row)
        return JSONResponse({"documents": [row], "snapshot": len(self.rows)}, 202)

    async def rate(self, request: Request) -> Response:
        self.feedback.append(await request.json())
        return JSONResponse({"ok": True})

    async def query(self, request: Request) -> Response:
        body = await request.json()
        self.queries.append(body)
        if "busy" in body["query"]:
            return error(503, "overloaded", "All permits are taken.", retry_after_s=7)
        return StreamingResponse(self.events(body["query"]), media_type="text/event-stream")

    async def events(self, question: str) -> AsyncIterator[bytes]:
        unanswerable = "unanswerable" in question
        answer = "The documents don't tell." if unanswerable else ANSWER
        yield event("sources", {"sources": SOURCES})
        for i in range(0, len(answer), 4):
            await asyncio.sleep(self.pause_s)
            yield event("token", {"text": answer[i : i + 4]})
            if i > 40 and "error" in question:
                yield event("error", {"code": "upstream", "message": "The model stalled."})
                return
            if i > 40 and "drop" in question:
                raise ConnectionError("dropped on purpose")
            if i > 40 and "endless" in question:
                await asyncio.sleep(30)
        yield event("done", self.done(answer, answerable=not unanswerable))

    def done(self, answer: str, *, answerable: bool) -> dict[str, Any]:
        first = [citation(1, "leave/2026?.md", q, TEXT) for q in (QUOTE, SECOND)]
        return {
            "id": "answer-1",
            "answer": answer,
            "answerable": answerable,
            "citations": [*first, citation(2, "images.md", OTHER, OTHER)] if answerable else [],
            "sources": SOURCES,
            "unsupported": [span(answer, "The moon is made of cheese.")] if answerable else [],
            "usage": {
                "timings_ms": TIMINGS,
                "prompt_tokens": 812,
                "completion_tokens": 64,
                "model": "extractive",
            },
            "cache": "miss",
            "bundle": "base",
            "snapshot": 41,
            "degraded": [] if answerable else ["lexical_timeout"],
        }


class Guard:
    """Checks the key where one is set, and sends the strict policy that the real server sends."""

    def __init__(self, app: ASGIApp, canned: Canned) -> None:
        self.app, self.canned = app, canned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", b"default-src 'self'")
                message["headers"] = [*message["headers"], policy]
            await send(message)

        given = dict(scope.get("headers", [])).get(b"authorization", b"").decode()
        refused = self.canned.key and given != f"Bearer {self.canned.key}"
        if refused and scope["path"].startswith("/v1/"):
            refusal = error(401, "unauthorized", "an API key is needed")
            await refusal(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def error(status: int, code: str, message: str, **more: Any) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, **more}}, status)


@pytest.fixture
def serve_canned(serving: Callable[..., Any]) -> Iterator[Callable[..., tuple[Canned, str]]]:
    """Return a function that serves a `Canned` with the given fields: (canned, address)."""
    with ExitStack() as stack:

        def serve(**fields: Any) -> tuple[Canned, str]:
            canned = Canned(**fields)
            return canned, stack.enter_context(serving(canned.app()))

        yield serve


@pytest.fixture(scope="session")
def cited() -> dict[str, str]:
    """The document text, the answer, and the two quotes that the canned answer rests on."""
    return {"text": TEXT, "answer": ANSWER, "first": QUOTE, "second": SECOND}


def _overflow(page: Page) -> list[str]:
    """Return what sticks out of the viewport to the right, the page itself included."""
    return page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          const out = document.documentElement.scrollWidth > width ? ["the page"] : [];
          const clipped = (node) => node.closest(".offscreen, .tabs, pre, .beam, .skip");
          for (const node of document.body.querySelectorAll("*")) {
            const box = node.getBoundingClientRect();
            if (box.width && box.right > width + 0.5 && !clipped(node))
              out.push(`${node.tagName}.${node.className}`);
          }
          return out;
        }"""
    )


@pytest.fixture(scope="session")
def overflow() -> Callable[[Page], list[str]]:
    """Return a function that names what sticks out of a page's viewport."""
    return _overflow
