"""`/v1/files`: rows to train on, in OpenAI's shapes; checked as they arrive."""

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from steelyard.core.errors import InputError
from steelyard.infra.concurrent import compute
from steelyard.jobs import (
    FINE_TUNE,
    MAX_BYTES,
    StoredFile,
    content_of,
    delete_file,
    files,
    find_file,
    page_of,
)
from steelyard.server.live import Live, live
from steelyard.server.requests import query_int
from steelyard.server.tuning_bodies import file_json, list_json

MAX_LISTED = 10_000


async def upload_rows(request: Request) -> Response:
    """Keep a file of rows to train on (multipart: `file`, `purpose`), and check all of them."""
    here = operators(request)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BYTES + 2**20:
        raise InputError(
            f"the upload is larger than {MAX_BYTES:,} bytes; send less, or several files",
            code="body_too_large",
        )
    try:
        form = await request.form(max_files=1, max_fields=20)
    except (HTTPException, MultiPartException) as error:
        detail = getattr(error, "detail", None) or getattr(error, "message", str(error))
        raise InputError(f"the upload is not valid multipart: {detail}") from error
    try:
        part, purpose = form.get("file"), form.get("purpose")
        if not isinstance(part, UploadFile):
            raise InputError("the upload has no field `file`; send one file", code="no_file")
        if purpose != FINE_TUNE:
            raise InputError(f"purpose {purpose!r} is not taken here; send {FINE_TUNE!r}")
        name = part.filename or "rows.jsonl"
        pool = here.app.workers.ingest
        stored = await compute(pool, here.tuning.upload, name, part.file)
    finally:
        await form.close()
    return JSONResponse(file_json(stored))


async def list_files(request: Request) -> Response:
    """List the files that were uploaded or came of jobs, the newest first."""
    here = operators(request)
    asked = request.query_params
    found = await compute(here.app.workers.ingest, files, here.app.home)
    if purpose := asked.get("purpose"):
        found = [one for one in found if one.purpose == purpose]
    if asked.get("order", "desc") == "asc":
        found.reverse()
    limit = query_int(request, "limit", MAX_LISTED, low=1, high=MAX_LISTED)
    page = page_of(found, after=asked.get("after", ""), limit=limit, key=lambda one: one.id)
    return JSONResponse(list_json(page, [file_json(one) for one in page.rows]))


async def read_file(request: Request) -> Response:
    """Return one file: its status, and every fault that checking it found."""
    here = operators(request)
    return JSONResponse(file_json(await _found(here, request)))


async def file_content(request: Request) -> Response:
    """Return a file's bytes as they came."""
    here = operators(request)
    stored = await _found(here, request)
    path = content_of(here.app.home, stored)
    return FileResponse(path, media_type="application/octet-stream", filename=stored.name)


async def delete_rows(request: Request) -> Response:
    """Delete one file; training data that was made from it stays."""
    here = operators(request)
    identity = request.path_params["id"]
    await compute(here.app.workers.ingest, delete_file, here.app.home, identity)
    return JSONResponse({"id": identity, "object": "file", "deleted": True})


def operators(request: Request) -> Live:
    """Return what the route reaches; training data and jobs are for operators alone."""
    here = live(request)
    here.door.operator(request, to="see or change training data and jobs")
    return here


async def _found(here: Live, request: Request) -> StoredFile:
    identity = request.path_params["id"]
    return await compute(here.app.workers.ingest, find_file, here.app.home, identity)
