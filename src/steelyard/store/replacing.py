"""A document's old version out, its new one in: one transaction, or nothing."""

import sqlite3
import time
from collections.abc import Sequence

from steelyard.core.documents import Chunk, Document
from steelyard.core.errors import NotFound
from steelyard.core.ranking import Principal
from steelyard.infra.sqlite import Database
from steelyard.store.access import class_of, may_manage
from steelyard.store.codec import (
    attempt_digest,
    clean_title,
    dump,
    dump_blocks,
    dump_metadata,
    dump_submission,
    submission_of,
    text_hash,
)
from steelyard.store.embeddings import Embeddings, Targets, put_vectors
from steelyard.store.feed import Feed
from steelyard.store.records import Commit, Deletion, Replacement, Ticket
from steelyard.store.schema import Clock
from steelyard.store.tokens import put_tokens

_KNOWN = """
SELECT key, class, first_chunk, num_chunks, version, submission
FROM documents WHERE collection = ? AND id = ?
"""
_UPSERT = """
INSERT INTO documents (collection, id, uri, title, media_type, metadata, class, sha256, recipe,
    served, first_chunk, num_chunks, updated_at, state, settled, attempt, version, submitted_at)
VALUES (:collection, :id, :uri, :title, :media_type, :metadata, :class, :sha256, :recipe,
    1, :first_chunk, :num_chunks, :now, 'searchable', 'searchable', :attempt, :version, :now)
ON CONFLICT (collection, id) DO UPDATE SET uri = excluded.uri, title = excluded.title,
    media_type = excluded.media_type, metadata = excluded.metadata, class = excluded.class,
    sha256 = excluded.sha256, recipe = excluded.recipe, served = 1,
    first_chunk = excluded.first_chunk, num_chunks = excluded.num_chunks,
    updated_at = excluded.updated_at, state = 'searchable', settled = 'searchable', error = NULL,
    attempt = excluded.attempt, version = excluded.version, submission = NULL
RETURNING key
"""
_INSERT_CHUNK = """
INSERT INTO chunks (chunk_id, document, ordinal, start, stop, text, heading, page, num_tokens,
                    embedding)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,
        (SELECT key FROM embeddings WHERE embedder = ? AND sha256 = ?))
"""


class Replacing:
    """Writes versions and deletes documents, and tells the feed."""

    def __init__(self, database: Database, *, embeddings: Embeddings, feed: Feed) -> None:
        self._database = database
        self._embeddings = embeddings
        self._feed = feed

    def replace(self, replacement: Replacement) -> Commit:
        """Make one version searchable; see `replace_many`."""
        return self.replace_many([replacement])

    def replace_many(self, replacements: Sequence[Replacement]) -> Commit:
        """Make new versions searchable in one transaction, durable when this returns.

        A replacement whose ticket is void (a newer submission, or a delete) changes nothing
        and is listed in `superseded`.

        Raises:
            SetupError: the vectors are by another embedder than the home's, or the disk failed.
            InputError: a name or the metadata is not storable.
        """
        for replacement in replacements:
            _check(replacement)
        superseded: list[Ticket] = []
        with self._database.writing() as connection:
            clock = Clock.read(connection)
            for replacement in replacements:
                targets = self._embeddings.targets(connection, by=replacement.by)
                if not self._replace(connection, clock, replacement, targets):
                    assert replacement.ticket is not None
                    superseded.append(replacement.ticket)
            clock.write(connection)
        return Commit(clock.seq, tuple(superseded))

    def delete(self, collection: str, ids: Sequence[str], *, principal: Principal) -> Deletion:
        """Remove documents, invisible from the next query on.

        Raises:
            NotFound: none of them exists or may be seen by the principal.
        """
        gone: list[str] = []
        with self._database.writing() as connection:
            clock = Clock.read(connection)
            for document_id in ids:
                row = connection.execute(_KNOWN, (collection, document_id)).fetchone()
                if row is None or not may_manage(connection, row[1], principal):
                    continue
                key, class_id, first_chunk, num_chunks, _, _ = row
                chunk_ids = _drop_chunks(connection, class_id, first_chunk, num_chunks)
                self._feed.record(connection, clock, added=(), removed=chunk_ids)
                connection.execute("DELETE FROM documents WHERE key = ?", (key,))
                gone.append(document_id)
            if not gone:
                named = ", ".join(map(repr, ids[:3])) + (", ..." if len(ids) > 3 else "")
                raise NotFound(f"Collection {collection!r} has no document {named}")
            clock.write(connection)
        return Deletion(clock.seq, tuple(gone))

    def _replace(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        replacement: Replacement,
        targets: Targets,
    ) -> bool:
        vectors = {targets.by: replacement.vectors, **replacement.beside}
        own = targets.of(vectors)
        document, ticket = replacement.document, replacement.ticket
        known = connection.execute(_KNOWN, (document.collection, document.id)).fetchone()
        if ticket is not None and (known is None or known[4] != ticket.version):
            return False
        old: Sequence[int] = ()
        if known is not None:
            old = _drop_chunks(connection, known[1], known[2], known[3])
        own_words = dump_submission(submission_of(document))
        said = own_words if ticket is None else known[5]
        first_chunk = clock.chunk_id + 1
        clock.chunk_id += len(replacement.chunks)
        if ticket is None:
            clock.version += 1
        title = clean_title(document.title)
        key = _put_document(
            connection,
            replacement,
            title=title,
            said=said,
            first_chunk=first_chunk,
            version=clock.version if ticket is None else ticket.version,
        )
        if replacement.chunks:
            width, dim = own.shape[1], targets.home.dim
            assert width == dim, f"vectors have {width} dimensions, the home has {dim}"
            hashes = [text_hash(chunk.embedded_text(title)) for chunk in replacement.chunks]
            put_vectors(connection, targets.key, hashes, own)
            if targets.second is not None and targets.second[1] in vectors:
                put_vectors(connection, targets.second[0], hashes, vectors[targets.second[1]])
            if replacement.tokens is not None:
                put_tokens(connection, hashes, replacement.tokens)
            _put_chunks(connection, replacement.chunks, hashes, key, first_chunk, targets.key)
        new = range(first_chunk, first_chunk + len(replacement.chunks))
        self._feed.record(connection, clock, added=new, removed=old)
        return True


