"""The one table from our errors to HTTP, and the one shape that they have on the wire."""

import logging
import math
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from steelyard.core.errors import (
    Forbidden,
    InputError,
    NotFound,
    Overloaded,
    SetupError,
    SteelyardError,
    UpstreamError,
)

log = logging.getLogger(__name__)

NO_STORE = {"Cache-Control": "no-store"}  # an error is nobody's to keep

STATUS_BY_CODE = {
    "unauthorized": 401,
    "body_too_large": 413,
    "query_too_long": 413,
    "too_large": 413,
    "unsupported_media_type": 415,
    "deadline_exceeded": 504,
    # The registry: what was asked for is right, and does not fit what is served now.
    "gate_refused": 409,
    "not_weighed": 409,
    "champion_changed": 409,
    "is_champion": 409,
    "no_previous": 409,
    "overlap": 409,
}
STATUS_BY_CLASS: tuple[tuple[type[SteelyardError], int], ...] = (
    (NotFound, 404),
    (Forbidden, 403),
    (InputError, 400),
    (Overloaded, 429),
    (UpstreamError, 502),
    (SetupError, 503),
    (SteelyardError, 500),
)
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def status_of(error: SteelyardError) -> int:
    if error.code in STATUS_BY_CODE:
        return STATUS_BY_CODE[error.code]
    return next(status for kind, status in STATUS_BY_CLASS if isinstance(error, kind))


def error_json(code: str, message: str, retry_after_s: float | None = None) -> dict[str, Any]:
    """Return the body of every error; `type` is there for OpenAI's clients."""
    body: dict[str, Any] = {"code": code, "message": message, "type": code}
    if retry_after_s is not None:
        body["retry_after_s"] = retry_after_s
    return {"error": body}


def from_validation(error: ValidationError) -> InputError:
    """Return one error that names every wrong field, its place and what was expected."""
    faults = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InputError("the body is not valid: " + "; ".join(faults), code="invalid_body")


async def on_steelyard_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SteelyardError)
    status = status_of(error)
    if status >= 500:
        level = logging.INFO if error.code == "deadline_exceeded" else logging.ERROR  # as asked
        log.log(
            level, "request_failed path=%s code=%s reason=%s", request.url.path, error.code, error
        )
    retry_after_s = getattr(error, "retry_after_s", None)
    headers = dict(NO_STORE)
    if retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(retry_after_s))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_json(error.code, error.message, retry_after_s), status, headers)


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "bad_request")
    message = f"{request.method} {request.url.path}: {error.detail}"
    headers = NO_STORE | dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return JSONResponse(error_json(code, message), error.status_code, headers)


def _methods(request: Request) -> list[str]:
    """Return what the path takes: a path can have several routes, one a method."""
    routes = [one for one in request.app.routes if isinstance(one, Route)]
    here = [one for one in routes if one.path_regex.match(request.url.path)]
    return sorted({method for one in here for method in one.methods or ()})


async def on_bug(request: Request, error: Exception) -> Response:
    """Anything unexpected: the traceback goes to the log, one line to the caller."""
    log.error("bug path=%s", request.url.path, exc_info=error)
    message = f"{type(error).__name__} inside the server; its log has the details"
    return JSONResponse(error_json("internal", message), 500, NO_STORE)
