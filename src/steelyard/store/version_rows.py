"""Rows of the registry's tables and the words of `core` that they stand for."""

import json
import sqlite3
import time
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter

from steelyard.core.registry import Action, Evaluation, Event, Version
from steelyard.infra.binding import binding_json, binding_of
from steelyard.store.codec import dump

VERSION = "SELECT id, name, kind, options, artefact, binding, licence, created_at FROM versions"
EVENT = (
    "SELECT seq, at, who, action, kind, version, before, why, forced, evaluation FROM registry_log"
)
_EVALUATION = TypeAdapter(Evaluation)


def find_version(connection: sqlite3.Connection, identity: str) -> Version | None:
    row = connection.execute(f"{VERSION} WHERE id = ?", (identity,)).fetchone()
    return None if row is None else version_of(row)


def insert_version(connection: sqlite3.Connection, version: Version) -> None:
    binding = None if version.binding is None else dump(binding_json(version.binding))
    connection.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version.id, version.name, version.kind, dump(dict(version.options)), version.artefact,
            binding, version.licence, version.created_at,
        ),
    )  # fmt: skip


def log_event(
    connection: sqlite3.Connection,
    who: str,
    action: Action,
    kind: str,
    version: str,
    **told: Any,
) -> Event:
    """Append a line to the history; `told` are the event's other fields."""
    event = Event(0, time.time(), who, action, kind, version, **told)
    body = None if event.evaluation is None else dump(asdict(event.evaluation))
    row = connection.execute(
        "INSERT INTO registry_log (at, who, action, kind, version, before, why, forced, evaluation)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.at, who, action.value, kind, version, event.before, event.why,
            int(event.forced), body,
        ),
    )  # fmt: skip
    return replace(event, seq=int(row.lastrowid or 0))


def version_of(row: tuple[Any, ...]) -> Version:
    identity, name, kind, options, artefact, binding, licence, created_at = row
    return Version(
        id=identity,
        name=name,
        kind=kind,
        options=json.loads(options),
        artefact=artefact,
        binding=None if binding is None else binding_of(json.loads(binding)),
        licence=licence,
        created_at=created_at,
    )


def event_of(row: tuple[Any, ...]) -> Event:
    seq, at, who, action, kind, version, before, why, forced, evaluation = row
    return Event(
        seq=seq,
        at=at,
        who=who,
        action=Action(action),
        kind=kind,
        version=version,
        before=before,
        why=why,
        forced=bool(forced),
        evaluation=None if evaluation is None else _EVALUATION.validate_json(evaluation),
    )
