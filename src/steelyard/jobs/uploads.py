"""Uploaded files below HOME/tune/files: kept as they came, with what checking them found."""

import json
import re
import secrets
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from steelyard.core.errors import InputError, NotFound
from steelyard.infra.files import explained, make_folder, replacing, sha256_file, write_atomic

FOLDER = Path("tune", "files")
MAX_BYTES = 512 * 2**20  # OpenAI's own limit
FINE_TUNE, RESULTS = "fine-tune", "fine-tune-results"
IDENTITY = re.compile(r"file-[0-9a-f]{24}")

_RECORD, _CONTENT = "file.json", "content"
_PIECE = 2**20
_MAX_NAME = 120


class FileStatus(StrEnum):
    """OpenAI's words: `uploaded` is not checked yet, `error` must not be trained on."""

    UPLOADED = "uploaded"
    PROCESSED = "processed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Checked:
    """What reading a file's rows found: `faults` are the first, `num_faults` all of them.

    `num_flags` rows hold what looks private; they are told, not refused.
    """

    form: str = ""
    kind: str = ""
    num_rows: int = 0
    faults: tuple[str, ...] = ()
    num_faults: int = 0
    num_flags: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file; `created_at` is in whole seconds since 1970."""

    id: str
    name: str
    purpose: str
    size_bytes: int
    sha256: str
    created_at: int
    status: FileStatus = FileStatus.UPLOADED
    checked: Checked = field(default_factory=Checked)


def keep_file(
    home: Path, name: str, content: IO[bytes], *, purpose: str = FINE_TUNE, max_bytes: int = 0
) -> StoredFile:
    """Write an upload whole or not at all; it is still to be checked.

    Raises:
        InputError: it is empty or larger than `max_bytes` (0: 512 MiB).
    """
    identity = f"file-{secrets.token_hex(12)}"
    path = home / FOLDER / identity / _CONTENT / _plain(name)
    most = max_bytes or MAX_BYTES
    make_folder(path.parent)
    try:
        with replacing(path) as beside, explained(path), beside.open("wb") as out:
            while piece := content.read(_PIECE):
                out.write(piece)
                if out.tell() > most:
                    raise InputError(
                        f"{path.name!r} is larger than {most:,} bytes; send less, or several files",
                        code="body_too_large",
                    )
            size_bytes = out.tell()
        if not size_bytes:
            raise InputError(f"{path.name!r} is empty; send rows, one a line")
    except BaseException:
        shutil.rmtree(home / FOLDER / identity, ignore_errors=True)
        raise
    kept = StoredFile(identity, path.name, purpose, size_bytes, sha256_file(path), int(time.time()))
    return _save(home, kept)


def make_file(home: Path, name: str, content: str, *, purpose: str = RESULTS) -> StoredFile:
    """Keep a file that we wrote ourselves, such as a job's results."""
    identity = f"file-{secrets.token_hex(12)}"
    path = home / FOLDER / identity / _CONTENT / _plain(name)
    write_atomic(path, content.encode())
    kept = StoredFile(
        id=identity,
        name=path.name,
        purpose=purpose,
        size_bytes=path.stat().st_size,
        sha256=sha256_file(path),
        created_at=int(time.time()),
        status=FileStatus.PROCESSED,
    )
    return _save(home, kept)


def check_file(home: Path, stored: StoredFile, checked: Checked) -> StoredFile:
    """Keep what checking a file found, and return it with its new status."""
    status = FileStatus.ERROR if checked.num_faults else FileStatus.PROCESSED
    return _save(home, replace(stored, status=status, checked=checked))


def files(home: Path) -> list[StoredFile]:
    """Return the files of a home, the newest first."""
    found = [_load(path) for path in (home / FOLDER).glob(f"file-*/{_RECORD}")]
    kept = [one for one in found if one is not None]
    return sorted(kept, key=lambda one: (-one.created_at, one.id))


def find_file(home: Path, identity: str) -> StoredFile:
    """Return one file.

    Raises:
        NotFound: there is none of this id.
    """
    if IDENTITY.fullmatch(identity):
        found = _load(home / FOLDER / identity / _RECORD)
        if found is not None:
            return found
    raise NotFound(f"there is no file {identity[:80]!r}; `GET /v1/files` lists those there are")


def content_of(home: Path, stored: StoredFile) -> Path:
    """Return where a file's bytes are."""
    return home / FOLDER / stored.id / _CONTENT / stored.name


def delete_file(home: Path, identity: str) -> None:
    """Remove a file; versions of training data that were made from it stay.

    Raises:
        NotFound: there is none of this id.
    """
    folder = home / FOLDER / find_file(home, identity).id
    with explained(folder):
        (folder / _RECORD).unlink(missing_ok=True)  # first: a half-deleted file is not listed
        shutil.rmtree(folder, ignore_errors=True)


def _plain(name: str) -> str:
    """Return a name that is safe as a file's, its ending kept."""
    plain = re.sub(r"[^\w.\- ]", "_", Path(name.replace("\\", "/")).name).lstrip(". ")
    return plain[-_MAX_NAME:].lstrip(". ") or "rows.jsonl"


def _save(home: Path, stored: StoredFile) -> StoredFile:
    path = home / FOLDER / stored.id / _RECORD
    write_atomic(path, json.dumps(asdict(stored), indent=1).encode())
    return stored


def _load(path: Path) -> StoredFile | None:
    """Return a file's record; None: it is gone, or was never finished."""
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        found: dict[str, Any] = fields.pop("checked")
        lists = {key: tuple(found[key]) for key in ("faults", "notes")}
        checked = Checked(**{**found, **lists})
        return StoredFile(**{**fields, "status": FileStatus(fields["status"])}, checked=checked)
    except (OSError, ValueError, KeyError, TypeError):
        return None
