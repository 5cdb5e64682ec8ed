"""Entries as signed bytes between replicas: JSON with the vector in base64, behind an HMAC."""

import base64
import hashlib
import hmac
import json
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from steelyard.cache.entry import Entry
from steelyard.core.chat import Answer

_ANSWER = TypeAdapter(Answer)
_SIGNATURE_BYTES = 64  # of hexadecimal digits
_VERSION = 1
MAX_BYTES = 4_000_000


class Refused(ValueError):
    """Bytes that are not an entry of ours; the message says why, without their content."""


class _Row(BaseModel):
    """An entry as JSON. `sender` is the replica that made it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int
    sender: str
    question: str
    scope: str
    vector: str | None
    answer: dict[str, Any]
    pool: list[int]
    snapshot: int
    created_at: Annotated[float, Field(allow_inf_nan=False)]


class Received:
    """An entry and the replica that sent it."""

    __slots__ = ("entry", "sender")

    def __init__(self, entry: Entry, sender: str) -> None:
        self.entry = entry
        self.sender = sender


def sealed(entry: Entry, *, sender: str, secret: bytes) -> bytes:
    """Return an entry as bytes that nobody without `secret` can make or change."""
    vector = None if entry.vector is None else base64.b64encode(entry.vector.tobytes()).decode()
    row = {
        "version": _VERSION,
        "sender": sender,
        "question": entry.question,
        "scope": entry.scope,
        "vector": vector,
        "answer": _ANSWER.dump_python(entry.answer, mode="json"),
        "pool": list(entry.pool),
        "snapshot": entry.snapshot,
        "created_at": entry.created_at,
    }
    body = json.dumps(row).encode()
    return _signature(body, secret) + body


def opened(message: bytes, *, secret: bytes) -> Received:
    """Return the entry that `sealed` made.

    Raises:
        Refused: it is too large, not signed with `secret`, or not as we write it.
    """
    if len(message) > MAX_BYTES:
        raise Refused(f"{len(message):,} bytes are more than {MAX_BYTES:,}")
    signature, body = message[:_SIGNATURE_BYTES], message[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(body, secret)):
        raise Refused("the signature is not ours")
    try:
        row = _Row.model_validate_json(body)
        if row.version != _VERSION:
            raise Refused(f"version {row.version} is not {_VERSION}")
        vector = None
        if row.vector is not None:
            vector = np.frombuffer(base64.b64decode(row.vector, validate=True), np.float32)
        entry = Entry(
            question=row.question,
            scope=row.scope,
            vector=vector,
            answer=_ANSWER.validate_python(row.answer),
            pool=tuple(row.pool),
            snapshot=row.snapshot,
            created_at=row.created_at,
        )
    except ValidationError as error:
        raise Refused(f"{error.error_count()} fields are wrong") from error
    except ValueError as error:
        raise Refused(str(error)) from error
    return Received(entry, row.sender)


def _signature(body: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
