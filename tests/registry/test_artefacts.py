"""Artefacts are copied whole, named by their content, and refused when a byte has changed."""

import os
import time

import pytest

from steelyard.core.errors import InputError, SetupError
from steelyard.registry import (
    artefact_faults,
    artefact_folder,
    artefact_ids,
    check_artefact,
    keep_artefact,
    read_manifest,
)
from steelyard.registry import artefacts as room


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.safetensors").write_bytes(b"weights" * 100)
    (folder / "deep" / "b.json").write_text("{}")
    return folder


def test_equal_content_is_one_artefact_and_other_content_another(tmp_path, source):
    first = keep_artefact(tmp_path, source)
    assert set(first.files) == {"a.safetensors", "deep/b.json"}
    assert first.size_bytes == 702
    assert keep_artefact(tmp_path, source).id == first.id
    (source / "a.safetensors").write_bytes(b"other")
    second = keep_artefact(tmp_path, source)
    assert artefact_ids(tmp_path) == sorted([first.id, second.id])
    # The first is a copy: what became of its source does not matter.
    assert (artefact_folder(tmp_path, first.id) / "a.safetensors").read_bytes() == b"weights" * 100
    assert artefact_faults(tmp_path, first.id) == []
    assert read_manifest(tmp_path, first.id) == first


@pytest.mark.parametrize("changed", ["a.safetensors", "deep/b.json", "../manifest.json"])
def test_one_changed_byte_is_refused_by_name(tmp_path, source, changed):
    kept = keep_artefact(tmp_path, source)
    check_artefact(tmp_path, kept.id)
    path = artefact_folder(tmp_path, kept.id) / changed
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, (0, 0))  # a change that hides its time
    with pytest.raises(SetupError, match=rf"{path.name} was changed.*register it again"):
        check_artefact(tmp_path, kept.id)


def test_what_is_missing_or_new_is_named(tmp_path, source):
    kept = keep_artefact(tmp_path, source)
    folder = artefact_folder(tmp_path, kept.id)
    (folder / "a.safetensors").unlink()
    (folder / "more.txt").write_text("x")
    assert artefact_faults(tmp_path, kept.id) == [
        "a.safetensors cannot be read (No such file or directory)",
        "more.txt is in no manifest",
    ]
    with pytest.raises(SetupError, match="cannot be read"):
        read_manifest(tmp_path, "0" * 64)


def test_keeping_it_again_repairs_what_was_damaged(tmp_path, source):
    kept = keep_artefact(tmp_path, source)
    (artefact_folder(tmp_path, kept.id) / "a.safetensors").write_bytes(b"torn")
    assert keep_artefact(tmp_path, source).id == kept.id
    check_artefact(tmp_path, kept.id)


def test_what_cannot_be_an_artefact_is_refused(tmp_path, source):
    with pytest.raises(InputError, match="no folder"):
        keep_artefact(tmp_path, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is empty"):
        keep_artefact(tmp_path, tmp_path / "empty")
    (source / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match=r"'adapter_model.bin'.*save the weights as safetensors"):
        keep_artefact(tmp_path, source)
    (source / "adapter_model.bin").unlink()
    os.mkfifo(source / "pipe")
    with pytest.raises(InputError, match="no file that can be copied"):
        keep_artefact(tmp_path, source)
    assert artefact_ids(tmp_path) == []


@pytest.mark.parametrize("after", range(8))
def test_a_writer_that_dies_leaves_no_artefact_or_a_whole_one(tmp_path, source, monkeypatch, after):
    """End the process at every step that touches the disk, then try again."""
    steps = 0

    def dying(function):
        def call(*args, **kwargs):
            nonlocal steps
            steps += 1
            if steps > after:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(room.shutil, "copyfile", dying(room.shutil.copyfile))
        patch.setattr(room, "sync", dying(room.sync))
        patch.setattr(room, "_publish", dying(room._publish))
        patch.setattr(room.shutil, "rmtree", lambda *_, **__: None)  # nobody tidies up
        try:
            keep_artefact(tmp_path, source)
        except KeyboardInterrupt:
            pass
        else:
            pytest.fail("it should have died")
    assert [artefact_faults(tmp_path, one) for one in artefact_ids(tmp_path)] in ([], [[]])
    kept = keep_artefact(tmp_path, source)
    check_artefact(tmp_path, kept.id)


def test_what_killed_writers_left_goes_after_an_hour(tmp_path, source):
    place = tmp_path / "registry" / "artefacts"
    young, old = place / ".1.beside", place / ".2.beside"
    for stray in (young, old):
        stray.mkdir(parents=True)
    os.utime(old, (time.time() - 7200,) * 2)
    keep_artefact(tmp_path, source)
    assert young.exists()
    assert not old.exists()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, source, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room.shutil, "copyfile", full)
    with pytest.raises(SetupError, match="is full"):
        keep_artefact(tmp_path, source)
    assert list((tmp_path / "registry" / "artefacts").iterdir()) == []
