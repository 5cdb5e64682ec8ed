"""A store in a temporary home, and small documents with deterministic vectors."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.core.documents import Chunk, Document
from steelyard.store import Replacement, Store, Ticket

DIM = 8
FINGERPRINT = "toy-1"


def _vector(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8], "big")
    row = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return row / np.linalg.norm(row)


def _draft(
    document_id: str,
    *paragraphs: str,
    ticket: Ticket | None = None,
    recipe: str = "r1",
    title: str = "",
    heading: tuple[str, ...] = (),
    **fields: object,
) -> Replacement:
    text = "\n\n".join(paragraphs)
    chunks, start = [], 0
    for ordinal, paragraph in enumerate(paragraphs):
        end = start + len(paragraph)
        chunks.append(Chunk(ordinal, start, end, paragraph, heading, page=1, num_tokens=3))
        start = end + 2
    fields.setdefault("uri", f"file:///{document_id}")
    fields.setdefault("sha256", hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())
    document = Document(id=document_id, title=title, text=text, **fields)  # type: ignore[arg-type]
    rows = [_vector(chunk.embedded_text(title)) for chunk in chunks]
    vectors = np.stack(rows) if rows else np.zeros((0, DIM), np.float32)
    return Replacement(document, chunks, vectors, recipe, ticket)


@pytest.fixture
def draft() -> Callable[..., Replacement]:
    """Make a replacement whose chunks are the paragraphs given."""
    return _draft


@pytest.fixture
def vector() -> Callable[[str], np.ndarray]:
    return _vector


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "steelyard.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        opened.claim_embedder(FINGERPRINT, DIM)
        yield opened
