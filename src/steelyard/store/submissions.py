"""Documents on their way: submitted, being read, failed, skipped."""

import json
import os
import sqlite3
import time
from collections.abc import Sequence

from steelyard.core.documents import State
from steelyard.core.errors import Forbidden
from steelyard.core.ranking import Principal
from steelyard.infra.sqlite import Database
from steelyard.store.access import class_of, may_manage
from steelyard.store.codec import attempt_digest, dump, dump_submission
from steelyard.store.records import Pending, Submission, Ticket
from steelyard.store.schema import Clock

_STILL_SERVED = "the previous version is still served"

_INSERT = """
INSERT INTO documents (collection, id, uri, title, metadata, class, updated_at, state, version,
                       submission, submitted_at, path, size_bytes)
VALUES (:collection, :id, :uri, :title, :metadata, :class, :now, 'queued', :version,
        :submission, :now, :path, :size_bytes)
"""
_REQUEUE = """
UPDATE documents SET state = 'queued', version = :version, submission = :submission,
    submitted_at = :now, path = :path, size_bytes = :size_bytes
WHERE key = :key
"""
_DESCRIBE = """
UPDATE documents SET uri = :uri, title = :title, metadata = :metadata, class = :class,
    updated_at = :now
WHERE key = :key AND NOT served
"""
_SETTLE = """
UPDATE documents SET state = ?, settled = ?, submission = NULL, attempt = ?,
    error = CASE WHEN served THEN ? ELSE ? END
WHERE collection = ? AND id = ? AND version = ?
"""


class Submissions:
    """The way from `queued` to a terminal state; what is served meanwhile stays untouched.

    Every step takes the ticket of its submission and tells whether it still counted: False
    means that the document was deleted or submitted again, and the work can be dropped.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, submission: Submission, *, principal: Principal) -> Ticket:
        """Queue one document; see `submit_many`."""
        return self.submit_many([submission], principal=principal)[0]

    def submit_many(
        self, submissions: Sequence[Submission], *, principal: Principal
    ) -> list[Ticket]:
        """Queue documents, all or none; a document queued already gets a newer ticket.

        Raises:
            InputError: a name, a group or the metadata is not storable.
            Forbidden: a document of that id exists and the principal may not see it.
        """
        with self._database.writing() as connection:
            clock = Clock.read(connection)
            tickets = [
                self._queue(connection, clock, submission, principal) for submission in submissions
            ]
            clock.write(connection)
        return tickets

    def set_state(self, ticket: Ticket, state: State) -> bool:
        """Note progress: `queued`, `parsing` or `embedding`."""
        assert not state.terminal, "terminal states are reached by replace, fail, skip and keep"
        # Progress is worth no disk sync: after a power cut the document is pending either way.
        with self._database.writing(durable=False) as connection:
            cursor = connection.execute(
                "UPDATE documents SET state = ? WHERE collection = ? AND id = ? AND version = ?",
                (state.value, ticket.collection, ticket.id, ticket.version),
            )
            return cursor.rowcount == 1

    def fail(self, ticket: Ticket, error: str, *, sha256: str = "", recipe: str = "") -> bool:
        """End in `failed`. With `sha256` and `recipe`, `unchanged` knows the same bytes again,
        so that what cannot be read is not read at every start."""
        return self._settle(ticket, State.FAILED, error, sha256=sha256, recipe=recipe)

    def skip(self, ticket: Ticket, error: str, *, sha256: str = "", recipe: str = "") -> bool:
        """End in `skipped`, for the reason `error`; otherwise like `fail`."""
        return self._settle(ticket, State.SKIPPED, error, sha256=sha256, recipe=recipe)

    def keep(self, ticket: Ticket) -> bool:
        """End in the terminal state that the document had before: nothing has changed."""
        with self._database.writing() as connection:
            cursor = connection.execute(
                "UPDATE documents SET state = settled, submission = NULL "
                "WHERE collection = ? AND id = ? AND version = ? AND settled IS NOT NULL",
                (ticket.collection, ticket.id, ticket.version),
            )
            return cursor.rowcount == 1

    def unchanged(self, submission: Submission, *, sha256: str, recipe: str) -> bool:
        """Tell whether the document last came to an end with the same bytes, recipe, URI, title,
        groups and metadata, so that reading it again can change nothing."""
        digest = attempt_digest(dump_submission(submission), sha256=sha256, recipe=recipe)
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT attempt FROM documents WHERE collection = ? AND id = ?",
                (submission.collection, submission.id),
            ).fetchone()
        return row is not None and row[0] == digest

    def pending(self) -> list[Pending]:
        """Return what a crash left on its way, oldest submission first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT collection, id, version, submission, path, size_bytes, state "
                "FROM documents WHERE state IN ('queued', 'parsing', 'embedding') "
                "ORDER BY version"
            ).fetchall()
        return [_pending(*row) for row in rows]

    def _queue(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        submission: Submission,
        principal: Principal,
    ) -> Ticket:
        said = dump_submission(submission)
        told = json.loads(said)
        known = connection.execute(
            "SELECT key, class FROM documents WHERE collection = ? AND id = ?",
            (submission.collection, submission.id),
        ).fetchone()
        if known is not None and not may_manage(connection, known[1], principal):
            raise Forbidden(
                f"Document {submission.id!r} of collection {submission.collection!r} belongs to "
                f"groups that {principal.id!r} is not in: choose another id"
            )
        clock.version += 1
        values = {
            "collection": submission.collection,
            "id": submission.id,
            "uri": told["uri"],
            "title": told["title"],
            "metadata": dump(told["metadata"]),
            "class": class_of(connection, submission.collection, submission.groups),
            "now": time.time(),
            "version": clock.version,
            "submission": said,
            "path": None if submission.path is None else os.fsencode(submission.path),
            "size_bytes": submission.size_bytes,
            "key": known[0] if known else None,
        }
        if known is None:
            connection.execute(_INSERT, values)
        else:
            connection.execute(_REQUEUE, values)
            connection.execute(_DESCRIBE, values)
        return Ticket(submission.collection, submission.id, clock.version)

    def _settle(
        self, ticket: Ticket, state: State, error: str, *, sha256: str, recipe: str
    ) -> bool:
        where = (ticket.collection, ticket.id, ticket.version)
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT submission FROM documents WHERE collection = ? AND id = ? AND version = ?",
                where,
            ).fetchone()
            if row is None:
                return False
            attempt = attempt_digest(row[0], sha256=sha256, recipe=recipe) if sha256 else None
            still = f"{error} ({_STILL_SERVED})"
            connection.execute(_SETTLE, (state.value, state.value, attempt, still, error, *where))
            return True


def _pending(
    collection: str,
    document_id: str,
    version: int,
    said: str,
    path: bytes | None,
    size_bytes: int,
    state: str,
) -> Pending:
    told = json.loads(said)
    submission = Submission(
        id=document_id,
        uri=told["uri"],
        collection=collection,
        title=told["title"],
        groups=tuple(told["groups"]),
        metadata=told["metadata"],
        path=None if path is None else os.fsdecode(path),
        size_bytes=size_bytes,
    )
    return Pending(Ticket(collection, document_id, version), submission, State(state))
