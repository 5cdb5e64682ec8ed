"""Snapshots: reopening costs only what came after them, and damage costs only a rebuild."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fake_index import FakeFeed, unit

from steelyard.core.errors import SetupError
from steelyard.core.ranking import Allowed
from steelyard.index import IndexOptions, snapshot
from steelyard.index.options import VECTORS
from steelyard.infra.files import FileLock, read_only

ANY = Allowed()


@pytest.fixture
def saved(feed, open_shadows):
    """A directory with a snapshot of fifty chunks."""
    for number in range(50):
        feed.add(f"common word{number}")
    shadows = open_shadows(feed)
    assert shadows.settle(timeout_s=20)
    shadows.close()
    return shadows._place.directory


def found(shadows) -> tuple[list[int], list[int]]:
    view = shadows.view()
    vector = unit(1).astype(np.float32)
    dense = view.dense(vector, k=1000, allowed=ANY).chunk_ids
    return sorted(dense), sorted(view.lexical("common", k=1000, allowed=ANY).chunk_ids)


def test_reopening_reads_nothing_from_the_truth(feed, saved, open_shadows):
    feed.num_rows_read = 0
    shadows = open_shadows(feed)
    assert feed.num_rows_read == 0
    assert shadows.view().dense_view.graph.covers == 32
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))


def test_after_a_crash_only_the_changes_since_the_snapshot_are_replayed(
    feed, saved, open_shadows, crash
):
    shadows = open_shadows(feed)
    feed.remove(7)
    for _ in range(5):
        feed.add("common late")
    shadows.refresh()
    crash(shadows)
    feed.num_rows_read = 0
    again = open_shadows(feed)
    assert feed.num_rows_read == 5
    assert found(again) == (sorted(feed.live), sorted(feed.live))


def test_closing_without_changes_writes_nothing(feed, saved, open_shadows):
    before = (saved / snapshot.MANIFEST).stat().st_mtime_ns
    open_shadows(feed).close()
    assert (saved / snapshot.MANIFEST).stat().st_mtime_ns == before


def test_only_the_named_snapshot_stays_on_disk(feed, saved, open_shadows):
    for _ in range(3):
        shadows = open_shadows(feed)
        feed.add("common more")
        shadows.refresh()
        shadows.close()
    names = sorted(path.name.split("-")[0] for path in saved.iterdir())
    assert names == ["dense", "lexical", "manifest.json", "owner.lock"]


def _files_of(directory: Path) -> list[str]:
    kinds = ["manifest.json", "dense/graph.usearch", "lexical/meta.json"]
    kinds += [f"dense/{name}.npy" for name in ("vectors", "chunk_ids", "classes", "live", "loose")]
    return [*kinds, "lexical/*.term", "lexical/*.idx", "lexical/*.fast", "lexical/*.store"]


@pytest.mark.parametrize("name", _files_of(Path()))
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "flipped"])
def test_a_damaged_file_costs_a_rebuild_and_no_error(
    feed, saved, open_shadows, name, damage, caplog
):
    kind, _, file = name.rpartition("/")
    (path, *_) = saved.glob(f"{kind}-*/{file}" if kind else file)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "half":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :])
    shadows = open_shadows(feed)
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))
    if (name, damage) != ("manifest.json", "gone"):
        assert "index_rebuilt" in caplog.text


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"format": 1}', b"\xff\xfe", b"7", b'{"files": 3}'],
)
def test_any_rubbish_for_a_manifest_costs_a_rebuild(feed, saved, open_shadows, content):
    (saved / snapshot.MANIFEST).write_bytes(content)
    assert found(open_shadows(feed)) == (sorted(feed.live), sorted(feed.live))


def test_a_merge_that_is_still_writing_when_the_snapshot_is_taken_costs_no_rebuild(
    feed, saved, open_shadows, caplog
):
    shadows = open_shadows(feed)
    feed.add("common late")
    shadows.refresh()
    merging = shadows._lexical.directory / f"{'a' * 32}.idx"
    merging.write_bytes(b"half")
    shadows.close()
    merging.write_bytes(b"half and the rest")
    feed.num_rows_read = 0
    assert found(open_shadows(feed)) == (sorted(feed.live), sorted(feed.live))
    assert feed.num_rows_read == 0
    assert "index_rebuilt" not in caplog.text
    named = json.loads((saved / snapshot.MANIFEST).read_text())["files"]
    assert {Path(name).suffix for name in named} >= {".idx", ".term", ".fast", ".store"}


def test_another_embedder_or_format_costs_a_rebuild(feed, saved, open_shadows, caplog):
    open_shadows(feed, fingerprint="other/1").close()
    assert "'fake/1'" in caplog.text
    manifest = json.loads((saved / snapshot.MANIFEST).read_text())
    assert manifest["fingerprint"] == "other/1"
    (saved / snapshot.MANIFEST).write_text(json.dumps(manifest | {"format": "0/old"}))
    caplog.clear()
    open_shadows(feed, fingerprint="other/1")
    assert "0/old" in caplog.text


@pytest.mark.parametrize("vectors", [kind for kind in VECTORS if kind != "i8"])
def test_vectors_of_another_form_cost_a_new_graph_and_nothing_else(
    feed, saved, open_shadows, vectors
):
    feed.num_rows_read = 0
    other = open_shadows(feed, options=IndexOptions(vectors=vectors, tail_rows=32))
    before = found(other)
    assert other.settle(timeout_s=20)
    assert feed.num_rows_read == 0
    graph = other.view().dense_view.graph
    assert (graph.vectors, graph.covers) == (vectors, 32)
    assert before == found(other) == (sorted(feed.live), sorted(feed.live))
    other.close()
    assert json.loads((saved / snapshot.MANIFEST).read_text())["vectors"] == vectors
    assert open_shadows(feed).view().dense_view.graph.covers == 0


def test_a_form_of_vectors_that_there_is_not_is_named_with_the_choices():
    with pytest.raises(SetupError, match="'i4'; set it to one of f32, f16, i8, binary"):
        IndexOptions(vectors="i4")


def test_another_dimension_costs_a_rebuild(saved, open_shadows):
    wide = FakeFeed(dim=24)
    wide.add("common")
    assert found_wide(open_shadows(wide)) == [1]


def found_wide(shadows) -> list[int]:
    return shadows.view().dense(unit(1, dim=24).astype(np.float32), k=9, allowed=ANY).chunk_ids


def test_a_trimmed_log_costs_a_rebuild_on_start_and_while_running(feed, saved, open_shadows):
    feed.remove(3)
    feed.add("common new")
    feed.trim()
    shadows = open_shadows(feed)
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))
    feed.add("common newer")
    feed.trim()
    before = shadows.view()
    assert shadows.refresh() == feed.seq
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))
    assert len(before.lexical("common", k=1000, allowed=ANY).hits) == 50


def test_a_truth_restored_from_a_backup_costs_a_rebuild(saved, open_shadows):
    older = FakeFeed()
    older.add("common only")
    assert found(open_shadows(older)) == ([1], [1])


def test_a_truth_of_the_same_length_with_other_chunks_costs_a_rebuild(feed, saved, open_shadows):
    other = FakeFeed(next_id=1000)
    for _ in range(50):
        other.add("common other")
    assert other.seq == feed.seq
    shadows = open_shadows(other)
    assert found(shadows) == (sorted(other.live), sorted(other.live))


def test_a_feed_that_fails_leaves_the_view_and_the_next_refresh_catches_up(feed, open_shadows):
    for number in range(40):
        feed.add(f"common {number}")
    shadows = open_shadows(feed)
    feed.remove(2)
    feed.add("common late")
    feed.fail = OSError("the truth is locked")
    with pytest.raises(OSError, match="locked"):
        shadows.refresh()
    assert len(found(shadows)[0]) == 40
    feed.fail = None
    shadows.refresh()
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))


def test_an_index_that_lost_rows_notices_at_the_next_refresh(feed, open_shadows):
    for number in range(40):
        feed.add(f"common {number}")
    shadows = open_shadows(feed)
    shadows._lexical.remove([5])
    feed.add("common late")
    shadows.refresh()
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))


def test_a_full_disk_while_saving_is_named_and_the_old_snapshot_stays(
    feed, saved, open_shadows, monkeypatch
):
    shadows = open_shadows(feed)
    feed.add("common late")
    shadows.refresh()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(SetupError, match="full"):
            shadows.save()
    assert len(list(saved.glob("dense-*"))) == 1
    shadows.save()
    feed.num_rows_read = 0
    shadows.close()
    assert found(open_shadows(feed)) == (sorted(feed.live), sorted(feed.live))
    assert feed.num_rows_read == 0


def test_a_second_opener_works_on_a_copy_and_disturbs_nobody(feed, saved, open_shadows):
    owner = open_shadows(feed)
    feed.num_rows_read = 0
    guest = open_shadows(feed)
    assert (owner.owner, guest.owner) == (True, False)
    assert feed.num_rows_read == 0
    feed.remove(1)
    feed.add("common guest")
    guest.refresh()
    assert found(guest) == (sorted(feed.live), sorted(feed.live))
    assert 1 in found(owner)[0]
    owner.refresh()
    owner.save()
    assert found(owner) == found(guest)
    guest.close()
    assert list((saved / "copies").iterdir()) == []
    owner.close()
    assert found(open_shadows(feed)) == (sorted(feed.live), sorted(feed.live))


def test_a_copy_is_taken_while_nothing_is_saved_yet(feed, open_shadows):
    feed.add("common")
    owner, guest = open_shadows(feed), open_shadows(feed)
    assert found(owner) == found(guest) == ([1], [1])


def test_copies_of_dead_processes_are_removed_and_of_living_ones_kept(
    feed, saved, open_shadows, crash
):
    owner, dead, living = open_shadows(feed), open_shadows(feed), open_shadows(feed)
    crash(dead)
    for copy in (saved / "copies").iterdir():
        os.utime(copy, (0, 0))
    owner.close()
    open_shadows(feed)
    assert list((saved / "copies").iterdir()) == [living._place.directory]


def test_an_owner_killed_by_the_system_leaves_a_directory_to_take_over(tmp_path, open_shadows):
    directory = tmp_path / "index"
    program = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_index import FakeFeed
from steelyard.index import Shadows
feed = FakeFeed()
for number in range(30):
    feed.add(f"common {{number}}")
shadows = Shadows.open(pathlib.Path({str(directory)!r}), feed, dim=16, fingerprint="fake/1")
shadows.save()
feed.remove(3)
feed.add("common unsaved")
shadows.refresh()
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert killed.returncode == -9
    feed = FakeFeed()
    for number in range(30):
        feed.add(f"common {number}")
    feed.remove(3)
    feed.add("common unsaved")
    feed.num_rows_read = 0
    shadows = open_shadows(feed, directory=directory)
    assert shadows.owner
    assert feed.num_rows_read == 1
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))


def test_a_read_only_directory_is_searched_through_a_temporary_copy(
    feed, saved, open_shadows, monkeypatch, tmp_path
):
    """Simulated, because root may write anywhere."""
    make_folder, take_lock = Path.mkdir, FileLock.acquire

    def mkdir(self, *args, **options):
        if self.is_relative_to(saved):
            raise OSError(30, "Read-only file system")
        make_folder(self, *args, **options)

    def acquire(self, **options):
        if self._path.is_relative_to(saved):
            raise read_only(self._path, "Read-only file system")
        take_lock(self, **options)

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(FileLock, "acquire", acquire)
    before = sorted(path.name for path in saved.rglob("*"))
    feed.num_rows_read = 0
    feed.add("common late")
    shadows = open_shadows(feed)
    assert not shadows.owner
    assert feed.num_rows_read == 1
    assert found(shadows) == (sorted(feed.live), sorted(feed.live))
    shadows.close()
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in saved.rglob("*")) == before


def test_a_place_without_hard_links_is_copied(feed, saved, open_shadows, monkeypatch):
    def no_links(self, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    open_shadows(feed)
    feed.num_rows_read = 0
    guest = open_shadows(feed)
    assert feed.num_rows_read == 0
    assert found(guest) == (sorted(feed.live), sorted(feed.live))


def test_a_removed_directory_is_made_again(feed, saved, open_shadows):
    shutil.rmtree(saved)
    assert found(open_shadows(feed)) == (sorted(feed.live), sorted(feed.live))
