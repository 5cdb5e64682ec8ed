"""One SQLite file as a small database: WAL, one writer, pooled readers, our errors."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from steelyard.core.errors import Overloaded, SetupError
from steelyard.infra.files import make_folder, read_only
from steelyard.infra.sqlite_faults import explained_sqlite, is_code, locked

BUSY_TIMEOUT_S = 10.0
_JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
_READER_CACHE_KIB = 8192
_WRITER_CACHE_KIB = 16384
_RETRY_S = 0.02


@dataclass(frozen=True, slots=True)
class Layout:
    """What a database of ours looks like.

    `application_id` marks the file as ours. `migrations[i]` are the statements that lead from
    version i to i + 1. `rebuild` is the command that makes the content anew.
    """

    application_id: int
    migrations: tuple[tuple[str, ...], ...]
    rebuild: str

    @property
    def version(self) -> int:
        return len(self.migrations)


class Database:
    """Connections to one file; safe to use from any thread.

    Writes are durable at commit (synchronous FULL): in WAL mode NORMAL already survives a
    killed process, but a power cut could take back what a caller was told is stored.
    """

    def __init__(
        self, path: Path, *, layout: Layout, readonly: bool = False, timeout_s: float | None = None
    ) -> None:
        """Open a file, making or migrating it first unless `readonly`.

        Raises:
            SetupError: the file is damaged, foreign, from a newer version, cannot be written,
                or the disk is full.
            Overloaded: another process kept it locked for longer than `timeout_s`.
        """
        self.path = path.absolute()
        self.readonly = readonly
        self._layout = layout
        self._timeout_s = BUSY_TIMEOUT_S if timeout_s is None else timeout_s
        self._closed = False
        self._readers: list[sqlite3.Connection] = []
        self._write_lock = threading.Lock()
        self._watch_lock = threading.Lock()
        self._synchronous = ""
        with self._explained():
            self._mode = self._openable_mode() if readonly else "mode=rwc"
            self._writer = self._prepared()
            try:
                self._watcher = self._connect(cache_kib=64, query_only=True)
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; each statement sees the newest committed state."""
        with self._explained():
            connection = self._borrow()
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection whose statements all see one committed state."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                # Some failures end the transaction by themselves.
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """Lend the writer inside one transaction: all of the block, or nothing.

        `durable=False` skips the disk sync at commit: a power cut (not a killed process) may
        take the last such writes back.
        """
        if self.readonly:
            raise read_only(self.path, "it was opened for reading only")
        if not self._write_lock.acquire(timeout=self._timeout_s):
            raise locked(self.path, "This process", self._timeout_s)
        try:
            with self._explained():
                self._begin("FULL" if durable else "NORMAL")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    # A full disk makes SQLite roll back by itself.
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
        finally:
            self._write_lock.release()

    def data_version(self) -> int:
        """Return a number that changes with every commit, by whatever thread or process."""
        with self._explained(), self._watch_lock:
            self._check_open()
            row = self._watcher.execute("PRAGMA data_version").fetchone()
            return int(row[0])

    def close(self) -> None:
        """Close every connection; those lent at the moment close when they come back."""
        with self._write_lock, self._watch_lock:
            self._closed = True
            while self._readers:
                self._readers.pop().close()
            self._watcher.close()
            self._writer.close()

    def _begin(self, synchronous: str) -> None:
        self._check_open()
        if synchronous != self._synchronous:
            self._writer.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        self._writer.execute("BEGIN IMMEDIATE")

    def _borrow(self) -> sqlite3.Connection:
        self._check_open()
        try:
            return self._readers.pop()
        except IndexError:
            return self._connect(cache_kib=_READER_CACHE_KIB, query_only=True)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._readers.append(connection)
        if self._closed:
            while self._readers:
                self._readers.pop().close()

    def _check_open(self) -> None:
        if self._closed:
            raise Overloaded(f"{str(self.path)!r} is closed", code="closed")

    def _connect(self, *, cache_kib: int, query_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?{self._mode}",
            uri=True,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")
            connection.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepared(self) -> sqlite3.Connection:
        """Return the writer's connection to a file that is ours and up to date."""
        if not self.readonly:
            make_folder(self.path.parent)
        connection = self._connect(cache_kib=_WRITER_CACHE_KIB, query_only=self.readonly)
        try:
            version = self._checked_version(connection)
            if not self.readonly:
                self._use_wal(connection)
                if version < self._layout.version:
                    self._migrate(connection)
            elif version < self._layout.version:
                raise SetupError(
                    f"{str(self.path)!r} has layout {version}, older than {self._layout.version}:"
                    f" open it once for writing, e.g. with `{self._layout.rebuild}`",
                    code="older_layout",
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _checked_version(self, connection: sqlite3.Connection) -> int:
        """Return the file's layout version, 0 if it is new.

        Raises:
            SetupError: the file belongs to another program or to a newer version of ours.
        """
        # One statement sees one state: another process may be making the file at this moment.
        version, owner, empty = connection.execute(
            "SELECT (SELECT user_version FROM pragma_user_version), "
            "(SELECT application_id FROM pragma_application_id), "
            "NOT EXISTS (SELECT 1 FROM sqlite_master)"
        ).fetchone()
        if owner != self._layout.application_id and not empty:
            raise SetupError(
                f"{str(self.path)!r} is a database of another program: choose another --home"
            )
        if version > self._layout.version:
            raise SetupError(
                f"{str(self.path)!r} has layout {version}, but this version of Steelyard knows"
                f" layouts up to {self._layout.version}: run `pip install --upgrade steelyard`"
            )
        return int(version)

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL; SQLite does not wait for this lock by itself, so wait here."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                mode = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
                break
            except sqlite3.OperationalError as error:
                if not is_code(error, sqlite3.SQLITE_BUSY) or time.monotonic() >= deadline:
                    raise
            time.sleep(_RETRY_S)
        if mode != "wal":
            raise SetupError(
                f"The file system of {str(self.path)!r} has no shared memory for SQLite's WAL "
                f"(journal mode stays {mode!r}). Choose a home on a local disk with --home"
            )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited for the lock.
            version = self._checked_version(connection)
            for statements in self._layout.migrations[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {self._layout.application_id}")
            connection.execute(f"PRAGMA user_version = {self._layout.version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _openable_mode(self) -> str:
        """Return the mode in which a reader can open the file.

        On a read-only disk SQLite cannot make the WAL's index; without a WAL nobody can be
        writing there, so the file is read as immutable.
        """
        if not self.path.exists():
            raise SetupError(
                f"{str(self.path)!r} does not exist: make it with `{self._layout.rebuild}`"
            )
        uri = f"file:{quote(str(self.path))}?mode=ro"
        probe = sqlite3.connect(uri, uri=True, timeout=self._timeout_s, isolation_level=None)
        try:
            probe.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            journal = self.path.with_name(self.path.name + "-wal")
            unopenable = is_code(error, sqlite3.SQLITE_CANTOPEN) or is_code(
                error, sqlite3.SQLITE_READONLY
            )
            if not unopenable or (journal.exists() and journal.stat().st_size > 0):
                raise
            return "mode=ro&immutable=1"
        finally:
            probe.close()
        return "mode=ro"

    def _explained(self) -> AbstractContextManager[None]:
        return explained_sqlite(self.path, timeout_s=self._timeout_s, rebuild=self._layout.rebuild)
