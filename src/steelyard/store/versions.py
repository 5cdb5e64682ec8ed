"""The registry in the truth: versions that never change, a log that only grows, and aliases.

An alias moves in the very transaction that logs why, so the log always leads to the aliases.
"""

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from steelyard.core.errors import InputError, NotFound
from steelyard.core.registry import (
    SERVING,
    Action,
    Alias,
    Evaluation,
    Event,
    Version,
    after_event,
)
from steelyard.infra.sqlite import Database
from steelyard.store.version_rows import (
    EVENT,
    VERSION,
    event_of,
    find_version,
    insert_version,
    log_event,
    version_of,
)

_CHAMPIONS = (
    f"{VERSION} WHERE id IN (SELECT version FROM aliases WHERE alias = 'champion') ORDER BY kind"
)
_FLIPS = f"action IN ({', '.join(repr(action.value) for action in SERVING)})"
_OF_VERSION = f" WHERE version = ? OR (before = ? AND {_FLIPS})"
_LAST_FLIP = f"SELECT coalesce(max(seq), 0) FROM registry_log WHERE {_FLIPS}"


@dataclass(frozen=True, slots=True)
class Registered:
    """`known`: a version with the very same content was there already, and is this one."""

    version: Version
    known: bool


@dataclass(frozen=True, slots=True)
class ServedVersions:
    """The champions of all kinds, in their order, and the number of the flip that made them so."""

    seq: int
    versions: tuple[Version, ...]


