"""Versions: named by their content, written once, proved on every read."""

import random
import shutil

import pytest

from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.training import Labelled, Provenance, TrainingRow
from steelyard.datasets.training import (
    IndexedRow,
    diff,
    find_version,
    keep,
    read_index,
    read_kept,
    sha256_of,
    versions,
)

RECIPE = {"verb": "import", "origin": "", "licence": "MIT"}


def rows_of(*texts, file="a.jsonl"):
    return [
        TrainingRow(Labelled(text, "yes"), Provenance(file, line))
        for line, text in enumerate(texts, start=1)
    ]


def kept(home, rows, **options):
    return keep(home, rows, **{"name": "small", "recipe": RECIPE} | options).version


def test_the_same_rows_in_any_order_and_file_have_one_id(tmp_path):
    rows = rows_of("a", "b", "c", "c")
    first = keep(tmp_path, rows, name="small", recipe=RECIPE)
    random.Random(1).shuffle(rows)
    again = keep(tmp_path, rows_of("c", "a", "c", "b", file="b.jsonl"), name="x", recipe=RECIPE)
    assert (first.known, again.known) == (False, True)
    assert again.version == first.version
    assert len(versions(tmp_path)) == 1


def test_rows_recipe_parents_and_splits_are_each_part_of_the_id(tmp_path):
    rows = rows_of("a", "b")
    base = kept(tmp_path, rows)
    others = [
        kept(tmp_path, rows_of("a", "b", "b")),
        kept(tmp_path, rows, recipe={**RECIPE, "licence": "ISC"}),
        kept(tmp_path, rows, parents=[base.id]),
        kept(tmp_path, rows, splits={sha256_of(rows[0]): "test"}),
    ]
    assert len({base.id, *(one.id for one in others)}) == 5
    assert [one.root == base.root for one in others] == [False, True, True, True]


def test_what_was_kept_is_read_again_with_its_splits(tmp_path):
    rows = rows_of("a", "b", "c")
    version = kept(tmp_path, rows, splits={sha256_of(rows[1]): "test"}, sources={"a.jsonl": "00"})
    assert versions(tmp_path) == (version,)
    assert sorted(read_kept(tmp_path, version), key=lambda row: row.provenance.line) == rows
    assert read_kept(tmp_path, version, split="test") == [rows[1]]
    assert version.splits == {"test": 1}
    with pytest.raises(InputError, match="has no split 'train'; it has test"):
        read_kept(tmp_path, version, split="train")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rows.jsonl", lambda text: text.replace('"text":"a"', '"text":"x"')),
        ("rows.jsonl", lambda text: text + text.splitlines()[0] + "\n"),
        ("rows.jsonl", lambda text: text.replace("{", "[", 1)),
        ("index.tsv", lambda text: text.replace("\t", "\ttest", 1)),
        ("index.tsv", lambda text: ""),
        ("version.json", lambda text: text.replace('"MIT"', '"ISC"')),
        ("version.json", lambda text: text[:40]),
    ],
)
def test_a_version_that_was_changed_by_hand_is_refused(name, change, tmp_path):
    version = kept(tmp_path, rows_of("a", "b"))
    path = next(tmp_path.glob(f"datasets/*/{name}"))
    path.write_text(change(path.read_text()))
    with pytest.raises(SetupError, match="is damaged"):
        read_kept(tmp_path, find_version(tmp_path, version.id))


def test_a_version_is_found_by_id_or_by_its_newest_name(tmp_path):
    old = kept(tmp_path, rows_of("a"))
    new = kept(tmp_path, rows_of("b"))
    assert find_version(tmp_path, "small") == new
    assert find_version(tmp_path, old.id[:8]) == old
    with pytest.raises(NotFound, match="no version 'smal'"):
        find_version(tmp_path, "smal")


def test_no_rows_and_no_name_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="no row is left"):
        kept(tmp_path, [])
    with pytest.raises(InputError, match="is no name"):
        kept(tmp_path, rows_of("a"), name="../x")
    assert list(tmp_path.iterdir()) == []


def test_diff_tells_what_came_went_and_changed_its_split(tmp_path):
    old = [IndexedRow("a"), IndexedRow("b", "train"), IndexedRow("c"), IndexedRow("c")]
    new = [IndexedRow("b", "test"), IndexedRow("c"), IndexedRow("d")]
    found = diff(old, new)
    assert (found.added, found.removed, found.moved) == (("d",), ("a", "c"), ("b",))
    assert found.num_same == 2
    again = diff(new, new)
    assert (again.added, again.removed, again.moved, again.num_same) == ((), (), (), 3)


def test_the_index_alone_is_proved_against_the_id(tmp_path):
    version = kept(tmp_path, rows_of("a", "b"))
    assert {one.sha256 for one in read_index(tmp_path, version)} == {
        sha256_of(row) for row in rows_of("a", "b")
    }


def test_what_a_killed_writer_left_is_no_version(tmp_path):
    version = kept(tmp_path, rows_of("a"))
    folder = next((tmp_path / "datasets").iterdir())
    shutil.copytree(folder, folder.with_name(f".{folder.name}.0badf00d"))
    shutil.rmtree(folder)
    assert versions(tmp_path) == ()
    assert not keep(tmp_path, rows_of("a"), name="small", recipe=RECIPE).known
    assert [one.id for one in versions(tmp_path)] == [version.id]
