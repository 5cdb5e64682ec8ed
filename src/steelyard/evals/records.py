"""What runs leave behind: outcomes that another run may use again, and reports to look up."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from pydantic import TypeAdapter

from steelyard.core.errors import InputError, NotFound
from steelyard.core.evaluation import (
    Outcome,
    Question,
    QuestionSet,
    Report,
    SetDocument,
    Verdict,
)
from steelyard.evals.report import report_from_json, report_json, weighed
from steelyard.infra.sqlite import Database, Layout

_OUTCOME = TypeAdapter(Outcome)
_QUESTIONS = TypeAdapter(tuple[Question, ...])
_DOCUMENTS = TypeAdapter(tuple[SetDocument, ...])
_LEVEL = 1  # of compression: a third of the time of the usual, a tenth more bytes

LAYOUT = Layout(
    application_id=0x53544C45,  # "STLE"
    migrations=(
        (
            # `fails`: it is part of its runs, and no new run uses it again.
            """CREATE TABLE outcomes (
                id INTEGER PRIMARY KEY, key BLOB NOT NULL, fails INTEGER NOT NULL,
                body BLOB NOT NULL
            ) STRICT""",
            "CREATE UNIQUE INDEX outcomes_by_key ON outcomes (key) WHERE fails = 0",
            """CREATE TABLE runs (
                number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL,
                summary TEXT NOT NULL, report BLOB NOT NULL, questions BLOB NOT NULL
            ) STRICT""",
            """CREATE TABLE run_outcomes (
                run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
                question INTEGER NOT NULL, arm INTEGER NOT NULL, outcome INTEGER NOT NULL,
                PRIMARY KEY (run, question, arm)
            ) STRICT, WITHOUT ROWID""",
            "CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) STRICT",
        ),
        # Titles and beginnings of the documents that a run's report shows; NULL: of an older run.
        ("ALTER TABLE runs ADD COLUMN documents BLOB",),
    ),
    rebuild="steelyard eval run ...",
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in a list, newest first. `verdicts` counts each arm's against the baseline."""

    id: str
    created_at: str
    set_name: str
    set_id: str
    arms: tuple[str, ...]
    measures: tuple[str, ...]
    num_questions: int
    num_failed: int
    verdicts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Kept:
    """An outcome in the database, and its number there."""

    number: int
    outcome: Outcome


