"""What goes wrong on real machines: one clear line, and nothing lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from steelyard.core.errors import Overloaded, SetupError
from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import OPERATOR, Store, Submission
from steelyard.store.schema import LAYOUT

_AS_SOMEONE_ELSE = """
import os, sys
from pathlib import Path
from steelyard.core.errors import SteelyardError
from steelyard.core.ranking import PUBLIC
from steelyard.store import OPERATOR, Store, Submission
if os.geteuid() == 0:
    os.setuid(65534)
path, mode = Path(sys.argv[1]), sys.argv[2]
try:
    store = Store.open(path, read_only=mode == "read")
    print(store.counts().documents, store.text("default", "a", principal=PUBLIC))
    store.submit(Submission(id="b", uri="u"), principal=OPERATOR)
    print("wrote")
except SteelyardError as error:
    print(type(error).__name__, error.code, error.message)
"""


def _filled(path, draft):
    with Store.open(path) as store:
        store.claim_embedder("toy-1", 8)
        store.replace_many([draft(f"d{n}", "some words " * 40) for n in range(60)])
        store.replace(draft("a", "hello"))


def _count_and_fetch(path):
    with Store.open(path) as store:
        store.counts()
        store.fetch([1], query=Query("q", PUBLIC))


def test_a_file_that_is_no_database_is_named_and_left_alone(path):
    path.parent.mkdir()
    path.write_bytes(b"these are not the bytes you are looking for" * 100)
    before = path.read_bytes()
    with pytest.raises(SetupError, match=r"damaged.*mv .*steelyard ingest") as caught:
        Store.open(path)
    assert caught.value.code == "damaged_home"
    assert str(path) in caught.value.message
    assert path.read_bytes() == before


def test_a_torn_file_is_reported_and_left_alone(path, draft):
    _filled(path, draft)
    path.write_bytes(path.read_bytes()[: 3 * 4096])
    before = path.read_bytes()
    with pytest.raises(SetupError) as caught:
        _count_and_fetch(path)
    assert caught.value.code == "damaged_home"
    assert path.read_bytes() == before


def test_scribbled_pages_show_in_check_or_as_damage(path, draft):
    _filled(path, draft)
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(content)
    try:
        with Store.open(path) as store:
            faults = store.check()
    except SetupError as error:
        faults = [error.code]
    assert faults


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("DELETE FROM chunks WHERE chunk_id = 2", "says 1 chunks but has 0"),
        ("UPDATE chunks SET text = 'other' WHERE chunk_id = 2", "is not default/d1"),
        ("UPDATE classes SET num_chunks = 3", "counts 3 chunks"),
        ("DELETE FROM embeddings WHERE key = 1", "no vector"),
        ("DELETE FROM texts WHERE document = 1", "no text"),
        ("UPDATE home SET seq = seq + 5", "ends at"),
        ("DELETE FROM log WHERE seq = (SELECT min(seq) FROM log)", "changes for"),
        ("UPDATE documents SET served = 0, state = 'searchable'", "without a served version"),
    ],
)
def test_check_finds_what_disagrees(path, draft, harm, says):
    _filled(path, draft)
    with sqlite3.connect(path) as connection:
        connection.execute(harm)
    connection.close()
    with Store.open(path) as store:
        assert any(says in fault for fault in store.check())


def test_a_home_of_a_newer_version_is_refused_untouched(path, draft):
    _filled(path, draft)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {LAYOUT.version + 1}")
    connection.close()
    with pytest.raises(SetupError, match="upgrade"):
        Store.open(path)


def test_another_programs_database_is_refused_untouched(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SetupError, match="another program"):
        Store.open(path)
    assert path.read_bytes() == before


def test_a_full_disk_loses_nothing_and_work_goes_on_once_there_is_room(store, draft):
    store.replace(draft("a", "kept"))
    writer = store._database._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    big = draft("a", *("x" * 3000 + str(n) for n in range(40)))
    before = store.last_seq()
    for write in (
        lambda: store.replace(big),
        lambda: store.submit_many(
            [Submission(id=f"s{n}", uri="u" * 900) for n in range(200)], principal=OPERATOR
        ),
    ):
        with pytest.raises(SetupError, match="full") as caught:
            write()
        assert caught.value.code == "disk_full"
    assert store.last_seq() == before
    assert store.text("default", "a", principal=PUBLIC) == "kept"
    assert store.check() == []
    writer.execute("PRAGMA max_page_count = 1000000")
    store.replace(big)
    assert store.check() == []


def test_a_home_inside_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(SetupError, match="--home") as caught:
        Store.open(tmp_path / "file" / "home" / "steelyard.db")
    assert caught.value.code == "read_only"


def test_a_folder_at_the_files_place_is_refused_by_name(path):
    path.mkdir(parents=True)
    with pytest.raises(SetupError, match="--home"):
        Store.open(path)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_place_where_nobody_can_make_a_file_is_named():
    with pytest.raises(SetupError, match="--home"):
        Store.open(Path("/proc/steelyard/steelyard.db"))


def test_a_reader_of_a_missing_home_is_told_to_make_it(path):
    with pytest.raises(SetupError, match=r"does not exist.*steelyard ingest"):
        Store.open(path, read_only=True)
    assert not path.exists()


def test_a_read_only_handle_reads_and_refuses_to_write(path, store, draft):
    store.replace(draft("a", "hello"))
    with Store.open(path, read_only=True) as reader:
        reader.claim_embedder("toy-1", 8)
        assert reader.text("default", "a", principal=PUBLIC) == "hello"
        with pytest.raises(SetupError) as caught:
            reader.submit(Submission(id="b", uri="u"), principal=OPERATOR)
        assert caught.value.code == "read_only"
        store.replace(draft("a", "hello again"))
        assert reader.text("default", "a", principal=PUBLIC) == "hello again"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("write", "SetupError read_only"), ("read", "61 hello\nSetupError read_only")],
)
def test_a_read_only_folder_can_be_read_but_not_written(draft, mode, expected):
    # Not pytest's folder: only root may enter that, and root may write anywhere.
    folder = Path(tempfile.mkdtemp(prefix="steelyard-"))
    try:
        _filled(folder / "steelyard.db", draft)
        (folder / "steelyard.db").chmod(0o444)
        folder.chmod(0o555)
        child = subprocess.run(
            [sys.executable, "-c", _AS_SOMEONE_ELSE, str(folder / "steelyard.db"), mode],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout.startswith(expected), child.stdout
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_home_locked_by_another_process_is_overloaded_and_then_fine(path, store, draft):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(path, busy_timeout_s=0.05) as impatient:
        impatient.claim_embedder("toy-1", 8)
        with pytest.raises(Overloaded, match="locked") as caught:
            impatient.replace(draft("a", "x"))
        assert caught.value.code == "locked"
        assert impatient.counts().documents == 0  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        impatient.replace(draft("a", "x"))
    assert store.text("default", "a", principal=PUBLIC) == "x"


def test_a_closed_store_says_so(path):
    store = Store.open(path)
    store.close()
    store.close()
    with pytest.raises(Overloaded, match="closed"):
        store.counts()
    with pytest.raises(Overloaded, match="closed"):
        store.data_version()
