"""The batcher: order, sharing, skipping, failing alone, and never losing a lane."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.infra.batching import Batcher, BatchSize


class Gate:
    """A `run` that waits until it is let go, and remembers its batches."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []

    def __call__(self, items: Sequence[str]) -> Iterator[str]:
        self.batches.append(list(items))
        self.entered.set()
        assert self.open.wait(20)
        for item in items:
            if item.startswith("bad"):
                raise ValueError(item)
            yield item.upper()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def batcher(run, pool, *, lanes: int = 1, max_weight: int = 4, **options) -> Batcher[str, str]:
    return Batcher(run, pool=pool, lanes=lanes, max_weight=max_weight, **options)


def same(out: str) -> str:
    return out


async def first_running(gate: Gate, made: Batcher[str, str]) -> "asyncio.Task[str]":
    first = asyncio.create_task(made.submit("first", then=same))
    assert await asyncio.to_thread(gate.entered.wait, 20)
    return first


def test_a_lone_item_starts_at_once_and_the_next_batch_forms_behind_it(pool) -> None:
    gate, sizes = Gate(), list[BatchSize]()

    async def ask() -> list[str]:
        made = batcher(gate, pool, observe=sizes.append)
        first = await first_running(gate, made)
        others = [asyncio.create_task(made.submit(f"n{i}", then=same)) for i in range(6)]
        await asyncio.sleep(0)
        assert made.num_waiting == 6
        gate.open.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(ask()) == ["FIRST", "N0", "N1", "N2", "N3", "N4", "N5"]
    assert gate.batches == [["first"], ["n0", "n1", "n2", "n3"], ["n4", "n5"]]
    assert sizes == [BatchSize(1, 1, 0), BatchSize(4, 4, 2), BatchSize(2, 2, 0)]


def test_a_batch_holds_at_most_its_weight_and_a_heavier_item_runs_alone(pool) -> None:
    gate = Gate()

    async def ask() -> None:
        made = batcher(gate, pool, weigh=len)
        first = await first_running(gate, made)
        words = ["a", "bb", "cc", "ddddddd", "e"]
        others = [asyncio.create_task(made.submit(word, then=same)) for word in words]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert gate.batches == [["first"], ["a", "bb"], ["cc"], ["ddddddd"], ["e"]]


def test_equal_keys_share_one_run(pool) -> None:
    gate = Gate()

    async def ask() -> list[str]:
        made = batcher(gate, pool)
        first = await first_running(gate, made)
        others = [asyncio.create_task(made.submit("same", then=same, key="k")) for _ in range(5)]
        await asyncio.sleep(0)
        gate.open.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(ask()) == ["FIRST", *["SAME"] * 5]
    assert gate.batches == [["first"], ["same"]]


def test_an_item_that_nobody_waits_for_is_skipped(pool) -> None:
    gate = Gate()

    async def ask() -> None:
        made = batcher(gate, pool)
        first = await first_running(gate, made)
        gone = asyncio.create_task(made.submit("gone", then=same, key="gone"))
        half = [asyncio.create_task(made.submit("half", then=same, key="half")) for _ in range(2)]
        await asyncio.sleep(0)
        gone.cancel()
        half[0].cancel()
        await asyncio.gather(gone, half[0], return_exceptions=True)
        gate.open.set()
        assert await half[1] == "HALF"
        assert await first == "FIRST"
        assert await made.submit("gone", then=same, key="gone") == "GONE"

    asyncio.run(ask())
    assert gate.batches == [["first"], ["half"], ["gone"]]


def test_an_item_that_fails_fails_alone(pool) -> None:
    gate = Gate()

    async def ask() -> list[object]:
        made = batcher(gate, pool)
        first = await first_running(gate, made)
        others = [
            asyncio.create_task(made.submit(item, then=same)) for item in ("a", "bad", "c", "d")
        ]
        await asyncio.sleep(0)
        gate.open.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, a, bad, c, d = asyncio.run(ask())
    assert [first, a, c, d] == ["FIRST", "A", "C", "D"]
    assert isinstance(bad, ValueError)
    assert gate.batches[1:] == [["a", "bad", "c", "d"], ["c", "d"]]


def test_then_runs_on_the_worker_and_its_error_is_the_callers(pool) -> None:
    async def ask() -> tuple[str, object]:
        made = batcher(lambda items: (item for item in items), pool)
        name = await made.submit("x", then=lambda _: threading.current_thread().name)
        failed = await asyncio.gather(
            made.submit("x", then=lambda out: 1 / len(out[1:])), return_exceptions=True
        )
        return name, failed[0]

    name, failed = asyncio.run(ask())
    assert name != threading.main_thread().name
    assert isinstance(failed, ZeroDivisionError)


def test_a_pool_that_was_shut_down_raises_and_keeps_no_lane(pool) -> None:
    made = batcher(lambda items: iter(items), pool)
    pool.shutdown()

    async def ask() -> None:
        for _ in range(3):  # were the lane lost, the second would wait for ever
            with pytest.raises(RuntimeError):
                await made.submit("x", then=same)

    asyncio.run(ask())


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30), st.integers(1, 3))
def test_every_caller_gets_its_own_result_whoever_leaves(
    asked: list[tuple[int, bool]], lanes: int
) -> None:
    with ThreadPoolExecutor(3) as pool:

        async def ask() -> None:
            made = Batcher(
                lambda items: (item * 10 for item in items),
                pool=pool,
                lanes=lanes,
                max_weight=3,
            )
            tasks = [
                asyncio.create_task(made.submit(n, then=lambda out: out + 1, key=n))
                for n, _ in asked
            ]
            await asyncio.sleep(0)
            for task, (_, leaves) in zip(tasks, asked, strict=True):
                if leaves:
                    task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            for result, (n, leaves) in zip(done, asked, strict=True):
                if not leaves:
                    assert result == n * 10 + 1
            assert made.num_waiting == 0
            assert await made.submit(7, then=lambda out: out) == 70

        asyncio.run(ask())
