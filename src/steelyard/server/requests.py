"""Reading request bodies within bounds, with an error that names what is wrong."""

import json
from collections.abc import Sequence
from time import perf_counter
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from steelyard.core.chat import Message
from steelyard.core.deadline import DEFAULT_BUDGET_S, Deadline
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal
from steelyard.flows.answer import Wish
from steelyard.flows.cached import CacheUse
from steelyard.server.admission import permit
from steelyard.server.errors import from_validation

MAX_JSON_BYTES = 2 * 2**20
MAX_DOCUMENT_BYTES = 64 * 2**20
MAX_DEADLINE_MS = 600_000

B = TypeVar("B", bound=BaseModel)


async def read_json(request: Request, kind: type[B], *, max_bytes: int = MAX_JSON_BYTES) -> B:
    """Return the validated body.

    Raises:
        InputError: too large, not UTF-8, not JSON, or not of this shape; codes
            `body_too_large`, `not_utf8`, `bad_json`, `invalid_body`.
    """
    raw = await read_body(request, max_bytes=max_bytes)
    try:
        parsed: Any = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"the body is not UTF-8 (byte {error.start}); send JSON in UTF-8", code="not_utf8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is not JSON: {error}", code="bad_json") from error
    _check_text(parsed)
    try:
        return kind.model_validate(parsed)
    except ValidationError as error:
        raise from_validation(error) from error


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    size = 0
    parts: list[bytes] = []
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise InputError(
                f"the body is larger than {max_bytes:,} bytes; send less", code="body_too_large"
            )
        parts.append(part)
    return b"".join(parts)


def _check_text(parsed: Any) -> None:
    """Refuse lone surrogates, which JSON can carry and no database or encoder can."""
    try:
        json.dumps(parsed, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"the body has a lone surrogate (\\u{ord(error.object[error.start]):04x}), "
            "which is not text; remove it",
            code="not_utf8",
        ) from error


def wish(request: Request, history: Sequence[Message] = ()) -> Wish:
    """Return what the headers ask for: `X-Deadline-Ms`, `Cache-Control: no-cache | no-store`.

    Raises:
        InputError: the deadline is no number from 0 to 600000.
    """
    control = request.headers.get("cache-control", "").lower()
    use = CacheUse.NORMAL
    if "no-store" in control:
        use = CacheUse.NONE
    elif "no-cache" in control:
        use = CacheUse.REFRESH
    admitted = permit(request)
    return Wish(
        history=history,
        deadline=deadline(request),
        cache=use,
        on_wait=admitted.waits if admitted else lambda: None,
    )


def user_of(request: Request, principal: Principal, named: str | None, *, keyed: bool) -> str:
    """Return who asks, in one word: the field `user`, else `X-User-Id`, within the API key; else
    the key alone. "": nobody can be told from anybody else."""
    name = (named or request.headers.get("x-user-id") or "").strip()
    if name:
        return f"{principal.id}\0{name}"
    return principal.id if keyed else ""


def deadline(request: Request, *, default_s: float = DEFAULT_BUDGET_S) -> Deadline:
    """Return the budget for everything before generation, running from the arrival."""
    admitted = permit(request)
    arrived = admitted.arrived if admitted else perf_counter()
    value = request.headers.get("x-deadline-ms")
    if value is None:
        return Deadline(default_s, started=arrived)
    try:
        budget_ms = float(value)
    except ValueError:
        budget_ms = -1.0
    if not 0 <= budget_ms <= MAX_DEADLINE_MS:
        raise InputError(
            f"X-Deadline-Ms {value[:40]!r} must be a number from 0 to {MAX_DEADLINE_MS}",
            code="bad_deadline",
        )
    return Deadline(budget_ms / 1000, started=arrived)


def query_int(request: Request, name: str, default: int, *, low: int, high: int) -> int:
    value = request.query_params.get(name)
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise InputError(f"{name}={value!r} must be a whole number from {low} to {high}")
    return int(value)


def query_flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise InputError(f"{name}={value!r} must be true or false")
    return value in ("true", "1")
