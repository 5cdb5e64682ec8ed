"""SQLite's failures in our words: what happened to which file, and what to do."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steelyard.core.errors import InputError, Overloaded, SetupError, SteelyardError
from steelyard.infra.files import disk_full, read_only


def is_code(error: sqlite3.Error, code: int) -> bool:
    """Tell whether SQLite's primary result code is `code`; the rest of the number is detail."""
    # Errors of the Python module itself (misuse) carry no code.
    return getattr(error, "sqlite_errorcode", -1) & 0xFF == code


@contextmanager
def explained_sqlite(path: Path, *, timeout_s: float, rebuild: str) -> Iterator[None]:
    """Turn SQLite's errors on a file into ours; what remains is a bug of ours.

    `timeout_s` is how long a lock was waited for, `rebuild` the command that makes the file's
    content anew.
    """
    try:
        yield
    except sqlite3.Error as error:
        if is_code(error, sqlite3.SQLITE_CORRUPT) or is_code(error, sqlite3.SQLITE_NOTADB):
            raise _damaged(path, error, rebuild) from error
        if is_code(error, sqlite3.SQLITE_BUSY) or is_code(error, sqlite3.SQLITE_LOCKED):
            raise locked(path, "Another process", timeout_s) from error
        ours = _explanation(path, error)
        if ours is None:
            raise
        raise ours from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"Text holds {error.object[error.start : error.end]!r} at character "
            f"{error.start}, which is no valid Unicode: clean it before it is stored",
            code="invalid_text",
        ) from error


def locked(path: Path, who: str, timeout_s: float) -> Overloaded:
    return Overloaded(
        f"{who} has kept {str(path)!r} locked for more than {timeout_s:g} s: try again, or stop "
        f"the other writer",
        code="locked",
    )


def _explanation(path: Path, error: sqlite3.Error) -> SteelyardError | None:
    if is_code(error, sqlite3.SQLITE_FULL):
        return disk_full(path)
    if any(is_code(error, code) for code in _UNWRITABLE):
        return read_only(path, str(error))
    if is_code(error, sqlite3.SQLITE_TOOBIG):
        return InputError(f"A text or value is larger than SQLite holds ({error})")
    if is_code(error, sqlite3.SQLITE_IOERR):
        if shutil.disk_usage(path.parent).free == 0:
            return disk_full(path)
        return SetupError(
            f"The disk failed while {str(path)!r} was used ({error}): check it with `dmesg`, "
            f"then run the command again"
        )
    return None


def _damaged(path: Path, error: sqlite3.Error, rebuild: str) -> SetupError:
    return SetupError(
        f"{str(path)!r} is damaged ({error}). It was left as it is: stop Steelyard, keep the "
        f"file (`mv {path} {path}.damaged`; its -wal and -shm too), then run `{rebuild}`",
        code="damaged_home",
    )


_UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN)