class Versions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def register_version(self, version: Version, *, who: str, why: str = "") -> Registered:
        """Keep a version for good, and log it; one with the same id stays as it is."""
        with self._database.writing() as connection:
            if (known := find_version(connection, version.id)) is not None:
                return Registered(known, known=True)
            kept = replace(version, created_at=version.created_at or time.time())
            insert_version(connection, kept)
            log_event(connection, who, Action.REGISTER, kept.kind, kept.id, why=why)
            return Registered(kept, known=False)

    def version(self, identity: str) -> Version:
        """Return a version by its whole id.

        Raises:
            NotFound: there is none.
        """
        with self._database.reading() as connection:
            return _known(connection, identity)

    def versions(self) -> list[Version]:
        """Return all versions, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(f"{VERSION} ORDER BY rowid DESC").fetchall()
        return [version_of(row) for row in rows]

    def keep_evaluation(self, identity: str, evaluation: Evaluation, *, who: str) -> Event:
        """Log how a version did; unless it is champion it is the challenger from now on."""
        with self._database.writing() as connection:
            kind = _known(connection, identity).kind
            at = evaluation.at or time.time()
            return _flip(
                connection, who, Action.WEIGH, kind, identity, evaluation=replace(evaluation, at=at)
            )

    def promote_version(
        self,
        identity: str,
        *,
        who: str,
        why: str = "",
        forced: bool = False,
        expected: int | None = None,
        evaluation: Evaluation | None = None,
    ) -> Event:
        """Make a version the champion of its kind; what was champion is `previous` from now on.

        `expected` is the `registry_seq` at which it was weighed.

        Raises:
            NotFound: there is no such version.
            InputError: it is champion already (code `is_champion`), another promotion came first
                (`champion_changed`), or it sets an option that another kind's champion sets
                (`overlap`).
        """
        with self._database.writing() as connection:
            version = _known(connection, identity)
            champion = _aliases(connection, version.kind).get(Alias.CHAMPION, "")
            if champion == identity:
                raise InputError(
                    f"{identity} ({version.name}) is the champion already", code="is_champion"
                )
            if expected is not None and expected != _seq(connection):
                raise InputError(
                    f"what is served changed while {identity} was weighed; weigh it again",
                    code="champion_changed",
                )
            _check_apart(version, _champions(connection))
            return _flip(
                connection, who, Action.PROMOTE, version.kind, identity,
                why=why, forced=forced, evaluation=evaluation,
            )  # fmt: skip

    def roll_back(
        self, kind: str = "", *, who: str, why: str = "", expected: int | None = None
    ) -> Event:
        """Let champion and previous of a kind change places; "": of the kind that changed last.

        From the first promotion it goes back to no champion, and from there forth again.

        Raises:
            InputError: nothing of that kind was ever promoted (code `no_previous`), what is served
                changed since `expected` (`champion_changed`), or the previous one sets an option
                that another kind's champion sets (`overlap`).
        """
        with self._database.writing() as connection:
            if expected is not None and expected != _seq(connection):
                raise InputError(
                    "what is served changed in the meantime; look again", code="champion_changed"
                )
            kind = kind or _last_kind(connection)
            held = _aliases(connection, kind)
            champion, previous = held.get(Alias.CHAMPION, ""), held.get(Alias.PREVIOUS, "")
            if not champion and not previous:
                of = f" of kind {kind!r}" if kind else ""
                raise InputError(
                    f"there is nothing to roll back: no version{of} was ever promoted",
                    code="no_previous",
                )
            if previous:
                _check_apart(_known(connection, previous), _champions(connection))
            return _flip(connection, who, Action.ROLLBACK, kind, previous, why=why)

    def aliases(self) -> dict[str, dict[Alias, str]]:
        """Return kind → alias → id of the version that it points at."""
        found: dict[str, dict[Alias, str]] = {}
        with self._database.reading() as connection:
            rows = connection.execute("SELECT kind, alias, version FROM aliases ORDER BY kind")
            for kind, alias, version in rows.fetchall():
                found.setdefault(kind, {})[Alias(alias)] = version
        return found

    def champion_versions(self) -> ServedVersions:
        """Return what is to be served, as one committed state says it."""
        with self._database.snapshot() as connection:
            return ServedVersions(_seq(connection), _champions(connection))

    def registry_seq(self) -> int:
        """Return the number of the last change of a champion, 0 before the first; it only grows."""
        with self._database.reading() as connection:
            return _seq(connection)

    def registry_history(self, version: str = "", *, limit: int = 1_000_000) -> list[Event]:
        """Return the newest events, oldest first; of one version, if it is named."""
        where = _OF_VERSION if version else ""
        given = (version, version) if version else ()
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{EVENT}{where} ORDER BY seq DESC LIMIT ?", (*given, limit)
            ).fetchall()
        return [event_of(row) for row in reversed(rows)]


def _flip(
    connection: sqlite3.Connection,
    who: str,
    action: Action,
    kind: str,
    version: str,
    *,
    why: str = "",
    forced: bool = False,
    evaluation: Evaluation | None = None,
) -> Event:
    """Log an event and move the aliases to where it leads, inside one transaction."""
    held = _aliases(connection, kind)
    event = log_event(
        connection, who, action, kind, version,
        before=held.get(Alias.CHAMPION, ""), why=why, forced=forced, evaluation=evaluation,
    )  # fmt: skip
    after = after_event(held, action, version)
    if after != held:
        connection.execute("DELETE FROM aliases WHERE kind = ?", (kind,))
        connection.executemany(
            "INSERT INTO aliases (kind, alias, version) VALUES (?, ?, ?)",
            [(kind, alias.value, identity) for alias, identity in after.items()],
        )
    return event


def _check_apart(version: Version, champions: tuple[Version, ...]) -> None:
    """Raise InputError if another kind's champion sets an option that `version` sets too."""
    for other in champions:
        shared = sorted(set(version.options) & set(other.options))
        if other.kind != version.kind and shared:
            raise InputError(
                f"{version.id} ({version.kind}) sets {', '.join(shared)}, and so does the champion "
                f"{other.id} ({other.kind}); register it without, or roll that one back first",
                code="overlap",
            )


def _seq(connection: sqlite3.Connection) -> int:
    return int(connection.execute(_LAST_FLIP).fetchone()[0])


def _last_kind(connection: sqlite3.Connection) -> str:
    row = connection.execute(f"SELECT kind FROM registry_log WHERE seq = ({_LAST_FLIP})").fetchone()
    return "" if row is None else str(row[0])


def _aliases(connection: sqlite3.Connection, kind: str) -> Mapping[Alias, str]:
    rows = connection.execute("SELECT alias, version FROM aliases WHERE kind = ?", (kind,))
    return {Alias(alias): str(version) for alias, version in rows.fetchall()}


def _champions(connection: sqlite3.Connection) -> tuple[Version, ...]:
    return tuple(version_of(row) for row in connection.execute(_CHAMPIONS).fetchall())


def _known(connection: sqlite3.Connection, identity: str) -> Version:
    found = find_version(connection, identity)
    if found is None:
        raise NotFound(f"no version {identity!r} is registered; `steelyard registry list`")
    return found
