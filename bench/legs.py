"""The two legs of a search over given texts, exact: what a bench of quality needs of an index.

Dense is a full scan of unit vectors; lexical is tantivy's BM25 (k1 1.2, b 0.75) over stemmed
English without stop words. Vectors are kept in bench/out/ by text and fingerprint.
"""

import hashlib
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tantivy

from steelyard.core.protocols import Embedder
from steelyard.core.ranking import Hit, Matrix, Ranking, Vector

OUT = Path(__file__).parent / "out"
_WRITER_BYTES = 50_000_000
_SLICE = 512
_MAX_TERMS = 256


class KeptVectors:
    """Embeds a text once, ever."""

    def __init__(self, embedder: Embedder) -> None:
        OUT.mkdir(parents=True, exist_ok=True)
        self.embedder = embedder
        self._rows = sqlite3.connect(OUT / f"vectors-{embedder.fingerprint}.sqlite", timeout=600)
        self._rows.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID"
        )

    def passages(self, texts: Sequence[str]) -> Matrix:
        keys = [_key("passage", text) for text in texts]
        missing = [at for at, key in enumerate(keys) if self._get(key) is None]
        for begin in range(0, len(missing), _SLICE):
            some = missing[begin : begin + _SLICE]
            rows = self.embedder.embed_passages([texts[at] for at in some])
            self._put([(keys[at], row.tobytes()) for at, row in zip(some, rows, strict=True)])
        return np.stack([np.frombuffer(self._get(key) or b"", np.float32) for key in keys])

    def query(self, text: str) -> Vector:
        key = _key("query", text)
        if self._get(key) is None:
            self._put([(key, self.embedder.embed_query(text).tobytes())])
        return np.frombuffer(self._get(key) or b"", np.float32)

    def _get(self, key: bytes) -> bytes | None:
        found = self._rows.execute("SELECT row FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if found is None else bytes(found[0])

    def _put(self, rows: list[tuple[bytes, bytes]]) -> None:
        with self._rows:
            self._rows.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)


class Legs:
    """Both legs over `texts`; a hit's chunk id is the position of its text."""

    def __init__(self, texts: Sequence[str], vectors: KeptVectors) -> None:
        self._vectors = vectors
        self._rows_ND = vectors.passages(texts)
        self._analyzer = (
            tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
            .filter(tantivy.Filter.lowercase())
            .filter(tantivy.Filter.ascii_fold())
            .filter(tantivy.Filter.stopword("english"))
            .filter(tantivy.Filter.stemmer("english"))
            .build()
        )
        self._schema = (
            tantivy.SchemaBuilder()
            .add_text_field("text", tokenizer_name="bench", index_option="freq")
            .add_integer_field("n", stored=True, fast=True)
            .build()
        )
        index = tantivy.Index(self._schema)
        index.register_tokenizer("bench", self._analyzer)
        writer = index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        for n, text in enumerate(texts):
            writer.add_document(tantivy.Document(text=_utf8(text), n=n))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        self._searcher = index.searcher()

    def dense(self, text: str, *, k: int) -> Ranking:
        scores_N = self._rows_ND @ self._vectors.query(text)
        best = np.lexsort((np.arange(len(scores_N)), -scores_N))[:k]
        return Ranking(tuple(Hit(int(at), float(scores_N[at])) for at in best))

    def lexical(self, text: str, *, k: int) -> Ranking:
        terms = list(dict.fromkeys(self._analyzer.analyze(_utf8(text))))[:_MAX_TERMS]
        if not terms:
            return Ranking()
        parts = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "text", term, "freq"))
            for term in terms
        ]
        found = self._searcher.search(tantivy.Query.boolean_query(parts), limit=k)
        hits = [
            Hit(int(self._searcher.doc(address)["n"][0]), float(score))
            for score, address in found.hits
        ]
        return Ranking(tuple(sorted(hits, key=lambda hit: (-hit.score, hit.chunk_id))))


def _key(use: str, text: str) -> bytes:
    return hashlib.blake2b(f"{use}\0{_utf8(text)}".encode(), digest_size=16).digest()


def _utf8(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "?", text)
