"""`/v1/documents`: put, upload, list, read, delete."""

import asyncio
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.core.documents import DEFAULT_COLLECTION, State
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal
from steelyard.flows.library import NewText, Receipt, Upload
from steelyard.server.bodies import DocumentBody, document_json
from steelyard.server.live import live
from steelyard.server.requests import MAX_DOCUMENT_BYTES, query_flag, query_int, read_json

MAX_FILES = 1000
WAIT_S = 600.0


async def put(request: Request) -> Response:
    """Create or replace one document from its text."""
    here = live(request)
    principal = here.door.operator(request)
    wait = query_flag(request, "wait")
    body = await read_json(request, DocumentBody, max_bytes=MAX_DOCUMENT_BYTES)
    new = NewText(
        id=request.path_params["id"],
        text=body.text,
        title=body.title,
        uri=body.uri,
        metadata=body.metadata,
        groups=None if body.groups is None else tuple(body.groups),
        collection=body.collection,
    )
    receipt = await here.app.library.put_text(new, principal=principal)
    return await _receipt(request, receipt, principal, body.collection, wait=wait)


async def upload(request: Request) -> Response:
    """Add one or more files (multipart field `files`; `collection` and `groups` are optional)."""
    here = live(request)
    principal = here.door.operator(request)
    wait = query_flag(request, "wait")
    try:
        form = await request.form(max_files=MAX_FILES)
    except (HTTPException, MultiPartException) as error:
        detail = getattr(error, "detail", None) or getattr(error, "message", str(error))
        raise InputError(f"the upload is not valid multipart: {detail}") from error
    async with _closing(form):
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        files += [part for part in form.getlist("file") if isinstance(part, UploadFile)]
        if not files:
            raise InputError(
                "the upload has no file; send multipart/form-data with the field `files`",
                code="no_file",
            )
        collection = str(form.get("collection") or DEFAULT_COLLECTION)
        groups = str(form.get("groups") or "")
        uploads = [Upload(Path(part.filename or "upload").name, part.file) for part in files]
        receipt = await here.app.library.add_uploads(
            uploads,
            collection=collection,
            groups=tuple(g.strip() for g in groups.split(",") if g.strip()) or None,
            principal=principal,
        )
    return await _receipt(request, receipt, principal, collection, wait=wait)


async def listing(request: Request) -> Response:
    """List documents with their states, in pages."""
    here = live(request)
    principal = here.door.principal(request)
    state = request.query_params.get("state")
    if state is not None and state not in set(State):
        raise InputError(f"state={state!r} is none of {', '.join(State)}")
    page = await here.app.library.documents(
        principal,
        collection=request.query_params.get("collection"),
        state=None if state is None else State(state),
        after=request.query_params.get("after"),
        limit=query_int(request, "limit", 100, low=1, high=1000),
    )
    return JSONResponse({"documents": [document_json(row) for row in page.rows], "next": page.next})


async def read(request: Request) -> Response:
    """Return one document with its extracted text."""
    here = live(request)
    principal = here.door.principal(request)
    collection, identity = _address(request)
    found = await here.app.library.document(collection, identity, principal)
    return JSONResponse({**document_json(found.row), "text": found.text})


async def delete(request: Request) -> Response:
    """Delete one document; no later query sees it."""
    here = live(request)
    principal = here.door.operator(request)
    collection, identity = _address(request)
    seq = await here.app.library.delete([identity], collection=collection, principal=principal)
    return JSONResponse({"id": identity, "deleted": True, "snapshot": seq})


async def _receipt(
    request: Request, receipt: Receipt, principal: Principal, collection: str, *, wait: bool
) -> Response:
    """Answer a write: 202 while it is under way, 200 once it is searchable or has failed."""
    library = live(request).app.library
    snapshot = receipt.snapshot
    if wait:
        try:
            snapshot = await asyncio.wait_for(library.settled(receipt.tickets), WAIT_S)
        except TimeoutError:
            wait = False
    rows: list[dict[str, Any]] = []
    for identity in receipt.ids:
        row = await library.row(collection, identity, principal)
        rows.append(document_json(row))
    body: dict[str, Any] = {"documents": rows, "snapshot": snapshot}
    if len(rows) == 1:
        body = {**rows[0], **body}
    return JSONResponse(body, 200 if wait else 202)


def _address(request: Request) -> tuple[str, str]:
    return request.query_params.get("collection", DEFAULT_COLLECTION), request.path_params["id"]


class _closing:
    """Closes a form's spooled files whatever happens."""

    def __init__(self, form: Any) -> None:
        self._form = form

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        await self._form.close()
