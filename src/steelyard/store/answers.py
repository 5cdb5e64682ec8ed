"""The query log: what was asked and answered, and what people thought of it."""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from steelyard.core.chat import SERVED_AGAIN, Answer, Asker, Citation, Message, Span
from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import Principal, Query
from steelyard.infra.sqlite import Database
from steelyard.store.codec import dump, dump_groups, load_groups
from steelyard.store.records import LoggedAnswer, UsedAnswer

MAX_ANSWERS = 50_000
MAX_AGE_S = 90 * 86_400.0
MAX_COMMENT_CHARS = 2_000
MAX_CORRECTION_CHARS = 20_000
MAX_HISTORY_CHARS = 16_000
RATINGS = ("up", "down")
NOBODY = Asker()
_TRIM_EVERY = 200

_COLUMNS = (
    "id", "at", "principal", "collection", "question", "text", "answerable", "citations",
    "timings_ms", "model", "snapshot", "bundle", "user", "experiment", "arm", "cache",
    "unsupported", "degraded", "error", "groups", "k", "filter", "more_collections", "history",
    "prompt_tokens", "cached_tokens", "completion_tokens", "context_tokens",
)  # fmt: skip
_INSERT = f"INSERT INTO answers ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_USED = """
SELECT text, at, principal, collection, bundle, model, cache, error, prompt_tokens, cached_tokens,
    completion_tokens, coalesce(json_extract(timings_ms, '$.generate'), 0) / 1000
FROM answers WHERE at >= ? ORDER BY key
"""
_UNKNOWN = dict.fromkeys(_COLUMNS[-4:])
# A rated answer stays: people rate few, and those are what tuning learns from.
_TRIM = """
DELETE FROM answers WHERE (key <= ? OR at < ?)
    AND NOT EXISTS (SELECT 1 FROM feedback WHERE answer = answers.key)
"""
_RECENT = """
SELECT a.*, f.rating AS rating, coalesce(f.comment, '') AS comment,
    coalesce(f.correction, '') AS correction
FROM answers AS a LEFT JOIN feedback AS f ON f.answer = a.key AND f.at =
    (SELECT max(at) FROM feedback WHERE answer = a.key)
WHERE (f.rating IS NOT NULL OR NOT :only_rated) AND (a.error = '' OR :failed)
    AND a.at >= :since
ORDER BY a.key DESC LIMIT :limit
"""


class Answers:
    """Bounded by number and age; logging waits for no disk."""

    def __init__(
        self, database: Database, *, max_answers: int = MAX_ANSWERS, max_age_s: float = MAX_AGE_S
    ) -> None:
        self._database = database
        self._max_answers = max_answers
        self._max_age_s = max_age_s

    def log_answer(
        self,
        query: Query,
        answer: Answer,
        *,
        history: Sequence[Message] = (),
        asker: Asker = NOBODY,
    ) -> None:
        """Append a finished answer, and now and then drop what is beyond the bounds."""
        given = {
            "id": answer.id,
            "text": answer.text,
            "answerable": int(answer.answerable),
            "citations": dump([asdict(citation) for citation in answer.citations]),
            "timings_ms": dump(dict(answer.usage.timings_ms)),
            "model": answer.usage.model,
            "snapshot": answer.snapshot,
            "bundle": answer.bundle,
            "cache": answer.cache,
            "unsupported": dump([[span.start, span.end] for span in answer.unsupported]),
            "degraded": dump(list(answer.degraded)),
            "error": asker.failure,
            **_used(answer),
        }
        self._append(given | _asked(query, history, asker))

    def log_failure(
        self,
        query: Query,
        error: str,
        *,
        took_ms: float,
        bundle: str,
        history: Sequence[Message] = (),
        asker: Asker = NOBODY,
    ) -> None:
        """Append a question that ended without an answer; `error` is the code of the reason."""
        given = {
            "id": "f" + secrets.token_hex(10),
            "text": "",
            "answerable": 0,
            "citations": "[]",
            "timings_ms": dump({"total": round(took_ms, 3)}),
            "model": "",
            "snapshot": 0,
            "bundle": bundle,
            "cache": "",
            "unsupported": "[]",
            "degraded": "[]",
            "error": error,
            **_UNKNOWN,
        }
        self._append(given | _asked(query, history, asker))

    def _append(self, given: Mapping[str, Any]) -> None:
        now = time.time()
        row = [now if name == "at" else given[name] for name in _COLUMNS]
        with self._database.writing(durable=False) as connection:
            key = connection.execute(_INSERT, row).lastrowid
            assert key is not None
            if key % _TRIM_EVERY == 0:
                connection.execute(_TRIM, (key - self._max_answers, now - self._max_age_s))

    def add_feedback(
        self,
        answer_id: str,
        rating: str,
        *,
        comment: str = "",
        correction: str = "",
        principal: Principal,
    ) -> None:
        """Note what the asker (or an operator) thinks; a second rating replaces the first.

        `correction` is the whole answer as it should have been; "": nobody wrote one.

        Raises:
            InputError: the rating is neither `up` nor `down`, or a text is too long.
            NotFound: no such answer was logged for this principal, or it was trimmed since.
        """
        if rating not in RATINGS:
            raise InputError(f"rating must be 'up' or 'down', not {rating!r}")
        _check_length("comment", comment, MAX_COMMENT_CHARS)
        _check_length("correction", correction, MAX_CORRECTION_CHARS)
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT key, principal FROM answers WHERE id = ?", (answer_id,)
            ).fetchone()
            if row is None or not (principal.operator or row[1] == principal.id):
                raise NotFound(f"No answer {answer_id!r} is in the log")
            connection.execute(
                "INSERT OR REPLACE INTO feedback "
                "(answer, principal, rating, comment, correction, at) VALUES (?, ?, ?, ?, ?, ?)",
                (row[0], principal.id, rating, comment, correction.strip(), time.time()),
            )

    def used_answers(self, *, since: float = 0.0) -> list[UsedAnswer]:
        """Return what each logged question used, the oldest first; for operators."""
        with self._database.reading() as connection:
            return [
                UsedAnswer(hashlib.sha256(text.encode(errors="replace")).digest()[:16], *used)
                for text, *used in connection.execute(_USED, (since,))
            ]

    def log_is_whole_since(self) -> float:
        """Return since when the log has everything, in Unix seconds."""
        with self._database.reading() as connection:
            last = connection.execute("SELECT coalesce(max(key), 0) FROM answers").fetchone()[0]
            row = connection.execute(
                "SELECT at FROM answers WHERE key > ? ORDER BY key LIMIT 1",
                (last - self._max_answers,),
            ).fetchone()
        by_number = float(row[0]) if last > self._max_answers else 0.0
        return max(by_number, time.time() - self._max_age_s)

    def recent_answers(
        self,
        *,
        limit: int = 100,
        only_rated: bool = False,
        since: float = 0.0,
        failed: bool = False,
    ) -> list[LoggedAnswer]:
        """Return the log's end, newest first; for operators. `failed`: with what has no answer,
        or another arm's."""
        wanted = {"only_rated": only_rated, "failed": failed, "since": since, "limit": limit}
        with self._database.reading() as connection:
            found = connection.execute(_RECENT, wanted)
            names = [column[0] for column in found.description]
            return [_logged(dict(zip(names, row, strict=True))) for row in found.fetchall()]


