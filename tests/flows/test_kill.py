"""Kill -9 at random moments of ingesting, updating and deleting: nothing lost, doubled or half."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from steelyard.app import open_app
from steelyard.core.documents import State
from steelyard.flows.sources import document_id, file_uri
from steelyard.store import OPERATOR

NUM_FILES = 300
NUM_KILLS = 40
ENV = {**os.environ, "STEELYARD_EMBED_MODEL": "hashing"}


def write(path: Path, revision: int, rng: random.Random) -> None:
    sections = "\n\n".join(
        f"## Part {part}\n\n" + " ".join(f"word{rng.randrange(5000)}" for _ in range(120))
        for part in range(rng.randint(1, 4))
    )
    path.write_text(f"# {path.stem} revision {revision}\n\n{sections}\n", encoding="utf-8")


def change_some(folder: Path, revision: int, rng: random.Random) -> None:
    """Edit, remove and add about a tenth of the files each."""
    names = [f"page{number:03}.md" for number in range(NUM_FILES)]
    for name in rng.sample(names, 30):
        write(folder / name, revision, rng)
    for name in rng.sample(names, 15):
        (folder / name).unlink(missing_ok=True)


def start(folder: Path, home: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "steelyard", "ingest", str(folder), "--home", str(home)]
    return subprocess.Popen(
        command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def assert_whole(folder: Path, home: Path) -> None:
    """The home holds exactly the files' present texts, and the index exactly its chunks."""
    app = open_app(home, flags={"embed.model": "hashing"})
    try:
        assert app.store.check() == []
        expected = {document_id(file_uri(p)): p.read_text("utf-8") for p in folder.iterdir()}
        rows = []
        after = None
        while True:
            page = app.store.documents(principal=OPERATOR, after=after, limit=1000)
            rows += page.rows
            if (after := page.next) is None:
                break
        assert {row.id for row in rows} == set(expected)
        assert len(rows) == len(expected)
        assert {row.state for row in rows} == {State.SEARCHABLE}
        for row in rows:
            parsed = app.store.parsed("default", row.id, principal=OPERATOR)
            assert parsed.text == expected[row.id]
            chunks = app.store.chunks_of("default", row.id, principal=OPERATOR)
            assert len(chunks) == row.num_chunks > 0
            assert all(parsed.text[c.start : c.end] == c.text for c in chunks)
        _, live = app.store.live_chunk_ids()
        assert len(live) == sum(row.num_chunks for row in rows)
        app.index.refresh()
        assert app.index.view().seq == app.store.last_seq()
        assert app.index.view().num_chunks == len(live)
    finally:
        app.close()


def test_forty_kills_lose_nothing_double_nothing_and_leave_nothing_half(tmp_path):
    rng = random.Random(20261121)
    folder, home = tmp_path / "pages", tmp_path / "home"
    folder.mkdir()
    for number in range(NUM_FILES):
        write(folder / f"page{number:03}.md", 0, rng)
    killed = 0
    for revision in range(1, NUM_KILLS + 1):
        process = start(folder, home)
        time.sleep(rng.uniform(0.3, 1.6))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        assert process.stderr is not None
        told = process.stderr.read().decode()
        process.stderr.close()
        assert "Traceback" not in told, told
        change_some(folder, revision, rng)
    assert killed >= NUM_KILLS // 2, "too few kills hit: the moments were chosen too late"
    last = start(folder, home)
    _, told = last.communicate(timeout=300)
    assert last.returncode == 0, told.decode()
    assert_whole(folder, home)


def test_two_processes_ingesting_the_same_folder_agree(tmp_path):
    rng = random.Random(7)
    folder, home = tmp_path / "pages", tmp_path / "home"
    folder.mkdir()
    for number in range(60):
        write(folder / f"page{number:03}.md", 0, rng)
    both = [start(folder, home), start(folder, home)]
    for process in both:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told.decode()
    assert_whole(folder, home)
