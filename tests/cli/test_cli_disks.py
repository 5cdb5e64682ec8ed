"""A full disk and a read-only home, for real: on a small file system of the test's own."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ENV = {**os.environ, "STEELYARD_EMBED_MODEL": "hashing", "NO_COLOR": "1", "COLUMNS": "200"}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", *words],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def write_pages(folder: Path, number: int) -> None:
    rng = random.Random(3)
    folder.mkdir()
    for page in range(number):
        words = " ".join(f"w{rng.randrange(10**6)}" for _ in range(1500))
        (folder / f"p{page:03}.md").write_text(f"# Page {page}\n\n{words}\n")


def test_a_full_disk_is_one_line_and_nothing_committed_is_lost(small_disk, tmp_path):
    home = small_disk / "home"
    write_pages(tmp_path / "first", 5)
    assert run("ingest", str(tmp_path / "first"), "--home", str(home)).returncode == 0
    write_pages(tmp_path / "many", 400)
    full = run("ingest", str(tmp_path / "many"), "--home", str(home))
    assert full.returncode == 4
    assert len(full.stderr.strip().splitlines()) == 1
    assert "full" in full.stderr
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert run("ingest", str(tmp_path / "many"), "--home", str(home)).returncode == 0
    rows = json.loads(run("documents", "--home", str(home), "--limit", "1000", "--json").stdout)[
        "documents"
    ]
    assert len(rows) == 405
    assert {row["state"] for row in rows} == {"searchable"}


def test_a_read_only_home_is_one_line(small_disk, tmp_path):
    home = small_disk / "home"
    write_pages(tmp_path / "pages", 2)
    assert run("ingest", str(tmp_path / "pages"), "--home", str(home)).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    write_pages(tmp_path / "more", 1)
    refused = run("ingest", str(tmp_path / "more"), "--home", str(home))
    assert refused.returncode == 4
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "read-only" in refused.stderr or "cannot be written" in refused.stderr
