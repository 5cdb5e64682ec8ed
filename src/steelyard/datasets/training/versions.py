"""Versions of training data below HOME/datasets: written once, named by their content."""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.training import Kind, TrainingRow
from steelyard.datasets.ledger import Ledger, Place
from steelyard.datasets.lines import Row
from steelyard.datasets.review import NAME
from steelyard.datasets.training.canonical import canonical, row_fields, sha256_of
from steelyard.datasets.training.fields import Fields
from steelyard.datasets.training.forms import OWN, form_named
from steelyard.infra.files import explained, make_folder, sync

FOLDER = "datasets"
ROWS, INDEX, MANIFEST = "rows.jsonl", "index.tsv", "version.json"
ID_CHARS = 16  # of the SHA-256 that name a folder: a clash within 4 billion versions
LEAST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Version:
    """A version as its folder tells it. `id` hashes rows, splits, recipe and parents; `root` the
    rows alone, in any order. `sources` are the files that were read, by name, with their SHA-256;
    `created_at` is in seconds since 1970. Neither is part of the id."""

    id: str
    root: str
    name: str
    kind: Kind
    num_rows: int
    recipe: Mapping[str, Any]
    parents: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class IndexedRow:
    """A row's hash, and the split it is in; "": none."""

    sha256: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeping a version came to; `known`: the very same was there already."""

    version: Version
    known: bool


def keep(
    home: Path,
    rows: Sequence[TrainingRow],
    *,
    name: str,
    recipe: Mapping[str, Any],
    parents: Sequence[str] = (),
    splits: Mapping[str, str] | None = None,
    sources: Mapping[str, str] | None = None,
) -> Kept:
    """Write a version, whole or not at all; one with the same id is left as it is.

    `splits` maps rows' hashes to the names of their splits.

    Raises:
        InputError: no rows, or no name for a version.
    """
    if not rows:
        raise InputError("no row is left to keep: a version needs at least one")
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name: use up to 64 letters, digits, '.', '_' or '-', as --name"
        )
    given = splits or {}
    hashed = sorted(((sha256_of(row), row) for row in rows), key=_order)
    index = [IndexedRow(sha256, given.get(sha256, "")) for sha256, _ in hashed]
    version = Version(
        id=_version_id(index, recipe, parents),
        root=_root(index),
        name=name,
        kind=rows[0].kind,
        num_rows=len(rows),
        recipe=recipe,
        parents=tuple(parents),
        splits=dict(Counter(one.split for one in index if one.split)),
        sources=sources or {},
        created_at=time.time(),
    )
    folder = version_folder(home, version.id)
    if folder.exists():
        return Kept(read_version(folder), known=True)
    _write(folder, version, index, [row for _, row in hashed])
    return Kept(version, known=False)


def versions(home: Path) -> tuple[Version, ...]:
    """Return the versions that a home keeps, the newest first."""
    listed = (path.parent for path in (home / FOLDER).glob(f"[0-9a-f]*/{MANIFEST}"))
    found = [read_version(folder) for folder in listed]  # what a killed writer left begins with "."
    return tuple(sorted(found, key=lambda one: (-one.created_at, one.id)))


def find_version(home: Path, named: str) -> Version:
    """Return a version by the beginning of its id, or the newest of that name.

    Raises:
        NotFound: there is none; names those that there are.
        InputError: several ids begin so.
    """
    kept = versions(home)
    by_id = [one for one in kept if len(named) >= LEAST_PREFIX and one.id.startswith(named)]
    by_name = [one for one in kept if one.name == named]
    if len(by_id) > 1 and not by_name:
        raise InputError(f"{named!r} begins the ids of {len(by_id)} versions: write more of it")
    for one in (*by_name, *by_id):
        return one
    there = ", ".join(f"{one.name} ({one.id[:8]})" for one in kept[:10]) or "none"
    raise NotFound(f"no version {named!r} of training data; this home keeps {there}")


def is_version(home: Path, named: str) -> bool:
    """Tell whether a name or the beginning of an id is that of a version."""
    try:
        find_version(home, named)
    except NotFound:
        return False
    return True


def read_version(folder: Path) -> Version:
    """Return what a version's folder says of it.

    Raises:
        SetupError: the file is damaged.
    """
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_bytes())
        fields["kind"] = Kind(fields["kind"])
        fields["parents"] = tuple(fields["parents"])
        return Version(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"{MANIFEST} cannot be read") from error


def read_index(home: Path, version: Version) -> list[IndexedRow]:
    """Return the hashes and splits of a version's rows, proved against its id.

    Raises:
        SetupError: they are not those that were kept.
    """
    folder = version_folder(home, version.id)
    lines = _content(folder, INDEX).decode("ascii", errors="replace").splitlines()
    index = [IndexedRow(*line.split("\t")[:2]) for line in lines]
    if _version_id(index, version.recipe, version.parents) != version.id:
        raise _damaged(folder, f"{INDEX} does not give the version's id")
    return index


def read_kept(home: Path, version: Version, *, split: str = "") -> list[TrainingRow]:
    """Return a version's rows, or one split's, each proved against its hash, in hash order.

    Raises:
        InputError: there is no such split.
        SetupError: a row is not the one that was kept.
    """
    if split and split not in version.splits:
        there = ", ".join(version.splits) or "none"
        raise InputError(f"version {version.id[:8]} has no split {split!r}; it has {there}")
    folder = version_folder(home, version.id)
    index = read_index(home, version)
    rows: list[TrainingRow] = []
    lines = _content(folder, ROWS).splitlines()
    if len(lines) != len(index):
        raise _damaged(folder, f"{ROWS} has {len(lines):,} rows, not {len(index):,}")
    for number, (line, expected) in enumerate(zip(lines, index, strict=True), start=1):
        row = _parsed(line)
        if row is None or sha256_of(row) != expected.sha256:
            raise _damaged(folder, f"row {number:,} of {ROWS} is not the one that was kept")
        if not split or expected.split == split:
            rows.append(row)
    return rows


def version_folder(home: Path, identity: str) -> Path:
    return home / FOLDER / identity[:ID_CHARS]


def _root(index: Sequence[IndexedRow]) -> str:
    return _digest(sorted(one.sha256 for one in index))


def _version_id(
    index: Sequence[IndexedRow], recipe: Mapping[str, Any], parents: Sequence[str]
) -> str:
    rows = sorted(f"{one.sha256}\t{one.split}" for one in index)
    return _digest([canonical({"recipe": recipe, "parents": sorted(parents)}), *rows])


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _order(hashed: tuple[str, TrainingRow]) -> tuple[str, str, int]:
    sha256, row = hashed
    return sha256, row.provenance.file, row.provenance.line


def _write(
    folder: Path, version: Version, index: Sequence[IndexedRow], rows: Sequence[TrainingRow]
) -> None:
    """Write beside, sync, and rename: a version is there as a whole or not."""
    make_folder(folder.parent)
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        with explained(folder):
            beside.mkdir()
            for name, content in _contents(version, index, rows):
                (beside / name).write_bytes(content)
                sync(beside / name)
            sync(beside)
            try:
                os.rename(beside, folder)
            except OSError:
                if not (folder / MANIFEST).is_file():
                    raise
            sync(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _contents(
    version: Version, index: Sequence[IndexedRow], rows: Sequence[TrainingRow]
) -> Iterator[tuple[str, bytes]]:
    yield ROWS, "".join(canonical(row_fields(row)) + "\n" for row in rows).encode()
    yield INDEX, "".join(f"{one.sha256}\t{one.split}\n" for one in index).encode()
    fields = {name: getattr(version, name) for name in Version.__dataclass_fields__}
    yield MANIFEST, json.dumps(fields, indent=1).encode()


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise _damaged(folder, f"{name} cannot be read ({error.strerror})") from error


def _parsed(line: bytes) -> TrainingRow | None:
    """Return the row of a line; None: it is damaged."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    reader = Fields(Row(Place(ROWS), fields), Ledger())
    example = form_named(OWN).read(reader)
    provenance = reader.within(fields.get("provenance"), "provenance").provenance("")
    return TrainingRow(example, provenance) if reader.sound else None


def _damaged(folder: Path, problem: str) -> SetupError:
    return SetupError(
        f"{str(folder)!r} is damaged: {problem}. Remove that folder and make the version again "
        "(`steelyard data versions` shows its recipe)",
        code="damaged_version",
    )
