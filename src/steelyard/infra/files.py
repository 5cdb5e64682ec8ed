"""Files that are whole or absent, content hashes, and a lock between processes."""

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from steelyard.core.errors import Overloaded, SetupError

_STRAY_SUFFIX = ".beside"
_POLL_S = 0.02
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old content or the new one.

    Raises:
        SetupError: the disk is full (code `disk_full`) or not writable (code `read_only`).
    """
    with replacing(path) as beside, explained(beside):
        beside.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; once the block has written it, sync it and rename it.

    If the block raises, `path` keeps its old content and the file beside is removed.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_STRAY_SUFFIX}")
    make_folder(path.parent)
    try:
        yield beside
        with explained(path):
            sync(beside)
            beside.replace(path)
            sync(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; one that is there already is fine.

    Raises:
        SetupError: it cannot be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise disk_full(folder) from error
        raise read_only(folder, error.strerror or str(error)) from error


def remove_strays(directory: Path, *, older_than_s: float = 3600.0) -> int:
    """Remove what killed writers left beside their targets; return how many files went.

    The age spares a writer that is still at work.
    """
    strays = [
        path
        for path in directory.glob(f".*{_STRAY_SUFFIX}")
        if time.time() - path.stat().st_mtime >= older_than_s
    ]
    for stray in strays:
        stray.unlink(missing_ok=True)
    return len(strays)


def sync(path: Path) -> None:
    """Force a file's content, or a directory's entries, down to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a full or unwritable disk below `path` into a `SetupError`; let the rest through."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise disk_full(path) from error
        if error.errno in _READ_ONLY:
            raise read_only(path, error.strerror or str(error)) from error
        raise


def disk_full(path: Path) -> SetupError:
    return SetupError(
        f"The disk that holds {str(path)!r} is full; nothing that was saved is lost. "
        f"Free some space there (see `df {path.parent}`) and run the command again",
        code="disk_full",
    )


def read_only(path: Path, reason: str) -> SetupError:
    return SetupError(
        f"{str(path)!r} cannot be written ({reason}). Make it writable for this user "
        f"(`chmod -R u+w {path.parent}`) or choose another place with --home",
        code="read_only",
    )


class FileLock:
    """A lock between processes on a file that names its holder; free again if it dies.

    Not reentrant: two objects on one path exclude each other, in one process too. The file
    stays after release, because removing it would let two holders in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, timeout_s: float = 0.0) -> None:
        """Take the lock, waiting up to `timeout_s`.

        Raises:
            Overloaded: another process holds it (code `locked`); the message names its pid.
            SetupError: the file cannot be written, or its file system knows no locks.
        """
        assert self._descriptor is None, "this lock is already held"
        deadline = time.monotonic() + timeout_s
        make_folder(self._path.parent)
        with explained(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            while not self._try(descriptor):
                if time.monotonic() >= deadline:
                    raise self._held()
                time.sleep(_POLL_S)
            with explained(self._path):
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the lock go; harmless when it is not held."""
        if self._descriptor is not None:
            os.truncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Return the pid that the lock file names; None when nobody holds it."""
        try:
            text = self._path.read_text("ascii", errors="replace")
        except FileNotFoundError:
            return None
        return int(text) if text.isdigit() and Path(f"/proc/{text}").exists() else None

    def _try(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise SetupError(
                f"The file system of {str(self._path)!r} has no working locks "
                f"({error.strerror}). Choose a home on a local disk with --home"
            ) from error
        return True

    def _held(self) -> Overloaded:
        pid = self.holder()
        who = f"process {pid}" if pid is not None else "another process"
        return Overloaded(
            f"{str(self._path)!r} is held by {who}: wait for it, stop it, or use another --home",
            code="locked",
        )

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
