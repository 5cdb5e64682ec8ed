"""A second embedder beside the home's: every live chunk embedded, its index kept in step, checked.

Nothing is lost by a kill: what was embedded is kept by text hash, and an index that is torn or
behind is made again from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from steelyard.core.errors import Overloaded, SetupError
from steelyard.core.protocols import Embedder
from steelyard.core.ranking import Allowed, Matrix
from steelyard.flows.embedding import embed_missing
from steelyard.index import Shadows
from steelyard.infra.concurrent import Workers, compute
from steelyard.store import Store

SLICE_CHUNKS = 64  # a fraction of a second: how late a cancellation may be
SAMPLE = 200  # chunks that must find themselves
AGAIN = 16  # of them are embedded again, to be compared with what is kept
SETTLE_S = 600.0
_SAME_COSINE = 0.995  # of a text embedded twice; float16 and int8 stay above
_FOUND = 1e-3  # equal texts share a rank: the one found may be another with the same vector
RED = "red_probe"


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a second embedder: how many of the chunks that lacked a vector have one."""

    done: int
    total: int


class InStep:
    """Keeps a second embedder's vectors and index in step with the truth."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        *,
        workers: Workers,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._workers = workers
        self._told = told
        self._last_id = -1
        self._done = 0

    async def embed(self) -> int:
        """Embed what lacks a vector, until nothing does; return how many. Stops between slices."""
        pool, num = self._workers.ingest, 0
        first = self._last_id == -1
        fingerprint = self._embedder.fingerprint
        total = await compute(pool, self._store.num_unembedded, fingerprint) if first else 0
        while True:
            made = await compute(
                pool, embed_missing, self._store, self._embedder,
                after=self._last_id, limit=SLICE_CHUNKS,
            )  # fmt: skip
            if made is None:
                return num
            self._last_id = made.last_id
            num += made.num
            if first:
                self._done += made.num
                self._told(Progress(self._done, max(total, self._done)))

    def look_everywhere(self) -> None:
        """Begin anew at the first chunk: something lacks a vector that should have one."""
        self._last_id = -1

    async def catch_up(self, index: Callable[[], Shadows]) -> None:
        """Embed and index until the index stands where the truth does; `index` opens it."""
        while True:
            await self.embed()
            try:
                made = await compute(self._workers.ingest, index)
                await compute(self._workers.ingest, made.refresh)
            except Overloaded as error:
                if error.code != "unembedded":
                    raise
                self.look_everywhere()
                continue
            if made.view().seq == self._store.last_seq():
                return


def sampled(store: Store) -> list[int]:
    """Return ids of live chunks, which an index brought up to date after this must find."""
    _, live = store.live_chunk_ids()
    chosen = np.random.default_rng(len(live)).permutation(len(live))[:SAMPLE]
    return [int(chunk_id) for chunk_id in np.sort(live[chosen])]


def check_index(
    store: Store, embedder: Embedder, index: Shadows, *, chunk_ids: Sequence[int]
) -> int:
    """Check that those of `chunk_ids` that are still live find themselves; blocking.

    Return how many were asked. `index` must have seen every one of them: it was brought up to
    date after they were `sampled`; what is written meanwhile is none of its business.

    Raises:
        SetupError: one does not, or its kept vector is not what the embedder gives (code
            `red_probe`).
    """
    rows = store.vectors_by(embedder.fingerprint).rows(chunk_ids)
    view, vectors = index.view(), rows.vectors.astype(np.float32)
    missing: list[int] = []
    for chunk_id, vector in zip(rows.chunk_ids.tolist(), vectors, strict=True):
        hits = view.dense(vector, k=1, allowed=Allowed()).hits
        if not hits or (hits[0].chunk_id != chunk_id and hits[0].score < 1 - _FOUND):
            missing.append(chunk_id)
    lost = set(missing) & set(store.live_chunk_ids()[1].tolist()) if missing else set()
    if lost:
        raise SetupError(
            f"chunk {min(lost)} does not find itself in the index of {embedder.fingerprint!r}; "
            "run `steelyard embedder cancel`, then `steelyard embedder switch` again",
            code=RED,
        )
    if len(vectors):
        _check_again(embedder, rows.texts[:AGAIN], vectors[:AGAIN])
    return len(rows.chunk_ids)


def _check_again(embedder: Embedder, texts: Sequence[str], kept: Matrix) -> None:
    made = embedder.embed_passages(texts)
    cosines = np.sum(made * kept, axis=1)
    if not bool(np.all(np.isfinite(made))) or float(cosines.min()) < _SAME_COSINE:
        raise SetupError(
            f"embedder {embedder.fingerprint!r} gives other vectors than it gave before (cosine "
            f"{float(cosines.min()):.4f}); run `steelyard embedder cancel`, then `steelyard "
            "embedder switch` again",
            code=RED,
        )
