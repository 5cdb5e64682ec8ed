"""Artefacts below HOME/registry: copied once, named by the hash of their manifest, never changed.

An artefact is a folder `files/` and beside it `manifest.json`, which names every file with its
SHA-256; the folder of both is named by the SHA-256 of the manifest.
"""

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, SetupError
from steelyard.core.tuning import Binding
from steelyard.infra.binding import write_binding
from steelyard.infra.files import explained, make_folder, sha256_file, sync

FOLDER = Path("registry") / "artefacts"
FILES, MANIFEST = "files", "manifest.json"
FORMAT = 1
_STRAY = ".beside"
_STRAY_AGE_S = 3600.0
# Loading one of these runs whatever code it holds.
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"})


@dataclass(frozen=True, slots=True)
class FileEntry:
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """An artefact's files by their paths inside it; `id` is the hash of exactly that."""

    id: str
    files: Mapping[str, FileEntry]

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.files.values())


def artefact_folder(home: Path, identity: str) -> Path:
    """Return where the files of an artefact are, whether it is there or not."""
    return home.absolute() / FOLDER / identity / FILES


def artefact_ids(home: Path) -> list[str]:
    """Return the artefacts that a home keeps, whole or damaged."""
    return sorted(path.name for path in (home / FOLDER).glob("[0-9a-f]*") if path.is_dir())


def keep_artefact(home: Path, source: Path, *, binding: Binding | None = None) -> Manifest:
    """Copy a folder into the home, whole or not at all; one that is there already is reused, and
    one that is damaged there is repaired.

    `binding` is written into the copy as `steelyard.json`.

    Raises:
        InputError: there is no such folder, or it holds what no artefact may hold.
        SetupError: the disk is full or cannot be written.
    """
    paths = _files(source)
    place = home.absolute() / FOLDER
    make_folder(place)
    _remove_strays(place)
    beside = place / f".{secrets.token_hex(8)}{_STRAY}"
    try:
        with explained(beside):
            for name, path in paths.items():
                target = beside / FILES / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            if binding is not None:
                write_binding(beside / FILES, binding)
            manifest = _manifest_of(beside / FILES)
            (beside / MANIFEST).write_bytes(_encoded(manifest.files))
            _sync_tree(beside)
            _publish(beside, place / manifest.id)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return manifest


def read_manifest(home: Path, identity: str) -> Manifest:
    """Return an artefact's manifest.

    Raises:
        SetupError: it is missing or damaged.
    """
    path = home.absolute() / FOLDER / identity / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _damaged(identity, f"{str(path)!r} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != identity:
        raise _damaged(identity, f"{MANIFEST} was changed")
    files: dict[str, Any] = json.loads(content)["files"]
    return Manifest(identity, {name: FileEntry(**entry) for name, entry in files.items()})


def artefact_faults(home: Path, identity: str) -> list[str]:
    """Return what is wrong with an artefact, each fault naming its file; reads every byte."""
    try:
        manifest = read_manifest(home, identity)
    except SetupError as error:
        return [error.message]
    folder = artefact_folder(home, identity)
    faults = [
        fault
        for name, entry in manifest.files.items()
        if (fault := _file_fault(folder / name, name, entry))
    ]
    more = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return faults + [f"{name} is in no manifest" for name in sorted(more - set(manifest.files))]


def check_artefact(home: Path, identity: str) -> None:
    """Check every byte of an artefact, once for as long as no file's size or time changes.

    Raises:
        SetupError: a file was changed or is missing; names it.
    """
    folder = home.absolute() / FOLDER / identity
    _check_bytes(home.absolute(), identity, _stamps(folder))


def check_loaded(folder: Path) -> None:
    """Check an artefact that is about to be loaded, if `folder` is one of a registry's.

    Raises:
        SetupError: a file was changed or is missing; names it.
    """
    whole = folder.absolute().parent
    if folder.name == FILES and whole.parent.parts[-2:] == FOLDER.parts:
        check_artefact(whole.parents[2], whole.name)


@lru_cache(maxsize=256)
def _check_bytes(home: Path, identity: str, stamps: tuple[tuple[str, int, int, int], ...]) -> None:
    """As `check_artefact`; equal `stamps` are not read again (what raises is not remembered)."""
    if faults := artefact_faults(home, identity):
        raise _damaged(identity, "; ".join(faults[:5]))


def _stamps(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    found = []
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):  # it is gone: the check will say so
            stat = path.stat()
            found.append((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return tuple(found)


def _damaged(identity: str, what: str) -> SetupError:
    return SetupError(
        f"artefact {identity[:12]} is damaged: {what}; register it again from the folder that it "
        "was made in, or serve another version with `steelyard registry rollback`"
    )


def _file_fault(path: Path, name: str, entry: FileEntry) -> str:
    try:
        if path.stat().st_size != entry.size_bytes:
            return f"{name} was changed (its size is another)"
        return f"{name} was changed" if sha256_file(path) != entry.sha256 else ""
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"


def _files(source: Path) -> dict[str, Path]:
    """Return the files of a folder by their paths in it."""
    if not source.is_dir():
        raise InputError(f"there is no folder {str(source)!r}; name the folder of the artefact")
    found = {
        path.relative_to(source).as_posix(): path
        for path in sorted(source.rglob("*"))
        if not path.is_dir()
    }
    if not found:
        raise InputError(f"{str(source)!r} is empty; name the folder of the artefact")
    for name, path in found.items():
        if not path.is_file():
            raise InputError(f"{str(path)!r} is no file that can be copied; remove it")
        if path.suffix.lower() in _PICKLES:
            raise InputError(
                f"{name!r} of {str(source)!r} may hold code that runs when it is loaded; save the "
                "weights as safetensors, and take the file away"
            )
    return found


def _manifest_of(folder: Path) -> Manifest:
    files = {
        path.relative_to(folder).as_posix(): FileEntry(sha256_file(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Manifest(hashlib.sha256(_encoded(files)).hexdigest(), files)


def _encoded(files: Mapping[str, FileEntry]) -> bytes:
    """Return the manifest's bytes: equal files, equal bytes."""
    listed = {
        name: {"sha256": entry.sha256, "size_bytes": entry.size_bytes}
        for name, entry in sorted(files.items())
    }
    content = {"format": FORMAT, "files": listed}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _publish(beside: Path, target: Path) -> None:
    """Rename a whole artefact into place; an equal one is left, a damaged one makes room."""
    if target.is_dir():
        if not artefact_faults(target.parents[2], target.name):
            return
        aside = target.with_name(f".{secrets.token_hex(8)}{_STRAY}")
        target.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        beside.rename(target)
    except OSError:
        if artefact_faults(target.parents[2], target.name):
            raise
    sync(target.parent)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)


def _remove_strays(place: Path) -> None:
    """Remove what killed writers left behind; the age spares one that is still at work."""
    for stray in place.glob(f".*{_STRAY}"):
        with suppress(OSError):
            if time.time() - stray.stat().st_mtime >= _STRAY_AGE_S:
                shutil.rmtree(stray, ignore_errors=True)
