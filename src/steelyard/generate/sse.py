"""Server-sent events, read as tolerantly as real servers need."""

import codecs
from collections.abc import AsyncGenerator, AsyncIterator


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[list[str], None]:
    """Yield the `data` of the events that each chunk completes, lines joined by line feeds.

    Comments and other fields are skipped. Lines may end in CR, LF or both, characters may be
    split between chunks, and the last event may lack its empty line.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    pending = ""
    event: list[str] = []
    async for chunk in chunks:
        pending += decoder.decode(chunk)
        lines, pending = _split_lines(pending)
        complete: list[str] = []
        for line in lines:
            if line.startswith("data:"):
                event.append(line[5:].removeprefix(" "))
            elif not line and event:
                complete.append("\n".join(event))
                event = []
        if complete:
            yield complete
    last = pending + decoder.decode(b"", True)
    if last.startswith("data:"):
        event.append(last.rstrip("\r\n")[5:].removeprefix(" "))
    if event:
        yield ["\n".join(event)]


def _split_lines(text: str) -> tuple[list[str], str]:
    """Return the whole lines of `text` and the rest; a final CR waits for its possible LF."""
    waiting = text.endswith("\r")
    body = text[:-1] if waiting else text
    *lines, rest = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines, rest + "\r" if waiting else rest