def _used(answer: Answer) -> dict[str, int | None]:
    """Return an answer's tokens: None where they are not known, 0 where nothing was asked."""
    usage = answer.usage
    if answer.cache in SERVED_AGAIN:
        return dict.fromkeys(_UNKNOWN, 0)
    return {
        "prompt_tokens": usage.prompt_tokens or None,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens or None,
        "context_tokens": usage.context_tokens,
    }


def _check_length(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InputError(f"{name} has {len(text)} characters, more than {most}: shorten it")


def _asked(query: Query, history: Sequence[Message], asker: Asker) -> dict[str, Any]:
    turns = [[turn.role, turn.content] for turn in history]
    too_long = sum(len(content) for _, content in turns) > MAX_HISTORY_CHARS
    return {
        "principal": query.principal.id,
        "collection": query.collection,
        "question": query.text,
        "user": asker.user,
        "experiment": asker.experiment,
        "arm": asker.arm,
        "groups": dump_groups(query.principal.groups),
        "k": query.k,
        "filter": dump(query.filter),
        "more_collections": dump(list(query.more_collections)),
        "history": None if too_long else dump(turns),
    }


def _logged(row: Mapping[str, Any]) -> LoggedAnswer:
    history = row["history"]
    return LoggedAnswer(
        id=row["id"],
        at=row["at"],
        principal_id=row["principal"],
        collection=row["collection"],
        question=row["question"],
        text=row["text"],
        answerable=bool(row["answerable"]),
        snapshot=row["snapshot"],
        timings_ms=json.loads(row["timings_ms"]),
        rating=row["rating"],
        comment=row["comment"],
        correction=row["correction"],
        citations=tuple(Citation(**citation) for citation in json.loads(row["citations"])),
        model=row["model"],
        bundle=row["bundle"],
        user=row["user"],
        experiment=row["experiment"],
        arm=row["arm"],
        cache=row["cache"],
        unsupported=tuple(Span(*span) for span in json.loads(row["unsupported"])),
        degraded=tuple(json.loads(row["degraded"])),
        error=row["error"],
        groups=frozenset(load_groups(row["groups"])) if row["groups"] else None,
        k=row["k"],
        filter=json.loads(row["filter"]),
        more_collections=tuple(json.loads(row["more_collections"])),
        history=None if history is None else tuple(Message(*turn) for turn in json.loads(history)),
        prompt_tokens=row["prompt_tokens"],
        cached_tokens=row["cached_tokens"],
        completion_tokens=row["completion_tokens"],
        context_tokens=row["context_tokens"],
    )
