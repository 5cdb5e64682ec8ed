import errno
import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest

from steelyard.core.errors import Overloaded, SetupError
from steelyard.infra.files import (
    FileLock,
    explained,
    make_folder,
    remove_strays,
    replacing,
    sha256_file,
    write_atomic,
)

_HOLD = """
import sys, time
from pathlib import Path
from steelyard.infra.files import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def _holder(path):
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def _end(child):
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


def test_a_file_is_written_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_write_that_breaks_off_leaves_the_old_content_and_no_litter(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def break_off():
        with replacing(path) as beside:
            beside.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_content_stands_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with replacing(path) as beside:
        beside.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_named_and_keeps_the_old_content(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fill():
        with replacing(path) as beside, explained(path), open("/dev/full", "wb") as full:
            beside.write_bytes(b"half")
            full.write(b"x" * 100_000)

    with pytest.raises(SetupError, match="full") as caught:
        fill()
    assert caught.value.code == "disk_full"
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EDQUOT, "disk_full"), (errno.EROFS, "read_only"), (errno.EACCES, "read_only")],
)
def test_disk_errors_are_told_by_what_to_do(tmp_path, number, code):
    with pytest.raises(SetupError) as caught, explained(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert caught.value.code == code
    assert str(tmp_path) in caught.value.message


def test_other_errors_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), explained(tmp_path):
        (tmp_path / "absent").read_bytes()


def test_a_folder_inside_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(SetupError, match="--home"):
            make_folder(folder)


def test_strays_of_killed_writers_are_removed_by_age_and_nothing_else(tmp_path):
    kept = [tmp_path / ".hidden", tmp_path / "file"]
    for path in kept:
        path.write_text("x")
    with replacing(tmp_path / "new") as beside:
        beside.write_text("at work")
        assert remove_strays(tmp_path) == 0
    stray = beside.with_name(beside.name)
    stray.write_text("left behind")
    os.utime(stray, (time.time() - 7200,) * 2)
    assert remove_strays(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "new"])


def test_a_files_hash_is_sha256_of_its_bytes(tmp_path):
    content = os.urandom(1_000_003)
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_lock_excludes_a_second_holder_in_the_same_process(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    with first:
        assert first.holder() == os.getpid()
        with pytest.raises(Overloaded, match=str(os.getpid())) as caught:
            second.acquire(timeout_s=0.05)
        assert caught.value.code == "locked"
    assert first.holder() is None
    with second:
        assert second.holder() == os.getpid()
    second.release()


def test_a_lock_names_the_process_that_holds_it_and_is_free_when_that_is_killed(tmp_path):
    path = tmp_path / "lock"
    child = _holder(path)
    try:
        with pytest.raises(Overloaded, match=f"process {child.pid}"):
            FileLock(path).acquire()
    finally:
        _end(child)
    assert FileLock(path).holder() is None
    with FileLock(path) as lock:
        assert lock.holder() == os.getpid()


def test_a_waiting_lock_is_taken_once_it_is_free(tmp_path):
    path = tmp_path / "lock"
    child = _holder(path)
    killer = subprocess.Popen(
        [sys.executable, "-c", f"import os,time;time.sleep(.2);os.kill({child.pid},9)"]
    )
    try:
        lock = FileLock(path)
        lock.acquire(timeout_s=30.0)
        lock.release()
    finally:
        killer.wait()
        _end(child)
