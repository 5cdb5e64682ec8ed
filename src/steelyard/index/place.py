"""Who may write an index directory: one owner; everybody else works on a private copy.

A copy costs little: files that never change are hard-linked, so nothing is read. It lives in
the directory itself while that is writable (links need the same disk), and its lock tells
whether its process still does.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import Overloaded, SetupError
from steelyard.index.graph import Damaged
from steelyard.index.snapshot import MANIFEST, read_manifest
from steelyard.infra.files import FileLock

_log = logging.getLogger(__name__)

_LOCK = "owner.lock"
_COPIES = "copies"
_TEMPORARY = "steelyard-index-"
_ATTEMPTS = 5  # the owner replaces its snapshot every few thousand changes, not constantly
_YOUNG_S = 30.0  # a copy is locked within milliseconds of its making
_LEXICAL_STATE = ("meta.json", ".managed.json")  # the files of tantivy that change


@dataclass(frozen=True, slots=True)
class Place:
    """The directory that this process alone reads and writes."""

    directory: Path
    owner: bool
    lock: FileLock

    def release(self) -> None:
        self.lock.release()
        if not self.owner:
            shutil.rmtree(self.directory, ignore_errors=True)


def claim(directory: Path) -> Place:
    """Take `directory` itself if nobody has it and it is writable, else a copy of it.

    Raises:
        SetupError: neither the directory nor a temporary one can be written.
    """
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire()
    except (Overloaded, SetupError) as reason:
        _log.info("index_copied reason=%s", reason)
        return _private_copy(directory)
    _remove_stale(directory / _COPIES)
    return Place(directory, owner=True, lock=lock)


def _private_copy(directory: Path) -> Place:
    copy = _new_folder(directory)
    lock = FileLock(copy / _LOCK)
    lock.acquire()
    for _ in range(_ATTEMPTS):
        try:
            _copy_state(directory, copy)
        except FileNotFoundError:  # the owner moved on while we linked, or has nothing yet
            _empty(copy)
        except Damaged as reason:
            _log.info("index_copy_empty reason=%s", reason)
            break
        else:
            break
    return Place(copy, owner=False, lock=lock)


def _new_folder(directory: Path) -> Path:
    """Make a folder for a copy, beside the original if that can be."""
    copy = directory / _COPIES / f"{os.getpid()}-{secrets.token_hex(4)}"
    try:
        copy.mkdir(parents=True)
    except OSError:
        temporary = Path(tempfile.gettempdir())
        _remove_stale(temporary, pattern=f"{_TEMPORARY}*")
        return Path(tempfile.mkdtemp(prefix=_TEMPORARY))
    _remove_stale(directory / _COPIES)
    return copy


def _copy_state(directory: Path, copy: Path) -> None:
    """Link one consistent state into `copy`.

    Raises:
        FileNotFoundError: it changed meanwhile, or there is none.
        Damaged: the manifest is torn.
    """
    manifest = read_manifest(directory)
    for name in (manifest.dense, manifest.lexical):
        source, target = directory / name, copy / name
        target.mkdir()
        state = {file: _content(source / file) for file in _LEXICAL_STATE}
        for path in source.iterdir():
            if path.name not in _LEXICAL_STATE and path.suffix != ".lock":
                _link(path, target / path.name)
        for file, content in state.items():
            if content != _content(source / file):
                raise FileNotFoundError(source / file)
            if content is not None:
                (target / file).write_bytes(content)
    shutil.copyfile(directory / MANIFEST, copy / MANIFEST)
    if read_manifest(copy) != manifest:
        raise FileNotFoundError(directory / MANIFEST)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(source, target)


def _empty(copy: Path) -> None:
    for path in copy.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            path.unlink()


def _remove_stale(parent: Path, *, pattern: str = "*") -> None:
    """Remove the copies of processes that ended without doing so."""
    for copy in parent.glob(pattern):
        try:
            if time.time() - copy.stat().st_mtime < _YOUNG_S:
                continue
            lock = FileLock(copy / _LOCK)
            lock.acquire()
        except (OSError, Overloaded, SetupError):  # in use, gone, or another user's
            continue
        lock.release()
        shutil.rmtree(copy, ignore_errors=True)
