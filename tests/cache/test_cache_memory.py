"""Kept answers: found, foreign, old, too many, too large."""

import threading
import tracemalloc

import numpy as np
import pytest
from kept import Clock, make_answer, make_entry, unit

from steelyard.cache import AnswerCache, CacheOptions


def test_question_written_the_same_is_found_and_another_is_not():
    cache = AnswerCache(clock=Clock())
    cache.put(make_entry("How many days?"))
    assert cache.exact("s", "how many  days").answer.id == "a1"
    assert cache.exact("s", "How many weeks?") is None


def test_another_scope_finds_nothing():
    cache = AnswerCache(clock=Clock())
    cache.put(make_entry("q?", scope="staff", vector=unit(1)))
    assert cache.exact("public", "q?") is None
    assert cache.nearest("public", unit(1), at_least=0.0, limit=5) == []


def test_nearest_gives_the_best_first_and_only_above_the_threshold():
    cache = AnswerCache(clock=Clock())
    for name, vector in (("far", unit(0, 1)), ("near", unit(4, 1)), ("equal", unit(1))):
        cache.put(make_entry(name, vector=vector))
    near = cache.nearest("s", unit(1), at_least=0.9, limit=5)
    assert [one.entry.question for one in near] == ["equal", "near"]
    assert near[1].cosine == pytest.approx(4 / 17**0.5, abs=1e-6)
    assert len(cache.nearest("s", unit(1), at_least=0.0, limit=1)) == 1


def test_equally_near_entries_come_in_the_order_of_their_questions():
    cache = AnswerCache(clock=Clock())
    for name in "cab":
        cache.put(make_entry(name, vector=unit(1)))
    near = cache.nearest("s", unit(1), at_least=0.5, limit=2)
    assert [one.entry.question for one in near] == ["a", "b"]


def test_entry_older_than_its_time_is_never_found_and_is_counted():
    clock = Clock()
    cache = AnswerCache(CacheOptions(ttl_s=10), clock=clock)
    cache.put(make_entry("q", vector=unit(1)))
    clock.now = 9.9
    assert cache.exact("s", "q") is not None
    clock.now = 10.0
    assert cache.nearest("s", unit(1), at_least=0, limit=1) == []
    assert cache.exact("s", "q") is None
    assert cache.stats().expired == 1
    assert cache.stats().bytes == 0


def test_entry_from_the_future_lives_no_longer_than_others():
    clock = Clock()
    cache = AnswerCache(CacheOptions(ttl_s=10), clock=clock)
    cache.put(make_entry("q", created_at=1e9))
    clock.now = 10.0
    assert cache.exact("s", "q") is None


def test_least_recently_served_goes_first():
    cache = AnswerCache(CacheOptions(max_entries=2), clock=Clock())
    cache.put(make_entry("a"))
    cache.put(make_entry("b"))
    cache.exact("s", "a")
    cache.put(make_entry("c"))
    assert cache.exact("s", "b") is None
    assert cache.exact("s", "a") is not None
    assert cache.stats().evictions == 1


def test_entry_larger_than_the_cache_is_not_kept_and_evicts_nobody():
    cache = AnswerCache(CacheOptions(max_mb=1), clock=Clock())
    cache.put(make_entry("a"))
    cache.put(make_entry("b", answer=make_answer(text="x" * 1_100_000)))
    assert cache.exact("s", "b") is None
    assert cache.exact("s", "a") is not None


def test_newer_answer_replaces_the_older_one():
    cache = AnswerCache(clock=Clock())
    cache.put(make_entry(vector=unit(1)))
    cache.put(make_entry(vector=unit(0, 1), answer=make_answer("a2")))
    assert cache.stats().entries == 1
    assert cache.nearest("s", unit(1), at_least=0.5, limit=5) == []
    assert cache.nearest("s", unit(0, 1), at_least=0.5, limit=5)[0].entry.answer.id == "a2"


def test_drop_of_an_old_answer_leaves_the_newer_one():
    cache = AnswerCache(clock=Clock())
    old = make_entry()
    cache.put(old)
    cache.put(make_entry(answer=make_answer("a2")))
    cache.drop(old)
    assert cache.exact("s", "How many days?").answer.id == "a2"


def test_validated_moves_the_snapshot_forward_only():
    cache = AnswerCache(clock=Clock())
    entry = make_entry(snapshot=3)
    cache.put(entry)
    assert cache.validated(entry, 9).snapshot == 9
    assert cache.validated(entry, 4).snapshot == 9
    cache.drop(entry)
    assert cache.exact("s", "How many days?") is None


def test_vectors_that_are_no_vectors_are_found_by_text_only():
    cache = AnswerCache(clock=Clock())
    cache.put(make_entry("good", vector=unit(1)))
    cache.put(make_entry("short", vector=np.ones(3, np.float32)))
    cache.put(make_entry("nan", vector=np.full(8, np.nan, np.float32)))
    assert len(cache.nearest("s", unit(1), at_least=-1, limit=9)) == 1
    assert cache.nearest("s", np.ones(3, np.float32), at_least=-1, limit=9) == []
    assert cache.exact("s", "nan") is not None


def test_the_listener_hears_what_is_put_and_not_what_is_adopted():
    cache, heard = AnswerCache(clock=Clock()), []
    cache.listen(heard.append)
    cache.put(make_entry("a"))
    cache.adopt(make_entry("b"))
    assert [entry.question for entry in heard] == ["a"]


def test_the_bytes_are_an_honest_estimate():
    cache = AnswerCache(clock=Clock())
    tracemalloc.start()
    for number in range(500):
        answer = make_answer(f"a{number}", text=f"{number} " * 200)
        vector = np.random.default_rng(number).random(384, np.float32)
        cache.put(make_entry(f"question {number}", vector=vector, answer=answer))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.7 * held < cache.stats().bytes < 1.5 * held


def test_threads_do_not_disturb_each_other():
    cache = AnswerCache(CacheOptions(max_entries=20), clock=Clock())
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        try:
            for step in range(300):
                name = f"q{random.integers(40)}"
                entry = make_entry(name, vector=unit(*random.random(8)))
                cache.put(entry)
                for near in cache.nearest("s", unit(1), at_least=0.1, limit=3):
                    cache.validated(near.entry, step)
                cache.exact("s", name)
                cache.drop(entry)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    cache.clear()
    assert cache.stats().bytes == cache.stats().entries == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "of"},
        {"threshold": 1.5},
        {"threshold": float("nan")},
        {"max_entries": 0},
        {"max_mb": 0},
        {"ttl_s": 0.0},
        {"url": "http://x"},
    ],
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong)) if "url" not in wrong else "redis://"):
        CacheOptions(**wrong)