def _put_document(
    connection: sqlite3.Connection,
    replacement: Replacement,
    *,
    title: str,
    said: str,
    first_chunk: int,
    version: int,
) -> int:
    document, num_chunks = replacement.document, len(replacement.chunks)
    class_id = class_of(connection, document.collection, document.groups)
    connection.execute(
        "UPDATE classes SET num_chunks = num_chunks + ? WHERE class = ?", (num_chunks, class_id)
    )
    row = connection.execute(
        _UPSERT,
        {
            "collection": document.collection,
            "id": document.id,
            "uri": document.uri,
            "title": title,
            "media_type": document.media_type,
            "metadata": dump_metadata(document.metadata),
            "class": class_id,
            "sha256": document.sha256,
            "recipe": replacement.recipe,
            "first_chunk": first_chunk,
            "num_chunks": num_chunks,
            "now": time.time(),
            "attempt": attempt_digest(said, sha256=document.sha256, recipe=replacement.recipe),
            "version": version,
        },
    ).fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO texts (document, text, blocks) VALUES (?, ?, ?)",
        (row[0], document.text, dump_blocks(document.blocks)),
    )
    return int(row[0])


def _put_chunks(
    connection: sqlite3.Connection,
    chunks: Sequence[Chunk],
    hashes: Sequence[bytes],
    key: int,
    first_chunk: int,
    embedder: int,
) -> None:
    cursor = connection.executemany(
        _INSERT_CHUNK,
        [
            (first_chunk + n, key, *_columns(chunk), embedder, digest)
            for n, (chunk, digest) in enumerate(zip(chunks, hashes, strict=True))
        ],
    )
    assert cursor.rowcount == len(chunks), "chunks went missing on their way in"


def _columns(chunk: Chunk) -> tuple[object, ...]:
    heading = dump(list(chunk.heading)) if chunk.heading else None
    return (
        chunk.ordinal,
        chunk.start,
        chunk.end,
        chunk.text,
        heading,
        chunk.page,
        chunk.num_tokens,
    )


def _drop_chunks(
    connection: sqlite3.Connection, class_id: int, first_chunk: int, num_chunks: int
) -> range:
    """Remove a version's chunks, which are numbered in one piece; return their ids."""
    chunk_ids = range(first_chunk, first_chunk + num_chunks)
    cursor = connection.execute(
        "DELETE FROM chunks WHERE chunk_id >= ? AND chunk_id < ?", (chunk_ids.start, chunk_ids.stop)
    )
    assert cursor.rowcount == num_chunks, f"{cursor.rowcount} chunks where {num_chunks} should be"
    connection.execute(
        "UPDATE classes SET num_chunks = num_chunks - ? WHERE class = ?", (num_chunks, class_id)
    )
    return chunk_ids


def _check(replacement: Replacement) -> None:
    """Assert that chunks quote their document exactly and that each has its vector."""
    document: Document = replacement.document
    for vectors in (replacement.vectors, *replacement.beside.values()):
        assert len(vectors) == len(replacement.chunks), "one vector per chunk"
    ticket = replacement.ticket
    if ticket is not None:
        assert (ticket.collection, ticket.id) == (document.collection, document.id), "wrong ticket"
    for ordinal, chunk in enumerate(replacement.chunks):
        assert chunk.ordinal == ordinal, f"chunk {ordinal} says it is number {chunk.ordinal}"
        assert document.text[chunk.start : chunk.end] == chunk.text, (
            f"chunk {ordinal} of {document.id!r} is not text[{chunk.start}:{chunk.end}]"
        )
