import sqlite3
import threading

import pytest

from steelyard.core.errors import InputError, Overloaded, SetupError
from steelyard.infra.sqlite import Database, Layout

_FIRST = ("CREATE TABLE words (word TEXT NOT NULL UNIQUE) STRICT",)
_SECOND = ("ALTER TABLE words ADD COLUMN num INTEGER NOT NULL DEFAULT 7",)
LAYOUT = Layout(application_id=1234, migrations=(_FIRST,), rebuild="make it")
NEWER = Layout(application_id=1234, migrations=(_FIRST, _SECOND), rebuild="make it")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "words.db"


@pytest.fixture
def database(path):
    opened = Database(path, layout=LAYOUT)
    yield opened
    opened.close()


def _add(database, word, **how):
    with database.writing(**how) as connection:
        connection.execute("INSERT INTO words (word) VALUES (?)", (word,))


def _words(database):
    with database.reading() as connection:
        return [row[0] for row in connection.execute("SELECT word FROM words ORDER BY word")]


def test_what_is_committed_is_there_after_reopening(path):
    first = Database(path, layout=LAYOUT)
    _add(first, "a")
    _add(first, "b", durable=False)
    first.close()
    second = Database(path, layout=LAYOUT)
    assert _words(second) == ["a", "b"]
    second.close()


def test_commits_are_synced_unless_told_otherwise(database):
    with database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    with database.writing(durable=False) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 1
    with database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_block_that_raises_leaves_nothing(database):
    def fail():
        with database.writing() as connection:
            connection.execute("INSERT INTO words (word) VALUES ('a')")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert _words(database) == []
    _add(database, "b")
    assert _words(database) == ["b"]


def test_a_bug_in_sql_is_not_dressed_up(database):
    with pytest.raises(sqlite3.OperationalError), database.reading() as connection:
        connection.execute("SELECT nonsense")
    _add(database, "twice")
    with pytest.raises(sqlite3.IntegrityError):
        _add(database, "twice")


def test_readers_cannot_write(database):
    with pytest.raises(SetupError) as caught, database.reading() as connection:
        connection.execute("INSERT INTO words (word) VALUES ('a')")
    assert caught.value.code == "read_only"


def test_a_snapshot_does_not_move_under_its_reader(database):
    _add(database, "a")
    with database.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM words").fetchone()[0] == 1
        _add(database, "b")
        assert connection.execute("SELECT count(*) FROM words").fetchone()[0] == 1
    assert _words(database) == ["a", "b"]


def test_a_snapshot_is_given_back_after_an_error(database):
    def fail():
        with database.snapshot() as connection:
            connection.execute("SELECT count(*) FROM words").fetchone()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    _add(database, "a")
    assert _words(database) == ["a"]


def test_connections_are_used_again(database):
    for _ in range(50):
        _words(database)
    assert len(database._readers) == 1
    with database.reading(), database.reading(), database.reading():
        assert database._readers == []
    assert len(database._readers) == 3


def test_many_threads_read_and_write(database):
    def work(name):
        for n in range(20):
            _add(database, f"{name}{n}")
            _words(database)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_words(database)) == 60


def test_data_version_moves_with_each_commit_and_only_then(path, database):
    seen = [database.data_version()]
    assert database.data_version() == seen[0]
    _add(database, "a")
    seen.append(database.data_version())
    other = Database(path, layout=LAYOUT)
    _add(other, "b")
    other.close()
    seen.append(database.data_version())
    assert len(set(seen)) == 3


def test_an_older_file_is_migrated_and_keeps_its_rows(path, database):
    _add(database, "a")
    newer = Database(path, layout=NEWER)
    with newer.reading() as connection:
        assert connection.execute("SELECT word, num FROM words").fetchall() == [("a", 7)]
    newer.close()
    with pytest.raises(SetupError, match=r"layout 2.*upgrade"):
        Database(path, layout=LAYOUT)


def test_a_migration_that_fails_leaves_the_old_version(path, database):
    _add(database, "a")
    broken = Layout(1234, (_FIRST, ("CREATE TABLE more (x)", "SELECT nonsense")), "make it")
    with pytest.raises(sqlite3.OperationalError):
        Database(path, layout=broken)
    assert _words(database) == ["a"]
    newer = Database(path, layout=NEWER)
    newer.close()


def test_an_older_file_is_not_migrated_by_a_reader(path, database):
    with pytest.raises(SetupError, match="make it"):
        Database(path, layout=NEWER, readonly=True)


def test_many_processes_worth_of_handles_open_a_new_file_at_once(path):
    opened, failures = [], []

    def open_it():
        try:
            opened.append(Database(path, layout=NEWER))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for n, database in enumerate(opened):
        _add(database, str(n))
    assert _words(opened[0]) == [str(n) for n in range(8)]
    for database in opened:
        database.close()


def test_a_thread_that_writes_too_long_makes_others_overloaded(path):
    database = Database(path, layout=LAYOUT, timeout_s=0.05)
    errors = []

    def write():
        try:
            _add(database, "b")
        except Overloaded as error:
            errors.append(error.code)

    with database.writing():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    assert errors == ["locked"]
    _add(database, "b")
    database.close()


def test_a_full_file_says_so_and_takes_no_part_of_the_write(database):
    pages = database._writer.execute("PRAGMA page_count").fetchone()[0]
    database._writer.execute(f"PRAGMA max_page_count = {pages}")

    def fill():
        with database.writing() as connection:
            for n in range(1000):
                connection.execute("INSERT INTO words (word) VALUES (?)", (f"{n}" * 500,))

    with pytest.raises(SetupError, match="full") as caught:
        fill()
    assert caught.value.code == "disk_full"
    assert _words(database) == []


def test_text_that_is_no_unicode_is_the_callers_fault(database):
    with pytest.raises(InputError) as caught:
        _add(database, "a\udcffb")
    assert caught.value.code == "invalid_text"
    assert "character 1" in caught.value.message


def test_odd_characters_in_a_path_are_just_characters(tmp_path):
    path = tmp_path / "ho me?mode=memory#x%41 é" / "w.db"
    database = Database(path, layout=LAYOUT)
    _add(database, "a")
    database.close()
    assert path.exists()


def test_closing_while_a_reader_is_out_closes_it_when_it_comes_back(path):
    database = Database(path, layout=LAYOUT)
    with database.reading() as connection:
        database.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    with pytest.raises(Overloaded, match="closed"):
        _add(database, "a")
