"""Texts → vectors and token ids; what was ever embedded comes from the store."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.core.protocols import Embedder, TokenizingEmbedder
from steelyard.store import KeptTokens, Store, text_hash

SLICE_CHUNKS = 256  # a long document's vectors are kept in slices, so that a crash loses few


@dataclass(frozen=True, slots=True)
class Embedded:
    """One row per text (N, D), and the token ids that are not in the store yet."""

    vectors: NDArray[np.float32]
    tokens: KeptTokens | None


def embed_texts(store: Store, embedder: Embedder, texts: Sequence[str]) -> Embedded:
    """Embed what the store has no vector of, each text once; blocking.

    More than a slice of new texts is remembered slice by slice, token ids included.
    """
    by_hash = {text_hash(text): text for text in texts}
    known = store.cached_embeddings(list(by_hash), embedder.fingerprint)
    missing = [digest for digest in by_hash if digest not in known]
    tokens: KeptTokens | None = None
    for begin in range(0, len(missing), SLICE_CHUNKS):
        fresh = missing[begin : begin + SLICE_CHUNKS]
        made = embed_new(embedder, [by_hash[digest] for digest in fresh])
        tokens = made.tokens
        if len(missing) > SLICE_CHUNKS:
            store.remember_embeddings(fresh, made.vectors, embedder.fingerprint, tokens=tokens)
            tokens = None
        known.update(zip(fresh, made.vectors.astype(np.float16), strict=True))
    rows = np.stack([known[text_hash(text)] for text in texts]).astype(np.float32)
    return Embedded(rows, tokens)


def embed_new(embedder: Embedder, texts: Sequence[str]) -> Embedded:
    """Embed texts, and keep the ids of an embedder that gives them away."""
    if not isinstance(embedder, TokenizingEmbedder):
        return Embedded(embedder.embed_passages(texts), None)
    made = embedder.embed_tokenized(texts)
    tokenizer = embedder.tokenizer
    ids = dict(zip(map(text_hash, texts), made.token_ids, strict=True))
    return Embedded(made.vectors, KeptTokens(tokenizer.identity, tokenizer.vocabulary, ids))


def embed_again(store: Store, embedder: Embedder) -> int:
    """Embed every chunk of a home with `embedder` and hand the home over to it; blocking.

    Return how many were embedded; an interrupted run goes on where it was.
    """
    at = Embedding(-1, 0)
    while slice_ := embed_missing(store, embedder, after=at.last_id):
        at = Embedding(slice_.last_id, at.num + slice_.num)
    store.reset_embedder(embedder.fingerprint, embedder.dim)
    return at.num


@dataclass(frozen=True, slots=True)
class Embedding:
    """How far an embedder has come: the last chunk that it was given, and how many in all."""

    last_id: int
    num: int


def embed_missing(
    store: Store, embedder: Embedder, *, after: int, limit: int = SLICE_CHUNKS
) -> Embedding | None:
    """Embed some of the chunks beyond id `after` that an embedder has no vector of; blocking.

    None: there are none. A newer chunk has a higher id, so going on from the last one misses none.
    """
    batch = store.unembedded(embedder.fingerprint, after=after, limit=limit)
    if not batch:
        return None
    texts = [chunk.text for chunk in batch]
    made = embed_new(embedder, texts)
    hashes = [text_hash(text) for text in texts]
    store.remember_embeddings(hashes, made.vectors, embedder.fingerprint, tokens=made.tokens)
    return Embedding(batch[-1].chunk_id, len(batch))
