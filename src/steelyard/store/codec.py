"""Values as SQLite holds them: canonical JSON, checked names, hashed texts."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from steelyard.core.documents import Block, BlockKind, Document, Metadata, MetadataValue
from steelyard.core.errors import InputError
from steelyard.store.records import Submission

MAX_METADATA_BYTES = 65_536
MAX_NAME_CHARS = 2_048
_MAX_INTEGER = 2**63
_raw_decode = json.JSONDecoder().raw_decode


def dump(value: object) -> str:
    """Return canonical JSON: equal values give equal text."""
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    )


def text_hash(text: str) -> bytes:
    """Return the key under which a text's embedding is cached (SHA-256, 32 bytes)."""
    return hashlib.sha256(text.encode()).digest()


def checked_name(value: str, *, what: str) -> str:
    """Return an id, a URI or a collection's name as it is.

    Raises:
        InputError: it is empty, too long, or holds characters that no name may hold.
    """
    if not value or len(value) > MAX_NAME_CHARS:
        raise InputError(
            f"{what} must have 1 to {MAX_NAME_CHARS} characters, not {len(value)}", code="bad_name"
        )
    if value != _clean(value):
        raise InputError(
            f"{what} {value!r} holds NUL or invalid Unicode: percent-encode it", code="bad_name"
        )
    return value


def dump_groups(groups: Iterable[str]) -> str:
    return dump(sorted({checked_name(group, what="A group") for group in groups}))


def load_groups(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def dump_metadata(metadata: Metadata) -> str:
    """Return metadata as JSON; NULs are dropped and lone surrogates replaced.

    Raises:
        InputError: a value is not a string, number, boolean, None or a list of strings, or the
            whole is too large (code `bad_metadata`).
    """
    text = dump({_checked_key(key): _checked_value(key, metadata[key]) for key in metadata})
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise InputError(
            f"Metadata is {len(text.encode())} bytes, more than {MAX_METADATA_BYTES}: shorten it",
            code="bad_metadata",
        )
    return text


def load_metadata(text: str) -> Metadata:
    # `raw_decode` spares `loads` its checks, which cost more here than the decoding.
    metadata: dict[str, MetadataValue] = _raw_decode(text)[0]
    return metadata


@lru_cache(maxsize=4096)
def load_heading(text: str | None) -> tuple[str, ...]:
    """Return a heading path, outermost first; None is none. Neighbours share theirs."""
    return tuple(json.loads(text)) if text else ()


def dump_blocks(blocks: Iterable[Block]) -> str:
    return dump([[b.kind.value, b.start, b.end, b.level, b.page] for b in blocks])


def load_blocks(text: str) -> tuple[Block, ...]:
    return tuple(
        Block(BlockKind(kind), start, end, level, page)
        for kind, start, end, level, page in json.loads(text)
    )


def dump_submission(submission: Submission) -> str:
    """Return what a submission says about its document, checked and canonical."""
    checked_name(submission.id, what="A document's id")
    checked_name(submission.collection, what="A collection")
    return dump(
        {
            "uri": checked_name(submission.uri, what="A URI"),
            "title": _clean(submission.title),
            "groups": json.loads(dump_groups(submission.groups)),
            "metadata": json.loads(dump_metadata(submission.metadata)),
        }
    )


def submission_of(document: Document) -> Submission:
    """Return the submission that a document given directly amounts to."""
    return Submission(
        id=document.id,
        uri=document.uri,
        collection=document.collection,
        title=document.title,
        groups=document.groups,
        metadata=document.metadata,
    )


def clean_title(title: str) -> str:
    return _clean(title)


def attempt_digest(submission: str, *, sha256: str, recipe: str) -> str:
    """Return a digest that is equal only if reading again would give the same result."""
    return hashlib.sha256(dump([submission, sha256, recipe]).encode()).hexdigest()


def _checked_key(key: object) -> str:
    if not isinstance(key, str) or not key:
        raise InputError(f"Metadata key {key!r} is not a string", code="bad_metadata")
    return _clean(key)


def _checked_value(key: str, value: object) -> object:
    if isinstance(value, str):
        return _clean(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_MAX_INTEGER <= value < _MAX_INTEGER:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return [_clean(item) for item in value]
    kind = "a mapping" if isinstance(value, Mapping) else repr(value)
    raise InputError(
        f"Metadata {key!r} is {kind}; it must be a string, a finite 64-bit number, a boolean, "
        f"null or a list of strings",
        code="bad_metadata",
    )


def _clean(text: str) -> str:
    """Drop NUL, at which SQLite's functions stop, and replace what UTF-8 cannot hold."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="surrogatepass").decode(errors="replace")
    return text
