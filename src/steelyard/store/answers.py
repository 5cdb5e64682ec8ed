"""The query log: what was asked and answered, and what people thought of it."""

import json
import time
from dataclasses import asdict

from steelyard.core.chat import Answer, Citation
from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import Principal, Query
from steelyard.infra.sqlite import Database
from steelyard.store.codec import dump
from steelyard.store.records import LoggedAnswer

MAX_ANSWERS = 50_000
MAX_AGE_S = 90 * 86_400.0
MAX_COMMENT_CHARS = 2_000
RATINGS = ("up", "down")
_TRIM_EVERY = 200

_INSERT = """
INSERT INTO answers (id, at, principal, collection, question, text, answerable, citations,
                     timings_ms, model, snapshot)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A rated answer stays: people rate few, and those are what tuning learns from.
_TRIM = """
DELETE FROM answers WHERE (key <= ? OR at < ?)
    AND NOT EXISTS (SELECT 1 FROM feedback WHERE answer = answers.key)
"""
_RECENT = """
SELECT a.id, a.at, a.principal, a.collection, a.question, a.text, a.answerable, a.snapshot,
       a.timings_ms, f.rating, coalesce(f.comment, ''), a.citations
FROM answers AS a LEFT JOIN feedback AS f ON f.answer = a.key AND f.at =
    (SELECT max(at) FROM feedback WHERE answer = a.key)
WHERE f.rating IS NOT NULL OR NOT ?
ORDER BY a.key DESC LIMIT ?
"""


class Answers:
    """Bounded by number and age; logging waits for no disk."""

    def __init__(
        self, database: Database, *, max_answers: int = MAX_ANSWERS, max_age_s: float = MAX_AGE_S
    ) -> None:
        self._database = database
        self._max_answers = max_answers
        self._max_age_s = max_age_s

    def log_answer(self, query: Query, answer: Answer) -> None:
        """Append a finished answer, and now and then drop what is beyond the bounds."""
        now = time.time()
        row = (
            answer.id,
            now,
            query.principal.id,
            query.collection,
            query.text,
            answer.text,
            int(answer.answerable),
            dump([asdict(citation) for citation in answer.citations]),
            dump(dict(answer.usage.timings_ms)),
            answer.usage.model,
            answer.snapshot,
        )
        with self._database.writing(durable=False) as connection:
            key = connection.execute(_INSERT, row).lastrowid
            assert key is not None
            if key % _TRIM_EVERY == 0:
                connection.execute(_TRIM, (key - self._max_answers, now - self._max_age_s))

    def add_feedback(
        self, answer_id: str, rating: str, *, comment: str = "", principal: Principal
    ) -> None:
        """Note what the asker (or an operator) thinks; a second rating replaces the first.

        Raises:
            InputError: the rating is neither `up` nor `down`, or the comment is too long.
            NotFound: no such answer was logged for this principal, or it was trimmed since.
        """
        if rating not in RATINGS:
            raise InputError(f"rating must be 'up' or 'down', not {rating!r}")
        if len(comment) > MAX_COMMENT_CHARS:
            raise InputError(
                f"comment has {len(comment)} characters, more than {MAX_COMMENT_CHARS}: shorten it"
            )
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT key, principal FROM answers WHERE id = ?", (answer_id,)
            ).fetchone()
            if row is None or not (principal.operator or row[1] == principal.id):
                raise NotFound(f"No answer {answer_id!r} is in the log")
            connection.execute(
                "INSERT OR REPLACE INTO feedback (answer, principal, rating, comment, at) "
                "VALUES (?, ?, ?, ?, ?)",
                (row[0], principal.id, rating, comment, time.time()),
            )

    def recent_answers(self, *, limit: int = 100, only_rated: bool = False) -> list[LoggedAnswer]:
        """Return the log's end, newest first; for operators."""
        with self._database.reading() as connection:
            rows = connection.execute(_RECENT, (int(only_rated), limit)).fetchall()
        return [
            LoggedAnswer(
                id=row[0],
                at=row[1],
                principal_id=row[2],
                collection=row[3],
                question=row[4],
                text=row[5],
                answerable=bool(row[6]),
                snapshot=row[7],
                timings_ms=json.loads(row[8]),
                rating=row[9],
                comment=row[10],
                citations=tuple(Citation(**citation) for citation in json.loads(row[11])),
            )
            for row in rows
        ]
