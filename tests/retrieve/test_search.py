"""One search: legs that fail or are late, deadlines, several collections, and reranking."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from steelyard.core.deadline import Deadline
from steelyard.core.documents import StoredChunk
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.ranking import (
    PUBLIC,
    Allowed,
    Hit,
    Query,
    Ranking,
    RerankPassage,
    Vector,
)
from steelyard.embed import HashingEmbedder
from steelyard.retrieve import QuestionEmbedder, Reranking, RetrieveOptions, Retriever
from steelyard.retrieve.reranking import Kept


def chunk(chunk_id: int, collection: str) -> StoredChunk:
    return StoredChunk(
        chunk_id=chunk_id,
        document_id=f"d{chunk_id}",
        uri=f"u:{chunk_id}",
        title="",
        collection=collection,
        text=f"text {chunk_id}",
        start=0,
        end=6,
        heading=(),
        page=None,
        updated_at=0.0,
        metadata={},
    )


@dataclass
class Corpus:
    """Index, view and truth in one: `legs` says what each leg of a collection returns or does."""

    legs: dict[str, object] = field(default_factory=dict)
    seq: int = 1
    fingerprint: str = HashingEmbedder(8).fingerprint

    def view(self) -> "Corpus":
        return self

    def allowed(self, query: Query) -> Allowed:
        return Allowed(classes=frozenset({ord(query.collection[0])}))

    def fetch(self, chunk_ids: Sequence[int], *, query: Query) -> list[StoredChunk]:
        first = 1000 * (ord(query.collection[0]) - ord("a"))
        return [chunk(i, query.collection) for i in chunk_ids if first <= i < first + 1000]

    def dense(self, vector: Vector, *, k: int, allowed: Allowed) -> Ranking:
        return self._leg("dense", allowed)

    def lexical(self, text: str, *, k: int, allowed: Allowed) -> Ranking:
        return self._leg("lexical", allowed)

    def _leg(self, kind: str, allowed: Allowed) -> Ranking:
        assert allowed.classes is not None
        [collection] = map(chr, allowed.classes)
        does = self.legs.get(f"{kind}:{collection}", ())
        if callable(does):
            does = does()
        return Ranking(tuple(Hit(i, 1.0 / (n + 1)) for n, i in enumerate(does)))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end, so that a leg which waits for it never outlives the test."""
    event = threading.Event()
    yield event
    event.set()


def retriever(corpus: Corpus, pool: ThreadPoolExecutor, **options) -> Retriever:
    options.setdefault("options", RetrieveOptions(leg_budget_s=60.0))  # machines may be busy
    return Retriever(
        questions=QuestionEmbedder(HashingEmbedder(8), pool=pool),
        index=corpus,
        reader=corpus,
        pool=pool,
        **options,
    )


def asked(*collections: str, k: int = 3) -> Query:
    first, *rest = collections or ("a",)
    return Query("what now", PUBLIC, k=k, collection=first, more_collections=tuple(rest))


def broken() -> Ranking:
    raise RuntimeError("a leg raises")


def test_a_leg_that_raises_is_left_out_and_named(pool) -> None:
    corpus = Corpus({"dense:a": broken, "lexical:a": (1, 2)})
    found = asyncio.run(retriever(corpus, pool).search(asked()))
    assert [one.chunk.chunk_id for one in found.found] == [1, 2]
    assert found.degraded == ("dense",)


def test_a_late_leg_is_left_out_and_named_and_nobody_waits_for_it(pool, gate) -> None:
    corpus = Corpus({"dense:a": lambda: gate.wait(20) and (), "lexical:a": (1, 2)})
    made = retriever(corpus, pool, options=RetrieveOptions(leg_budget_s=0.05))
    found = asyncio.run(made.search(asked()))
    assert found.degraded == ("dense",)
    assert found.pool == (1, 2)
    assert not gate.is_set()


def test_no_leg_in_time_is_an_error_that_names_the_deadline(pool, gate) -> None:
    corpus = Corpus({f"{kind}:a": lambda: gate.wait(20) and () for kind in ("dense", "lexical")})
    with pytest.raises(UpstreamError, match="deadline of 30 ms") as caught:
        asyncio.run(retriever(corpus, pool).search(asked(), deadline=Deadline(0.03)))
    assert caught.value.code == "deadline_exceeded"


def test_every_leg_failing_is_an_error_of_its_own(pool) -> None:
    corpus = Corpus({"dense:a": broken, "lexical:a": broken})
    with pytest.raises(UpstreamError) as caught:
        asyncio.run(retriever(corpus, pool).search(asked()))
    assert caught.value.code == "search_failed"


def test_a_deadline_of_zero_starts_no_work(pool) -> None:
    corpus = Corpus({"dense:a": (1,), "lexical:a": (1,)})
    with pytest.raises(UpstreamError, match="deadline of 0 ms"):
        asyncio.run(retriever(corpus, pool).search(asked(), deadline=Deadline(0.0)))


def test_without_time_for_the_dense_leg_the_lexical_one_answers_alone(pool) -> None:
    corpus = Corpus({"dense:a": (1,), "lexical:a": (2,)})
    made = retriever(corpus, pool)
    made._dense_s = 60.0  # as if dense legs had taken a minute lately
    found = asyncio.run(made.search(asked()))
    assert [one.chunk.chunk_id for one in found.found] == [2]
    [told] = found.degraded
    assert told.startswith("dense: skipped")
    for _ in range(100):  # and it is tried again one day
        if asyncio.run(made.search(asked())).degraded == ():
            return
    raise AssertionError("the dense leg is never tried again")


