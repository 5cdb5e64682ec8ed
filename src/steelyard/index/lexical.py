"""Lexical search: BM25 by tantivy (k1 1.2, b 0.75), one text field a chunk."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from steelyard.core.protocols import IndexRows
from steelyard.core.ranking import Allowed, Ranking
from steelyard.index.analysis import ANALYZER, QueryAnalyzer, passage_analyzer, prepared
from steelyard.index.planner import LEXICAL_WALK_LIMIT, oversampled
from steelyard.index.rows import TIE_MARGIN, among, ranked
from steelyard.infra.files import disk_full

# Signed on purpose: deleting by a Python int on an unsigned field deletes nothing, silently.
_ID = "chunk_id"
_CLASS = "access_class"
_TEXT = "text"
_MAX_QUERY_TERMS = 64
_MAX_ID_CLAUSES = 256  # 100 id clauses take 0.5 ms; a term set of as many takes 1.8
_LEAST_FREE_BYTES = 1 << 20
_NO_SPACE = ("No space left on device", "os error 28", "os error 122")


class LexicalView:
    """One committed state; safe to search from any thread."""

    def __init__(
        self, searcher: tantivy.Searcher, schema: tantivy.Schema, analyzer: QueryAnalyzer
    ) -> None:
        self._searcher = searcher
        self._schema = schema
        self._analyzer = analyzer
        self.num_chunks: int = searcher.num_docs

    def search(self, text: str, *, k: int, allowed: Allowed, share: float) -> Ranking:
        """Return the k best allowed chunks; none if no term of `text` occurs.

        `share` bounds the part of the chunks that is allowed. Where it is not tiny, the best
        hits of all are filtered afterwards, which is the fastest, and believed only if k are
        left or there were no more; else the filter goes into the query.
        """
        query = self._query(text)
        if query is None or not self.num_chunks or not share:
            return Ranking()
        if allowed.everything:
            return self._ranking(query, k=k, allowed=allowed, limit=k + TIE_MARGIN)
        limit = oversampled(
            k + TIE_MARGIN,
            num_allowed=max(1, int(share * self.num_chunks)),
            num_total=self.num_chunks,
        )
        if limit <= LEXICAL_WALK_LIMIT:
            ranking = self._ranking(query, k=k, allowed=allowed, limit=limit, complete=False)
            if len(ranking.hits) == k:
                return ranking
        filters, inside = self._filters(allowed)
        limit = k + TIE_MARGIN if inside else self.num_chunks
        query = Query.boolean_query([*filters, (Occur.Must, query)])
        return self._ranking(query, k=k, allowed=allowed, limit=limit)

    def _query(self, text: str) -> Query | None:
        """Return the disjunction of the rarest terms of `text` that occur at all."""
        terms = self._analyzer.terms(text)
        frequency = {term: self._searcher.doc_freq(_TEXT, term) for term in terms}
        present = sorted((term for term in terms if frequency[term]), key=frequency.__getitem__)
        if not present:
            return None
        return Query.boolean_query(
            [(Occur.Should, self._term(term, terms[term])) for term in present[:_MAX_QUERY_TERMS]]
        )

    def _term(self, term: str, count: int) -> Query:
        query = Query.term_query(self._schema, _TEXT, term, index_option="freq")
        return query if count == 1 else Query.boost_query(query, float(count))

    def _filters(self, allowed: Allowed) -> tuple[list[tuple[Occur, Query]], bool]:
        """Return the clauses for `allowed`, and whether they say all of it."""
        clauses: list[Query] = []
        if allowed.classes is not None:
            clauses.append(Query.term_set_query(self._schema, _CLASS, sorted(allowed.classes)))
        inside = True
        if allowed.chunk_ids is not None:
            inside = len(allowed.chunk_ids) <= _MAX_ID_CLAUSES
            if inside:
                clauses.append(self._any_of(allowed.chunk_ids.tolist()))
        return [(Occur.Must, Query.boost_query(clause, 0.0)) for clause in clauses], inside

    def _any_of(self, chunk_ids: list[int]) -> Query:
        return Query.boolean_query(
            [
                (Occur.Should, Query.term_query(self._schema, _ID, chunk_id))
                for chunk_id in chunk_ids
            ]
        )

    def _ranking(
        self, query: Query, *, k: int, allowed: Allowed, limit: int, complete: bool = True
    ) -> Ranking:
        """Return the allowed ones of the first `limit` hits, widening only to settle ties."""
        limit = min(limit, self.num_chunks)
        while True:
            hits = self._searcher.search(query, limit, count=False).hits
            scores = np.array([score for score, _ in hits], dtype=np.float32)
            ids, kept = self._allowed([address for _, address in hits], allowed)
            ranking = ranked(ids[kept], scores[kept], k=k)
            exhausted = len(hits) < limit or limit == self.num_chunks
            cut_a_tie = len(ranking.hits) == k and scores[-1] == ranking.hits[-1].score
            if exhausted or not (cut_a_tie or (complete and len(ranking.hits) < k)):
                return ranking
            limit = min(limit * 4, self.num_chunks)

    def _allowed(
        self, addresses: list[tantivy.DocAddress], allowed: Allowed
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the chunk ids at `addresses` and which of them are allowed."""
        ids = np.array(self._searcher.fast_field_values(_ID, addresses), dtype=np.int64)
        kept = np.ones(len(ids), dtype=np.bool_)
        if allowed.classes is not None:
            classes = self._searcher.fast_field_values(_CLASS, addresses)
            kept &= np.array([value in allowed.classes for value in classes], dtype=np.bool_)
        if allowed.chunk_ids is not None:
            kept &= among(ids, allowed.chunk_ids)
        return ids, kept


