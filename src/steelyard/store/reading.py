"""What readers see: chunks for answers, documents for listings; visibility decided here."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from steelyard.core.documents import DocumentRow, Parsed, State, StoredChunk
from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import Principal, Query
from steelyard.infra.sqlite import Database
from steelyard.store.access import Access
from steelyard.store.codec import dump, load_blocks, load_heading, load_metadata
from steelyard.store.records import Counts, DocumentPage

MAX_PAGE = 1_000

_CHUNK = """c.chunk_id, d.class, d.id, d.uri, d.title, d.collection, c.text, c.start, c.stop,
    c.heading, c.page, d.updated_at, d.metadata, c.num_tokens"""
# CROSS JOIN keeps the order: the few ids asked for lead, each found by its primary key.
_FETCH = f"""
SELECT {_CHUNK} FROM json_each(?) AS asked
CROSS JOIN chunks AS c ON c.chunk_id = asked.value
CROSS JOIN documents AS d ON d.key = c.document
WHERE d.collection = ?
"""
_CHUNKS_OF = f"""
SELECT {_CHUNK} FROM documents AS d JOIN chunks AS c
ON c.chunk_id >= d.first_chunk AND c.chunk_id < d.first_chunk + d.num_chunks
WHERE d.key = ? ORDER BY c.chunk_id
"""
_ROW = """d.key, d.class, d.id, d.uri, d.title, d.collection, d.state, d.error, d.num_chunks,
    d.updated_at, d.media_type, d.metadata"""


class Reading:
    """Reads for people and for answers. Search sees by groups alone; listings also honour
    operators, who see every document."""

    def __init__(self, database: Database, *, access: Access) -> None:
        self._database = database
        self._access = access

    def fetch(self, chunk_ids: Sequence[int], *, query: Query) -> list[StoredChunk]:
        """Return those of `chunk_ids`, in the order asked, that are live now, lie in the query's
        collection, match its filter and are readable by its principal."""
        asked = [int(chunk_id) for chunk_id in chunk_ids]
        sql = _FETCH
        parameters: list[object] = [dump(asked), query.collection]
        if (condition := self._access.condition(query)) is not None:
            sql += f" AND {condition.sql}"
            parameters += condition.parameters
        with self._database.snapshot() as connection:
            found = {
                row[0]: _stored(row)
                for row in connection.execute(sql, parameters).fetchall()
                if self._access.readable(connection, row[1], query.principal)
            }
        return [found[chunk_id] for chunk_id in asked if chunk_id in found]

    def chunks_of(
        self, collection: str, document_id: str, *, principal: Principal
    ) -> list[StoredChunk]:
        """Return a document's live chunks in reading order.

        Raises:
            NotFound: there is no such document, or none that the principal may see.
        """
        with self._database.snapshot() as connection:
            key = self._key(connection, collection, document_id, principal)
            rows = connection.execute(_CHUNKS_OF, (key,)).fetchall()
        return [_stored(row) for row in rows]

    def documents(
        self,
        *,
        principal: Principal,
        collection: str | None = None,
        state: State | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> DocumentPage:
        """List documents in the order of their first submission, a page at a time.

        Raises:
            InputError: `after` is no cursor that a page gave, or `limit` is out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InputError(f"limit must be 1 to {MAX_PAGE}, not {limit}")
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise InputError(f"after={after!r} is no cursor of a listing", code="bad_cursor")
        with self._database.snapshot() as connection:
            tests, parameters = self._listed(connection, principal, collection, state)
            rows = connection.execute(
                f"SELECT {_ROW} FROM documents AS d WHERE d.key > ? {tests} ORDER BY d.key LIMIT ?",
                (int(after or 0), *parameters, limit + 1),
            ).fetchall()
            page = tuple(self._row(connection, row) for row in rows[:limit])
        return DocumentPage(page, str(rows[limit - 1][0]) if len(rows) > limit else None)

    def document(self, collection: str, document_id: str, *, principal: Principal) -> DocumentRow:
        """Return a document's public state; raises `NotFound` as `chunks_of` does."""
        with self._database.snapshot() as connection:
            key = self._key(connection, collection, document_id, principal)
            row = connection.execute(f"SELECT {_ROW} FROM documents AS d WHERE key = ?", (key,))
            return self._row(connection, row.fetchone())

    def parsed(self, collection: str, document_id: str, *, principal: Principal) -> Parsed:
        """Return a served document as it was parsed.

        Raises:
            NotFound: there is none that the principal may see, or it was never read.
        """
        with self._database.snapshot() as connection:
            key = self._key(connection, collection, document_id, principal)
            row = connection.execute(
                "SELECT t.text, t.blocks, d.title, d.media_type, d.metadata "
                "FROM documents AS d JOIN texts AS t ON t.document = d.key WHERE d.key = ?",
                (key,),
            ).fetchone()
        if row is None:
            raise NotFound(f"Document {document_id!r} has no text: it has not been read yet")
        return Parsed(row[0], load_blocks(row[1]), row[2], row[3], load_metadata(row[4]))

    def text(self, collection: str, document_id: str, *, principal: Principal) -> str:
        """Return the text that citations of a document quote; raises as `parsed` does."""
        return self.parsed(collection, document_id, principal=principal).text

    def collections(self) -> list[str]:
        """Return the collections that hold documents, sorted, whoever may see what."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT DISTINCT collection FROM documents ORDER BY 1")
            return [row[0] for row in rows]

    def counts(self) -> Counts:
        """Return the home's totals, whoever may see what."""
        with self._database.snapshot() as connection:
            by_state = connection.execute("SELECT state, count(*) FROM documents GROUP BY state")
            states = {State(state): int(number) for state, number in by_state}
            served, chunks = connection.execute(
                "SELECT count(*), coalesce(sum(num_chunks), 0) FROM documents WHERE served"
            ).fetchone()
            seq = int(connection.execute("SELECT seq FROM home").fetchone()[0])
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        return Counts(states, int(served), int(chunks), seq, int(pages) * int(page_bytes))

    def _listed(
        self,
        connection: sqlite3.Connection,
        principal: Principal,
        collection: str | None,
        state: State | None,
    ) -> tuple[str, list[object]]:
        # "+" keeps SQLite on the primary key, whose order the cursor needs.
        tests = ""
        parameters: list[object] = []
        if collection is not None:
            tests += " AND +d.collection = ?"
            parameters.append(collection)
        if state is not None:
            tests += " AND +d.state = ?"
            parameters.append(state.value)
        if not principal.operator:
            classes = self._access.readable_classes(connection, principal, collection=collection)
            tests += " AND +d.class IN (SELECT value FROM json_each(?))"
            parameters.append(dump(classes))
        return tests, parameters

    def _key(
        self,
        connection: sqlite3.Connection,
        collection: str,
        document_id: str,
        principal: Principal,
    ) -> int:
        row = connection.execute(
            "SELECT key, class FROM documents WHERE collection = ? AND id = ?",
            (collection, document_id),
        ).fetchone()
        if row is None or not (
            principal.operator or self._access.readable(connection, row[1], principal)
        ):
            raise NotFound(f"Collection {collection!r} has no document {document_id!r}")
        return int(row[0])

    def _row(self, connection: sqlite3.Connection, row: Sequence[Any]) -> DocumentRow:
        state = State(row[6])
        return DocumentRow(
            id=row[2],
            uri=row[3],
            title=row[4],
            collection=row[5],
            state=state,
            # An older failure says nothing about the attempt under way.
            error=row[7] if state.terminal else None,
            num_chunks=row[8],
            updated_at=row[9],
            media_type=row[10],
            metadata=load_metadata(row[11]),
            groups=self._access.groups_of(connection, row[1]),
        )


def _stored(row: Sequence[Any]) -> StoredChunk:
    return StoredChunk(
        chunk_id=row[0],
        document_id=row[2],
        uri=row[3],
        title=row[4],
        collection=row[5],
        text=row[6],
        start=row[7],
        end=row[8],
        heading=load_heading(row[9]),
        page=row[10],
        updated_at=row[11],
        metadata=load_metadata(row[12]),
        num_tokens=row[13],
    )
