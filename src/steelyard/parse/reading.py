"""One file to text: choose the format's parser, and finish what it returns."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from steelyard.core.documents import Block, BlockKind, MetadataValue, Parsed
from steelyard.core.errors import ParseError
from steelyard.parse import (
    asciidoc,
    code,
    html,
    jsonlines,
    mail,
    markdown,
    notebook,
    rst,
    tabular,
    tex,
    text,
    xmltext,
)
from steelyard.parse.archive import inflate_gzip
from steelyard.parse.decode import clean, decode
from steelyard.parse.draft import Draft, one_line, plain_title, well_formed
from steelyard.parse.kinds import Kind, kind_of

MAX_TEXT_CHARS = 32 << 20  # a thousand books; more is a dump, and stalls whoever waits behind it
_MAX_INFLATED_BYTES = 128 << 20
_MAX_METADATA = 40

_TEXT_PARSERS: dict[Kind, Callable[[str], Draft]] = {
    Kind.MARKDOWN: markdown.parse,
    Kind.RST: rst.parse,
    Kind.ASCIIDOC: asciidoc.parse,
    Kind.TEX: tex.parse,
    Kind.NOTEBOOK: notebook.parse,
    Kind.TABLE: tabular.parse,
    Kind.JSON: jsonlines.parse,
    Kind.XML: xmltext.parse,
    Kind.CODE: code.parse,
    Kind.TEXT: text.parse,
    Kind.HTML: html.parse,
}
# What a damaged file is read as instead: its words count more than its form.
_FALLBACK = {Kind.NOTEBOOK: Kind.JSON, Kind.JSON: Kind.TEXT, Kind.XML: Kind.HTML}


def read_file(content: bytes, *, filename: str, passwords: Sequence[str] = ()) -> Parsed:
    """Return a file's text, blocks, title and metadata; pure: nothing but `content` is read.

    Raises:
        ParseError: the file cannot be read; its `code` says why.
    """
    if not content.strip():
        raise ParseError("the file is empty", code="empty")
    kind, media_type = kind_of(filename, content)
    if kind is Kind.GZIP:
        content, filename = _unpacked(content, filename)
        kind, media_type = kind_of(filename, content)
    if kind is Kind.ARCHIVE:
        raise ParseError(
            "archives are not unpacked; submit the files inside one by one", code="unsupported"
        )
    if kind in (Kind.UNSUPPORTED, Kind.GZIP):
        raise ParseError(f"cannot read {media_type}", code="unsupported")
    return finish(_draft(content, kind, media_type, passwords), filename, media_type)


def _draft(content: bytes, kind: Kind, media_type: str, passwords: Sequence[str]) -> Draft:
    if kind is Kind.PDF:
        from steelyard.parse import office  # 100 MB of libraries: only where it is needed

        return office.parse_pdf(content, passwords=passwords)
    if kind is Kind.OFFICE:
        from steelyard.parse import office

        return office.parse_office(content, media_type)
    if kind is Kind.PPTX:
        from steelyard.parse import slides

        return slides.parse(content)
    if kind is Kind.EMAIL:
        return mail.parse(content)
    return _draft_text(decode(content), kind)


def _draft_text(words: str, kind: Kind) -> Draft:
    if len(words) > MAX_TEXT_CHARS:
        raise ParseError(
            f"the text has {len(words)} characters, the limit is {MAX_TEXT_CHARS}; split the file",
            code="too_large",
        )
    try:
        return _TEXT_PARSERS[kind](words)
    except ParseError as error:
        if error.code != "damaged" or kind not in _FALLBACK:
            raise
    return _draft_text(words, _FALLBACK[kind])


def _unpacked(content: bytes, filename: str) -> tuple[bytes, str]:
    content = inflate_gzip(content, max_bytes=_MAX_INFLATED_BYTES)
    if not content.strip():
        raise ParseError("the gzip file holds nothing", code="empty")
    if content[257:262] == b"ustar":
        raise ParseError("archives are not unpacked; submit the files inside", code="unsupported")
    return content, re.sub(r"\.gz$", "", filename, flags=re.IGNORECASE)


def finish(draft: Draft, filename: str, media_type: str) -> Parsed:
    """Check a draft's promises and give it a title."""
    if len(draft.text) > MAX_TEXT_CHARS:
        raise ParseError(
            f"the text has {len(draft.text)} characters, the limit is {MAX_TEXT_CHARS}",
            code="too_large",
        )
    blocks = tuple(well_formed(draft.blocks, draft.text))
    if not blocks and draft.text.strip():
        blocks = tuple(well_formed([Block(BlockKind.PARAGRAPH, 0, len(draft.text))], draft.text))
    if not blocks:
        raise ParseError("the file holds no text", code="empty")
    title = plain_title(clean(draft.title)) or title_from(filename)
    return Parsed(draft.text, blocks, title, media_type, _clean_metadata(draft.metadata))


def title_from(filename: str) -> str:
    """Return a readable title made of a file's name."""
    stem = PurePosixPath(clean(filename).replace("\\", "/")).name
    stem = re.sub(r"(?:\.[A-Za-z0-9]{1,8}){1,2}$", "", stem) or stem
    words = one_line(re.sub(r"[_\-+.]+", " ", stem))
    return (words[:1].upper() + words[1:])[:200] or "Untitled"


def _clean_metadata(metadata: dict[str, MetadataValue]) -> dict[str, MetadataValue]:
    cleaned: dict[str, MetadataValue] = {}
    for key, value in list(metadata.items())[:_MAX_METADATA]:
        if isinstance(value, str):
            value = clean(value)[:2000]
        elif isinstance(value, list):
            value = [clean(item)[:500] for item in value[:100]]
        cleaned[clean(key)[:100]] = value
    return cleaned


# The way to the sandbox and back: JSON, because what comes back is not to be trusted.


def pack_request(content: bytes, *, filename: str, passwords: Sequence[str]) -> bytes:
    header = json.dumps({"filename": filename, "passwords": list(passwords)})
    return header.encode() + b"\n" + content


def work(request: bytes) -> bytes:
    """Run `read_file` on a packed request; the sandbox's target."""
    header, _, content = request.partition(b"\n")
    fields = json.loads(header)
    try:
        parsed = read_file(content, filename=fields["filename"], passwords=fields["passwords"])
    except ParseError as error:
        return json.dumps({"code": error.code, "message": error.message}).encode()
    blocks = [[b.kind.value, b.start, b.end, b.level, b.page] for b in parsed.blocks]
    answer = {
        "text": parsed.text,
        "blocks": blocks,
        "title": parsed.title,
        "media_type": parsed.media_type,
        "metadata": dict(parsed.metadata),
    }
    return json.dumps(answer, ensure_ascii=False).encode("utf-8")


def unpack_answer(answer: bytes, *, filename: str) -> Parsed:
    """Return what a worker read, its promises checked again.

    Raises:
        ParseError: as the worker raised it, or `crashed` where its answer makes no sense.
    """
    try:
        fields: dict[str, Any] = json.loads(answer)
        if "code" in fields:
            raise ParseError(str(fields["message"]), code=str(fields["code"]))
        blocks = tuple(
            Block(BlockKind(kind), int(start), int(end), int(level), page)
            for kind, start, end, level, page in fields["blocks"]
        )
        draft = Draft(fields["text"], blocks, fields["title"], fields["metadata"])
        return finish(draft, filename, str(fields["media_type"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"the reader's answer makes no sense: {error}", code="crashed") from None
