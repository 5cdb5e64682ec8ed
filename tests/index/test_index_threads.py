"""Questions from many threads while the index changes under them."""

import threading

import numpy as np
import pytest
from fake_index import unit

from steelyard.core.ranking import Allowed
from steelyard.index import IndexOptions
from steelyard.index.upkeep import Upkeep

ANY = Allowed()


def test_no_question_sees_a_half_applied_change(feed, open_shadows):
    """Pairs come and go together; a view must show both of a pair or none, in both legs."""
    pairs: dict[int, int] = {}  # those that went, too
    for number in range(30):
        first = feed.add(f"all pair{number}")
        pairs[first] = feed.add(f"all pair{number}")
    present = list(pairs)
    options = IndexOptions(tail_rows=16, expansion_search=16, lexical_heap_bytes=15_000_000)
    shadows = open_shadows(feed, options=options)
    stop, faults = threading.Event(), []

    def ask() -> None:
        vector = unit(3).astype(np.float32)
        while not stop.is_set():
            view = shadows.view()
            dense = set(view.dense(vector, k=1000, allowed=ANY).chunk_ids)
            lexical = set(view.lexical("all", k=1000, allowed=ANY).chunk_ids)
            halves = [
                first
                for first, second in list(pairs.items())
                if (first in dense) != (second in dense)
            ]
            if dense != lexical or halves:
                faults.append((view.seq, dense ^ lexical, halves))
                return

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for asker in askers:
        asker.start()
    for number in range(40):
        gone = present.pop(0)
        feed.remove(gone)
        feed.remove(pairs[gone])
        first = feed.add(f"all new{number}")
        pairs[first] = feed.add(f"all new{number}")
        present.append(first)
        shadows.refresh()
    stop.set()
    for asker in askers:
        asker.join()
    assert faults == []
    assert shadows.settle(timeout_s=30)
    assert shadows.view().num_chunks == 60


def test_refreshes_from_many_threads_apply_every_change_once(feed, open_shadows):
    shadows = open_shadows(feed)
    adding = threading.Lock()

    def write(name: str) -> None:
        for number in range(10):
            with adding:
                feed.add(f"all {name}{number}")
            shadows.refresh()

    writers = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert shadows.view().seq == feed.seq
    assert len(shadows.view().lexical("all", k=99, allowed=ANY).hits) == 40


def test_views_stay_usable_after_close(feed, open_shadows):
    feed.add("word")
    shadows = open_shadows(feed)
    view = shadows.view()
    shadows.close()
    assert view.lexical("word", k=1, allowed=ANY).chunk_ids == [1]
    assert view.dense(unit(1).astype(np.float32), k=1, allowed=ANY).chunk_ids == [1]
    shadows.close()


def test_background_snapshots_come_after_enough_changes(feed, open_shadows):
    options = IndexOptions(tail_rows=16, save_after_changes=20, lexical_heap_bytes=15_000_000)
    shadows = open_shadows(feed, options=options)
    manifest = shadows._place.directory / "manifest.json"
    assert not manifest.exists()
    for _ in range(25):
        feed.add("word")
    shadows.refresh()
    assert shadows.settle(timeout_s=30)
    assert manifest.exists()


def test_upkeep_that_fails_is_logged_and_tried_at_the_next_nudge(caplog):
    calls = []

    def job() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise RuntimeError("first time")

    upkeep = Upkeep(due=lambda: len(calls) < 2, job=job)
    upkeep.nudge()
    assert upkeep.settle(timeout_s=10)
    assert calls == [0]
    assert "first time" in caplog.text
    upkeep.nudge()
    assert upkeep.settle(timeout_s=10)
    assert calls == [0, 1]
    upkeep.stop()


def test_closing_breaks_off_a_merge(feed, open_shadows):
    for _ in range(3000):
        feed.add("")
    options = IndexOptions(tail_rows=8, lexical_heap_bytes=15_000_000)
    shadows = open_shadows(feed, options=options)
    shadows.close()
    assert shadows.view().dense_view.graph.covers < 3000


@pytest.mark.parametrize("leg", ["dense", "lexical"])
def test_more_askers_than_cores_are_served(feed, open_shadows, leg):
    for number in range(200):
        feed.add(f"word{number % 9}")
    shadows = open_shadows(feed)
    errors = []

    def ask() -> None:
        try:
            for number in range(30):
                if leg == "dense":
                    shadows.view().dense(unit(number).astype(np.float32), k=5, allowed=ANY)
                else:
                    shadows.view().lexical(f"word{number % 9}", k=5, allowed=ANY)
        except BaseException as error:
            errors.append(error)

    askers = [threading.Thread(target=ask) for _ in range(48)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert errors == []