class Records:
    """One SQLite file beside the home's truth; it may be deleted, and costs only the runs."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        """Open the file, making it first unless `readonly`."""
        self._path = path
        self._database = Database(path, layout=LAYOUT, readonly=readonly)

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Kept]:
        """Return the outcomes that are kept under `keys` and may be used again."""
        found: dict[bytes, Kept] = {}
        with self._database.reading() as connection:
            for key in keys:
                if (kept := _shared(connection, key)) is not None:
                    found[key] = kept
        return found

    def keep(self, rows: Iterable[tuple[bytes, Outcome]], *, fresh: bool = False) -> list[Kept]:
        """Keep outcomes under their keys, and return what is kept of each.

        What failed, or lacked a part, is never used again. If another process kept an outcome
        under the same key first, that one counts for both; `fresh`: this one does from now on.
        """
        kept: list[Kept] = []
        with self._database.writing(durable=False) as connection:
            for key, outcome in rows:
                if fresh:
                    connection.execute(
                        "UPDATE outcomes SET fails = 1 WHERE key = ? AND fails = 0", (key,)
                    )
                written = connection.execute(
                    "INSERT OR IGNORE INTO outcomes (key, fails, body) VALUES (?, ?, ?)",
                    (
                        key,
                        int(bool(outcome.error or outcome.degraded)),
                        zlib.compress(_OUTCOME.dump_json(outcome), _LEVEL),
                    ),
                )
                if written.rowcount:
                    kept.append(Kept(int(written.lastrowid or 0), outcome))
                elif (shared := _shared(connection, key)) is not None:
                    kept.append(shared)
        return kept

    def save(
        self,
        report: Report,
        questions: Sequence[Question],
        numbers: Mapping[str, Sequence[int]],
        *,
        documents: Sequence[SetDocument] = (),
    ) -> None:
        """Keep a run. `numbers[arm]` are those of its outcomes, in the order of `questions`;
        `documents` are those that its report shows."""
        body = json.dumps(report_json(report), allow_nan=False).encode()
        with self._database.writing() as connection:
            run = connection.execute(
                "INSERT INTO runs (id, created_at, summary, report, questions, documents) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    report.id,
                    report.created_at,
                    json.dumps(_summary(report)),
                    zlib.compress(body, _LEVEL),
                    zlib.compress(_QUESTIONS.dump_json(tuple(questions)), _LEVEL),
                    zlib.compress(_DOCUMENTS.dump_json(tuple(documents)), _LEVEL),
                ),
            ).lastrowid
            connection.executemany(
                "INSERT INTO run_outcomes (run, question, arm, outcome) VALUES (?, ?, ?, ?)",
                (
                    (run, place, arm, number)
                    for arm, one in enumerate(report.arms)
                    for place, number in enumerate(numbers[one.name])
                ),
            )

    def list_runs(self, *, limit: int = 200) -> list[RunRow]:
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, created_at, summary FROM runs ORDER BY number DESC LIMIT ?", (limit,)
            ).fetchall()
        return [_run_row(*row) for row in rows]

    def report(self, run: str) -> Report:
        """Return a run's report; `run` is its id, the beginning of it, or `last`.

        Raises:
            NotFound: there is no such run, or several begin so.
        """
        number, identity = self._number(run)
        body = self._blob("SELECT report FROM runs WHERE number = ?", number)
        return report_from_json(json.loads(zlib.decompress(body)), where=f"run {identity}")

    def questions(self, run: str) -> QuestionSet:
        """Return a run's questions, with the beginnings of the documents that it found."""
        number, _ = self._number(run)
        report = self.report(run)
        body = self._blob("SELECT questions FROM runs WHERE number = ?", number)
        questions = _QUESTIONS.validate_json(zlib.decompress(body))
        kept = self._blob("SELECT coalesce(documents, x'') FROM runs WHERE number = ?", number)
        documents = _DOCUMENTS.validate_json(zlib.decompress(kept)) if kept else ()
        return QuestionSet(report.set_name, report.set_id, questions, documents)

    def outcomes(
        self, run: str, *, question_ids: Sequence[str] | None = None
    ) -> dict[str, list[Outcome]]:
        """Return each arm's outcomes in the questions' order; of some questions only, if named.

        Raises:
            NotFound: there is no such run, or no such question in it.
        """
        number, identity = self._number(run)
        report = self.report(run)
        places = _places(report, question_ids, identity)
        found: dict[str, list[Outcome]] = {arm.name: [] for arm in report.arms}
        with self._database.reading() as connection:
            for place in places:
                rows = connection.execute(
                    "SELECT arm, body FROM run_outcomes JOIN outcomes ON outcomes.id = outcome "
                    "WHERE run = ? AND question = ? ORDER BY arm",
                    (number, place),
                )
                for arm, body in rows:
                    name = report.arms[arm].name
                    # An outcome may be shared with a run that knew the question by another id.
                    one = replace(_outcome(body), question_id=report.question_ids[place])
                    found[name].append(one)
        return found

    def delete(self, run: str) -> None:
        """Forget a run, its page, and those of its outcomes that no other run has."""
        number, identity = self._number(run)
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM outcomes WHERE id IN (SELECT outcome FROM run_outcomes WHERE run = ?) "
                "AND id NOT IN (SELECT outcome FROM run_outcomes WHERE run <> ?)",
                (number, number),
            )
            connection.execute("DELETE FROM run_outcomes WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
        for page in pages_of(self._path).glob(f"{identity}-*.html"):
            page.unlink(missing_ok=True)

    def replies(self) -> "Replies":
        """Return what judges said, by the hash of all that they were asked."""
        return Replies(self._database)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _number(self, run: str) -> tuple[int, str]:
        with self._database.reading() as connection, closing(connection.cursor()) as cursor:
            if run == "last":
                rows = cursor.execute(
                    "SELECT number, id FROM runs ORDER BY number DESC LIMIT 1"
                ).fetchall()
            else:
                rows = cursor.execute(
                    "SELECT number, id FROM runs WHERE substr(id, 1, ?) = ? ORDER BY id = ? DESC",
                    (len(run), run, run),
                ).fetchall()
        exact = [row for row in rows if row[1] == run]
        if not run or not rows:
            raise NotFound(f"there is no run {run!r}; `steelyard eval list` names them")
        if len(rows) > 1 and not exact:
            raise NotFound(f"{len(rows)} runs begin with {run!r}; give more of the id")
        number, identity = (exact or rows)[0]
        return int(number), str(identity)

    def _blob(self, statement: str, number: int) -> bytes:
        with self._database.reading() as connection:
            return bytes(connection.execute(statement, (number,)).fetchone()[0])


class Replies(MutableMapping[str, str]):
    """A mapping in the database, so that a judge is never asked the same thing twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getitem__(self, key: str) -> str:
        with self._database.reading() as connection:
            row = connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return str(row[0])

    def __setitem__(self, key: str, reply: str) -> None:
        with self._database.writing(durable=False) as connection:
            connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, reply))

    def __delitem__(self, key: str) -> None:
        with self._database.writing(durable=False) as connection:
            if not connection.execute("DELETE FROM replies WHERE key = ?", (key,)).rowcount:
                raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT key FROM replies ORDER BY key").fetchall()
        return iter([str(row[0]) for row in rows])

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])


def _shared(connection: Connection, key: bytes) -> Kept | None:
    row = connection.execute(
        "SELECT id, body FROM outcomes WHERE key = ? AND fails = 0", (key,)
    ).fetchone()
    return Kept(int(row[0]), _outcome(row[1])) if row is not None else None


def _outcome(body: bytes) -> Outcome:
    return _OUTCOME.validate_json(zlib.decompress(body))


def _places(report: Report, question_ids: Sequence[str] | None, run: str) -> Sequence[int]:
    if question_ids is None:
        return range(len(report.question_ids))
    known = {identity: place for place, identity in enumerate(report.question_ids)}
    missing = [identity for identity in question_ids if identity not in known]
    if missing:
        raise NotFound(f"run {run} has no question {missing[0]!r}")
    return [known[identity] for identity in question_ids]


def _summary(report: Report) -> dict[str, Any]:
    verdicts: dict[str, dict[str, int]] = {}
    for one in weighed(report):
        of_arm = verdicts.setdefault(one.candidate, {verdict.value: 0 for verdict in Verdict})
        of_arm[one.verdict.value] += 1
    return {
        "set_name": report.set_name,
        "set_id": report.set_id,
        "arms": [arm.name for arm in report.arms],
        "measures": list(report.measures),
        "num_questions": len(report.question_ids),
        "num_failed": sum(len(arm.failures) for arm in report.arms),
        "verdicts": verdicts,
    }


def _run_row(identity: str, created_at: str, summary: str) -> RunRow:
    told = json.loads(summary)
    return RunRow(
        id=identity,
        created_at=created_at,
        set_name=told["set_name"],
        set_id=told["set_id"],
        arms=tuple(told["arms"]),
        measures=tuple(told["measures"]),
        num_questions=told["num_questions"],
        num_failed=told["num_failed"],
        verdicts=told["verdicts"],
    )


def records_path(home: Path) -> Path:
    """Return where a home keeps its runs."""
    return home / "evals" / "records.db"


def pages_of(records: Path) -> Path:
    """Return the folder of the HTML reports that a server has written."""
    return records.parent / "pages"


def check_same_set(one: Report, other: Report) -> None:
    """Raise InputError unless both reports asked the same questions of the same documents."""
    if one.set_id != other.set_id:
        raise InputError(
            f"run {one.id} is about {one.set_name!r} ({one.set_id[:12]}), run {other.id} about "
            f"{other.set_name!r} ({other.set_id[:12]}): compare runs of one set"
        )