class Lexical:
    """The writing side; calls must not overlap. Changes are seen from `commit` on."""

    def __init__(self, directory: Path, *, heap_bytes: int) -> None:
        """Open the index in `directory`, or make one in an empty directory.

        Raises:
            ValueError: tantivy cannot read what is there.
        """
        self.directory = directory
        self._heap_bytes = heap_bytes
        self._schema = _schema()
        directory.mkdir(parents=True, exist_ok=True)
        self._index = tantivy.Index(self._schema, path=str(directory))
        self._index.register_tokenizer(ANALYZER, passage_analyzer())
        self._index.config_reader(reload_policy="manual")
        self._analyzer = QueryAnalyzer()
        self._writer: tantivy.IndexWriter | None = None
        self.view = self._reloaded()

    def remove(self, chunk_ids: Iterable[int]) -> None:
        writer = self._open_writer()
        for chunk_id in chunk_ids:
            writer.delete_documents_by_term(_ID, int(chunk_id))

    def add(self, rows: IndexRows, *, fresh: bool = False) -> None:
        """Add chunks, replacing those already here; `fresh`: none of them can be."""
        writer = self._open_writer()
        if not fresh:
            self.remove(rows.chunk_ids.tolist())
        with self._explained():
            for chunk_id, access_class, text in zip(
                rows.chunk_ids.tolist(), rows.classes.tolist(), rows.texts, strict=True
            ):
                document = tantivy.Document()
                document.add_integer(_ID, chunk_id)
                document.add_integer(_CLASS, access_class)
                document.add_text(_TEXT, prepared(text))
                writer.add_document(document)

    def commit(self) -> LexicalView:
        """Make the changes durable and visible; without changes, cost nothing.

        Raises:
            SetupError: the disk is full.
        """
        if self._writer is not None:
            with self._explained():
                self._writer.commit()
            self.view = self._reloaded()
        return self.view

    def revert(self) -> None:
        """Drop the changes since the last commit."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with contextlib.suppress(ValueError):  # a killed writer has nothing to roll back
                writer.rollback()

    def close(self) -> None:
        """Drop what is not committed, and wait for merges: they still write files."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            with contextlib.suppress(ValueError):  # a killed writer has nothing to wait for
                writer.wait_merging_threads()

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            with self._explained():
                self._writer = self._index.writer(heap_size=self._heap_bytes, num_threads=1)
        return self._writer

    def _reloaded(self) -> LexicalView:
        self._index.reload()
        return LexicalView(self._index.searcher(), self._schema, self._analyzer)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """tantivy knows one error, `ValueError`; name the one an operator can repair."""
        try:
            yield
        except ValueError as error:
            full = any(sign in str(error) for sign in _NO_SPACE)
            # A writer that its own thread's full disk has killed names no reason.
            if full or shutil.disk_usage(self.directory).free < _LEAST_FREE_BYTES:
                raise disk_full(self.directory) from error
            raise


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(_ID, indexed=True, fast=True)
    builder.add_integer_field(_CLASS, indexed=True, fast=True)
    builder.add_text_field(_TEXT, tokenizer_name=ANALYZER, index_option="freq")
    return builder.build()
