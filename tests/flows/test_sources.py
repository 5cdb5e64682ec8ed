from pathlib import Path

import pytest

from steelyard.core.errors import InputError
from steelyard.flows.sources import (
    belongs,
    document_id,
    file_uri,
    find_files,
    path_of,
    resolve_roots,
)


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def names(root: Path, **options) -> list[str]:
    return [f.path.relative_to(root).as_posix() for f in find_files([root], **options)]


def test_files_come_sorted_and_hidden_ones_do_not(tmp_path):
    make(tmp_path, "b.md", "a.md", ".hidden", ".git/config", "node_modules/x.js", "sub/c.txt")
    assert names(tmp_path) == ["a.md", "b.md", "sub/c.txt"]


def test_an_ignore_file_holds_for_its_folder_and_below(tmp_path):
    make(tmp_path, "keep.md", "drafts/a.md", "sub/notes.tmp", "sub/keep.md", "other/sub.md")
    (tmp_path / ".steelyardignore").write_text("# comment\n*.tmp\ndrafts/\n")
    assert names(tmp_path) == ["keep.md", "other/sub.md", "sub/keep.md"]


def test_a_folder_can_be_excluded(tmp_path):
    make(tmp_path, "a.md", "home/steelyard.db")
    assert names(tmp_path, exclude=[tmp_path / "home"]) == ["a.md"]


def test_a_link_out_of_the_folder_is_passed_over_and_one_inside_is_not(tmp_path):
    make(tmp_path, "root/a.md", "secret.md")
    (tmp_path / "root/out.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "root/in.md").symlink_to(tmp_path / "root/a.md")
    assert names(tmp_path / "root") == ["a.md", "in.md"]


def test_overlapping_roots_give_each_file_once(tmp_path):
    make(tmp_path, "a.md", "sub/b.md")
    found = list(find_files([tmp_path, tmp_path / "sub", tmp_path / "a.md"]))
    assert len(found) == 2


def test_belongs_agrees_with_finding(tmp_path):
    make(tmp_path, "a.md", ".b.md", "sub/.x/c.md", "sub/d.md", "drafts/e.md", "node_modules/f.js")
    (tmp_path / ".steelyardignore").write_text("drafts\n")
    found = {f.path for f in find_files([tmp_path])}
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        assert belongs(path, [tmp_path]) == (path in found), path


def test_uri_and_path_are_inverse_also_for_odd_names(tmp_path):
    path = tmp_path / "ü ber #50%.md"
    assert path_of(file_uri(path)) == path
    assert path_of("upload:x.pdf") is None


def test_the_same_uri_has_the_same_id():
    assert document_id("file:///a") == document_id("file:///a") != document_id("file:///b")


def test_missing_paths_are_named_all_at_once(tmp_path):
    with pytest.raises(InputError, match=r"nope1.*nope2"):
        resolve_roots([tmp_path / "nope1", tmp_path, tmp_path / "nope2"])
