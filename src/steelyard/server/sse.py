"""Server-sent events, unbuffered all the way."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.responses import StreamingResponse

HEADERS = {
    "Cache-Control": "no-cache, no-transform",  # no-transform: proxies must not gzip a stream
    "X-Accel-Buffering": "no",  # nginx passes each event on at once
}


def event(name: str | None, data: Mapping[str, Any] | str) -> bytes:
    body = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {body}\n\n".encode("utf-8", "replace")


def stream(
    events: AsyncIterator[bytes], headers: Mapping[str, str] | None = None
) -> StreamingResponse:
    return StreamingResponse(
        events, media_type="text/event-stream", headers={**HEADERS, **(headers or {})}
    )