def test_collections_are_searched_at_once_and_merged_by_score(pool) -> None:
    both = threading.Barrier(4, timeout=60)  # passed only if all four legs run side by side

    def leg(*ids: int):
        def run() -> tuple[int, ...]:
            both.wait()
            return ids

        return run

    corpus = Corpus(
        {
            "dense:a": leg(1, 2),
            "dense:b": leg(1001),
            "lexical:a": leg(1),
            "lexical:b": leg(1001, 1002),
        }
    )
    made = retriever(corpus, pool, options=RetrieveOptions(leg_budget_s=60.0))
    found = asyncio.run(made.search(asked("a", "b", k=4)))
    assert {one.chunk.chunk_id for one in found.found} == {1, 2, 1001, 1002}
    assert [one.chunk.chunk_id for one in found.found][:2] == [1, 1001]
    assert {one.chunk.collection for one in found.found} == {"a", "b"}
    assert found.degraded == ()


def test_a_late_leg_of_one_collection_is_named_by_it(pool, gate) -> None:
    corpus = Corpus(
        {
            "dense:a": (1,),
            "lexical:a": (1,),
            "dense:b": (1001,),
            "lexical:b": lambda: gate.wait(20) and (),
        }
    )
    made = retriever(corpus, pool, options=RetrieveOptions(leg_budget_s=0.05))
    found = asyncio.run(made.search(asked("a", "b")))
    assert found.degraded == ("lexical:b",)
    assert {one.chunk.chunk_id for one in found.found} == {1, 1001}


def test_too_many_collections_are_refused(pool) -> None:
    with pytest.raises(InputError, match="collections"):
        asyncio.run(retriever(Corpus(), pool).search(asked(*(f"a{n}" for n in range(33)))))


def test_a_search_whose_caller_leaves_keeps_nothing_waiting(pool, gate) -> None:
    corpus = Corpus({f"{kind}:a": lambda: gate.wait(20) and () for kind in ("dense", "lexical")})
    questions = QuestionEmbedder(HashingEmbedder(8), pool=pool)
    made = Retriever(questions=questions, index=corpus, reader=corpus, pool=pool)

    async def leave() -> None:
        before = asyncio.all_tasks()
        tasks = [asyncio.create_task(made.search(asked())) for _ in range(20)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        assert questions.num_waiting == 0

    asyncio.run(leave())


class Reversing:
    """Prefers higher chunk ids, and scores at most `limit` of them."""

    model = "reversing"

    def __init__(self, limit: int = 99) -> None:
        self.limit = limit
        self.budgets: list[float] = []

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        self.budgets.append(budget_s)
        if self.limit < 0:
            raise UpstreamError("no answer from the reranker")
        return [float(p.chunk_id) for p in passages[: self.limit]]


def reranked(limit: int, pool: ThreadPoolExecutor, *, first_stage: float = 0.0):
    corpus = Corpus({"lexical:a": (1, 2, 3, 4), "dense:a": (1, 2, 3, 4)})
    kept = {1: np.array([5, 6], np.int32)}
    reranking = Reranking(
        Reversing(limit),
        pool_size=3,
        kept=lambda ids: Kept(token_ids=kept),
        workers=pool,
        first_stage=first_stage,
    )
    return asyncio.run(retriever(corpus, pool, reranking=reranking).search(asked(k=4)))


def test_the_pool_is_put_into_the_rerankers_order_and_the_rest_stays_behind(pool) -> None:
    found = reranked(99, pool)
    assert [one.chunk.chunk_id for one in found.found] == [3, 2, 1, 4]
    assert found.degraded == ()
    assert found.timings_ms["rerank"] >= 0
    assert found.pool == (1, 2, 3, 4)


def test_what_the_search_found_counts_beside_the_reranker_as_much_as_it_is_told(pool) -> None:
    plain = {one.chunk.chunk_id: one.score for one in reranked(99, pool).found[:3]}
    found = reranked(99, pool, first_stage=30.0).found
    # Both legs give 1, 1/2, 1/3 and 1/4, stretched to 1, 1/3, 1/9 and 0.
    assert [one.chunk.chunk_id for one in found] == [1, 2, 3, 4]
    added = [one.score - plain[one.chunk.chunk_id] for one in found[:3]]
    assert added == pytest.approx([30, 10, 10 / 3])


def test_what_the_deadline_left_unscored_keeps_its_place_behind_and_is_told(pool) -> None:
    found = reranked(2, pool)
    assert [one.chunk.chunk_id for one in found.found] == [2, 1, 3, 4]
    assert found.degraded == ("rerank: 2 of 3 passages within the deadline",)


def test_a_reranker_that_fails_leaves_the_fused_order(pool) -> None:
    found = reranked(-1, pool)
    assert [one.chunk.chunk_id for one in found.found] == [1, 2, 3, 4]
    assert found.degraded == ("rerank: no answer from the reranker",)


def test_ten_hits_are_the_first_of_fifty(pool) -> None:
    """What is measured on a long list is what is served on a short one."""
    corpus = Corpus({"dense:a": tuple(range(1, 51)), "lexical:a": tuple(range(30, 80))})
    made = retriever(corpus, pool)
    few, many = (
        [one.chunk.chunk_id for one in asyncio.run(made.search(asked("a", k=k))).found]
        for k in (10, 50)
    )
    assert few == many[:10]
