"""Questions to vectors: remembered, shared between equal ones, and batched across requests."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from steelyard.core.protocols import Embedder
from steelyard.core.ranking import Vector
from steelyard.infra.batching import Batcher, BatchSize
from steelyard.infra.concurrent import compute

R = TypeVar("R")

MAX_REMEMBERED = 1024  # 2 MB at 384 dimensions, which a server soon reaches: it grows no more
LANES = 2  # runs at once: more only share the same cores
MAX_BATCH_TOKENS = 128
CHARACTERS_PER_TOKEN = 4


class QuestionEmbedder:
    """Embeds questions of many requests.

    Within a batch each question is run alone: int8 activations are scaled by the largest value
    of a run, so that a shared run would make a vector depend on its neighbours, and it measured
    no faster (bench/LOG.md). What a batch saves is hand-overs between threads.
    """

    def __init__(self, embedder: Embedder, *, pool: ThreadPoolExecutor) -> None:
        self._embedder = embedder
        self._pool = pool
        self._known: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()
        self._batcher: Batcher[str, Vector] = Batcher(
            self._run, pool=pool, lanes=LANES, max_weight=MAX_BATCH_TOKENS, weigh=_num_tokens
        )

    def watch(self, observe: Callable[[BatchSize], None]) -> None:
        """Tell `observe` of every batch from now on."""
        self._batcher.observe = observe

    @property
    def fingerprint(self) -> str:
        """Whose vectors these are."""
        return self._embedder.fingerprint

    @property
    def num_waiting(self) -> int:
        return self._batcher.num_waiting

    async def embed(self, text: str, *, then: Callable[[Vector], R]) -> R:
        """Return `then(vector)` of the question's unit vector; `then` runs on a worker."""
        vector = self._remembered(text)
        if vector is not None:
            return await compute(self._pool, then, vector)
        return await self._batcher.submit(text, then=then, key=text)

    async def vector(self, text: str) -> Vector:
        """Return the question's unit vector (D,)."""
        vector = self._remembered(text)
        if vector is not None:
            return vector
        return await self._batcher.submit(text, then=lambda made: made, key=text)

    def _run(self, texts: Sequence[str]) -> Iterator[Vector]:
        for text in texts:
            vector = self._embedder.embed_query(text)
            vector.setflags(write=False)
            with self._lock:
                self._known[text] = vector
                while len(self._known) > MAX_REMEMBERED:
                    self._known.popitem(last=False)
            yield vector

    def _remembered(self, text: str) -> Vector | None:
        with self._lock:
            vector = self._known.get(text)
            if vector is not None:
                self._known.move_to_end(text)
            return vector


def _num_tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1
