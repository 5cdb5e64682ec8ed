"""Processes that are killed while they write, and processes that write at once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

from steelyard.core.ranking import PUBLIC, Query
from steelyard.store import OPERATOR, Store

# Replaces, submits and deletes for ever. A version's chunks all carry its number, so a
# half-written version shows.
_WRITER = """
import random, sys
from pathlib import Path
import numpy as np
from steelyard.core.documents import Chunk, Document, State
from steelyard.core.errors import NotFound
from steelyard.store import OPERATOR, Replacement, Store, Submission

path, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = random.Random(name)
store = Store.open(path)
store.claim_embedder("toy-1", 8)
print("ready", flush=True)

def version(id, n, ticket):
    parts = [f"{name} {n} {k}" for k in range(rng.randint(1, 12))]
    text, chunks, at = "\\n".join(parts), [], 0
    for k, part in enumerate(parts):
        chunks.append(Chunk(k, at, at + len(part), part))
        at += len(part) + 1
    document = Document(id, f"file:///{id}", "", text, sha256=f"{name} {n}")
    return Replacement(document, chunks, np.eye(8, dtype=np.float32)[[0] * len(parts)], "r", ticket)

for n in range(rounds):
    ids = rng.sample([f"d{i}" for i in range(12)], 3)
    tickets = store.submit_many([Submission(id, f"file:///{id}") for id in ids], principal=OPERATOR)
    store.set_state(tickets[0], State.EMBEDDING)
    commit = store.replace_many([version(t.id, n, t) for t in tickets])
    if rng.random() < 0.3:
        try:
            store.delete("default", ids[:1], principal=OPERATOR)
        except NotFound:
            pass
    print(commit.seq, flush=True)
store.close()
print("done", flush=True)
"""


def _start(path, name, rounds):
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), name, str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _assert_whole(store):
    """Every document is one version's chunks, complete, and the log leads to the live set."""
    assert store.check() == []
    rows = store.documents(principal=OPERATOR, limit=1000).rows
    assert len({row.id for row in rows}) == len(rows)
    listed = []
    for row in rows:
        if row.num_chunks:
            text = store.text("default", row.id, principal=OPERATOR)
            chunks = store.chunks_of("default", row.id, principal=OPERATOR)
            assert [c.text for c in chunks] == text.split("\n")
            assert len({c.text.rsplit(" ", 1)[0] for c in chunks}) == 1
            listed += [c.chunk_id for c in chunks]
    seq, live = store.live_chunk_ids()
    assert sorted(listed) == live.tolist()
    assert len(store.fetch(listed, query=Query("q", PUBLIC))) == len(listed)
    return seq, live


def test_kill_9_at_random_moments_leaves_whole_versions_and_every_acknowledged_write(path):
    rng = random.Random(7)
    with Store.open(path) as store:
        floor = store.last_seq()
        live: set[int] = set()
        after = floor
        for attempt in range(8):
            child = _start(path, f"w{attempt}", 100_000)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.25))
            child.send_signal(signal.SIGKILL)
            acknowledged = [int(line) for line in child.stdout if line.strip().isdigit()]
            child.wait()
            child.stdout.close()
            seq, ids = _assert_whole(store)
            assert seq >= max(acknowledged, default=floor)
            for step in store.changes(after=after, limit=1_000_000):
                (live.add if step.added else live.remove)(step.chunk_id)
            after = seq
            assert live == set(ids.tolist())
        with Store.open(path) as reopened:
            assert reopened.live_chunk_ids()[1].tolist() == sorted(live)
            for pending in reopened.pending():
                assert pending.submission.uri == f"file:///{pending.ticket.id}"


def test_two_processes_and_two_threads_write_at_once_and_all_of_it_counts(path, draft):
    with Store.open(path) as store:
        store.claim_embedder("toy-1", 8)
        children = [_start(path, name, 40) for name in ("left", "right")]
        failures: list[Exception] = []

        def write(name):
            try:
                for n in range(40):
                    store.replace(draft(f"{name}{n % 5}", f"{name} {n} 0"))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(name,)) for name in ("x", "y")]
        for thread in threads:
            thread.start()
        outputs = [child.communicate(timeout=60)[0] for child in children]
        for thread in threads:
            thread.join()
        assert failures == []
        for child, output in zip(children, outputs, strict=True):
            assert child.returncode == 0
            assert output.endswith("done\n")
        _assert_whole(store)
        for name in ("x", "y"):
            for n in range(5):
                assert store.text("default", f"{name}{n}", principal=PUBLIC) == f"{name} {n + 35} 0"


def test_readers_see_only_whole_versions_while_a_writer_works(path, draft):
    with Store.open(path) as store:
        store.claim_embedder("toy-1", 8)
        store.replace(draft("a", *(f"0 {k}" for k in range(5))))
        done = threading.Event()
        torn: list[object] = []

        def read():
            while not done.is_set():
                chunks = store.chunks_of("default", "a", principal=PUBLIC)
                versions = {chunk.text.split()[0] for chunk in chunks}
                if len(versions) != 1 or len(chunks) != 5:
                    torn.append([chunk.text for chunk in chunks])
                _, ids = store.live_chunk_ids()
                if len(ids) != 5:
                    torn.append(ids)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for n in range(1, 60):
            store.replace(draft("a", *(f"{n} {k}" for k in range(5))))
        done.set()
        for reader in readers:
            reader.join()
        assert torn == []
