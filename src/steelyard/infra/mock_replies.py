"""What the mock model server says, as bytes ready to be sent at their moment."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle, islice
from typing import Any, Literal

Fault = Literal[
    "",
    "refuse",  # closes each connection before it answers
    "stall",  # sends the headers, then nothing
    "stall_later",  # stalls after the first half of the tokens
    "drop",  # breaks the connection after the first half of the tokens
    "cut",  # ends the stream early but cleanly: no finish_reason, no [DONE]
    "html",
    "nonsense",  # 200 and a stream of things that are not JSON
    "empty",  # finishes without a token
    "error_event",  # an error object inside the stream
    "no_done",  # finish_reason, but no [DONE]
    "no_stream_options",  # rejects the field stream_options
    "whole",  # ignores "stream": true
    "redirect",
    "400",
    "401",
    "404",
    "429",
    "500",
    "502",
    "503",
]
Ending = Literal["keep", "close", "abort", "stall"]

NO_ANSWER = "The documents don't tell."
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
_SOURCE = re.compile(r"<source n=\"(\d+)\"[^>]*>\n(.*?)\n</source>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """One answer: `head` goes out at once, `parts[n]` at `first_s + n * every_s`, then `ending`."""

    head: bytes
    parts: tuple[bytes, ...]
    first_s: float
    every_s: float
    ending: Ending = "keep"


def stream_parts(
    tokens: Sequence[str], request: Mapping[str, Any], *, reasoning: str, fault: Fault
) -> tuple[tuple[bytes, ...], Ending]:
    """Return the parts of a stream, one a token and one for its end, and how it ends."""
    if fault == "stall":
        return (), "stall"
    begin = _begin(reasoning, fault)
    if fault in ("nonsense", "error_event"):
        return (begin,), "close"
    half = fault in ("stall_later", "drop", "cut")
    sent = [] if fault == "empty" else tokens[: max(1, len(tokens) // 2)] if half else tokens
    parts = [begin, *map(_token, sent[1:])]
    if sent:
        parts[0] += _token(sent[0])
    if fault == "stall_later":
        return tuple(parts), "stall"
    if fault == "drop":
        return tuple(parts), "abort"
    end = b"" if fault == "cut" else _end(request, tokens, done=fault != "no_done")
    return (*parts, end + _chunk(b"")), "keep"


def tokens_of(request: Mapping[str, Any], *, reply: str, num_tokens: int) -> list[str]:
    """Return the answer's tokens (words): `reply`, or else a quotation from the prompt.

    With `num_tokens` there are exactly so many, the text repeated or cut, the mark kept last.
    """
    source = None if reply else _SOURCE.search(str(request["messages"][-1].get("content")))
    if source is None:
        words = _words(reply or NO_ANSWER)
        return _exactly(words, num_tokens) if num_tokens else words
    text, mark = " ".join(source.group(2).split()), f" [{source.group(1)}]"
    if not num_tokens:
        first = re.match(r".{20,}?[.!?](?=\s|$)", text)
        return _words((first.group() if first else text[:200]) + mark)
    marked = re.sub(r"([.!?])(?=\s)", rf"\1{mark}", text) + mark
    return [*_exactly(_words(marked), num_tokens - 1), mark] if num_tokens > 1 else [mark]


def whole(tokens: Sequence[str], request: Mapping[str, Any]) -> bytes:
    choice = {"message": {"role": "assistant", "content": "".join(tokens)}}
    choices = [choice | {"index": 0, "finish_reason": "stop"}]
    return response(200, as_json({"choices": choices, "usage": _usage(request, tokens)}))


def response(
    status: int,
    body: bytes,
    *,
    media_type: str = "application/json",
    extra: Mapping[str, str] | None = None,
) -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: {media_type}\r\n"
    for name, value in (extra or {}).items():
        head += f"{name}: {value}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


def error(status: int, message: str, *, extra: Mapping[str, str] | None = None) -> bytes:
    body = as_json({"error": {"message": message, "type": "mock"}})
    return response(status, body, extra=extra)


def as_json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _begin(reasoning: str, fault: Fault) -> bytes:
    parts = [_chunk(b": keep-alive\r\n\r\n"), _event(_delta({"role": "assistant", "content": ""}))]
    parts += [_event(_delta({"reasoning_content": word})) for word in _words(reasoning)]
    if fault == "nonsense":
        parts.append(_chunk(b"data: {this is not json\n\n"))
    if fault == "error_event":
        parts.append(_event({"error": {"message": "the model ran out of memory", "code": 500}}))
    return b"".join(parts)


def _end(request: Mapping[str, Any], tokens: Sequence[str], *, done: bool) -> bytes:
    parts = _event(_delta({}, finish="stop"))
    if (request.get("stream_options") or {}).get("include_usage"):
        parts += _event({"choices": [], "usage": _usage(request, tokens)})
    return parts + (_chunk(b"data: [DONE]\n\n") if done else b"")


@lru_cache(maxsize=4096)
def _token(text: str) -> bytes:
    return _event(_delta({"content": text}))


def _delta(delta: dict[str, str], *, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _event(content: dict[str, Any]) -> bytes:
    return _chunk(b"data: " + as_json(content) + b"\n\n")


def _chunk(content: bytes) -> bytes:
    """Return one chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def _usage(request: Mapping[str, Any], tokens: Sequence[str]) -> dict[str, int]:
    characters = sum(len(str(message.get("content"))) for message in request["messages"])
    return {"prompt_tokens": characters // 4, "completion_tokens": len(tokens)}


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _exactly(words: Sequence[str], num: int) -> list[str]:
    """Repeat or cut `words` to `num`; where the text begins again a space stands before it."""
    first = words[0] if words[0][:1].isspace() else " " + words[0]
    again = cycle([first, *words[1:]])
    return [words[0], *islice(again, 1, num)][:num]
