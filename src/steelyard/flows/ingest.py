"""A document's way: bytes → text → chunks → embeddings → one committed transaction.

The index follows the truth by itself (`flows/follow.py`).
"""

import asyncio
import hashlib
import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.core.documents import Chunk, Document, State
from steelyard.core.errors import InputError, ParseError, SteelyardError
from steelyard.core.protocols import Chunker, Embedder, Parser
from steelyard.flows.embedding import embed_texts
from steelyard.flows.work import Ended, Work
from steelyard.infra.concurrent import Workers, compute
from steelyard.store import KeptTokens, Pending, Replacement, Store

log = logging.getLogger(__name__)

NUM_PREPARING = 2  # documents read, parsed and chunked at once
NUM_EMBEDDING = 2  # batches in the encoder at once: one fills the gaps that the other leaves
AHEAD_CHUNKS = 512  # chunks that may wait for the encoder: bounds memory
BATCH_CHUNKS = 64  # chunks embedded, then committed together
SKIP_CODES = frozenset({"unsupported", "empty", "too_large"})
_OF_THE_INBOX = re.compile(r"^[0-9a-f]{32}-")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What turns bytes into embedded chunks; under another `name`, unchanged files are read
    again."""

    name: str
    parser: Parser
    chunker: Chunker
    embedder: Embedder


@dataclass(frozen=True, slots=True)
class _Prepared:
    job: Pending
    document: Document
    chunks: list[Chunk]
    recipe: str


@dataclass(frozen=True, slots=True)
class _Batch:
    """Prepared documents, the (N, D) vectors of each one's chunks by each embedder, of which `by`
    is the home's, and all its new token ids."""

    prepared: list[_Prepared]
    by: str
    vectors: dict[str, list[NDArray[np.float32]]]
    tokens: KeptTokens | None


class _Ahead:
    """Prepared documents, as many as `AHEAD_CHUNKS` allow, taken in batches of whole ones."""

    def __init__(self) -> None:
        self._waiting: deque[_Prepared] = deque()
        self._changed = asyncio.Condition()

    @property
    def num_chunks(self) -> int:
        return sum(len(one.chunks) for one in self._waiting)

    async def put(self, prepared: _Prepared) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.num_chunks < AHEAD_CHUNKS)
            self._waiting.append(prepared)
            self._changed.notify_all()

    async def take(self) -> list[_Prepared]:
        """Return one document or more, oldest first, up to some `BATCH_CHUNKS` chunks."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._waiting))
            batch = [self._waiting.popleft()]
            size = len(batch[0].chunks)
            while self._waiting and size + len(self._waiting[0].chunks) <= BATCH_CHUNKS:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].chunks)
            self._changed.notify_all()
        return batch


class _Unreadable(Exception):
    """A document that ends without being served; `sha256` recognises the same bytes again."""

    def __init__(self, error: SteelyardError, sha256: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.sha256 = sha256


class Ingest:
    """The pipeline: some documents are prepared ahead while one batch is embedded."""

    def __init__(
        self,
        *,
        store: Store,
        recipe: Callable[[], Recipe],
        beside: Callable[[], Embedder | None] = lambda: None,
        workers: Workers,
        work: Work,
        inbox: Path,
        on_commit: Callable[[], None],
    ) -> None:
        """Files in `inbox` are ours, and are removed when their document has ended.

        `recipe` and `beside`, a second embedder whose vectors are kept in step, are asked for
        again with each document and batch: both may change while it runs.
        """
        self._store = store
        self._recipe = recipe
        self._beside = beside
        self._workers = workers
        self._work = work
        self._inbox = inbox
        self._on_commit = on_commit
        self._ahead = _Ahead()
        self._embedded: asyncio.Queue[_Batch] = asyncio.Queue(1)

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            SetupError, Overloaded: the home cannot be written (a full disk, a lock). Nothing is
                lost: run it again to go on.
        """
        tasks = [asyncio.create_task(self._prepare_all()) for _ in range(NUM_PREPARING)]
        tasks += [asyncio.create_task(self._embed_all()) for _ in range(NUM_EMBEDDING)]
        tasks.append(asyncio.create_task(self._commit_all()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _prepare_all(self) -> None:
        while True:
            job = await self._work.take()
            try:
                prepared = await compute(self._workers.ingest, self._prepare, job)
            except _Unreadable as unreadable:
                await self._end_badly(job, unreadable.error, unreadable.sha256)
            except InputError as error:
                await self._end_badly(job, error)
            except (SteelyardError, asyncio.CancelledError):
                self._work.put_back(job)
                raise
            except Exception as error:  # a bug that one file meets must not stop the others
                log.exception("ingest_bug uri=%s", job.submission.uri)
                bug = ParseError(f"{type(error).__name__} while reading: {error}", code="crashed")
                await self._end_badly(job, bug)
            else:
                if prepared is None:
                    self._end(job, State.SEARCHABLE, unchanged=True)
                else:
                    await self._ahead.put(prepared)

    def _prepare(self, job: Pending) -> _Prepared | None:
        """Read, parse and chunk one document; None if it ended with the same bytes before."""
        submission, recipe = job.submission, self._recipe()
        content = _read(submission.path)
        sha256 = hashlib.sha256(content).hexdigest()
        same = self._store.unchanged(submission, sha256=sha256, recipe=recipe.name)
        if same and self._store.keep(job.ticket):
            return None
        self._store.set_state(job.ticket, State.PARSING)
        try:
            parsed = recipe.parser.parse(content, filename=_filename(submission.path))
            if submission.title:
                parsed = replace(parsed, title=submission.title)
            chunks = recipe.chunker.chunk(parsed)
            if not chunks:
                raise ParseError("there is no text in it", code="empty")
        except InputError as error:
            raise _Unreadable(error, sha256) from error
        self._store.set_state(job.ticket, State.EMBEDDING)
        document = Document(
            id=submission.id,
            uri=submission.uri,
            title=parsed.title,
            text=parsed.text,
            blocks=parsed.blocks,
            media_type=parsed.media_type,
            metadata={**parsed.metadata, **submission.metadata},
            groups=submission.groups,
            collection=submission.collection,
            sha256=sha256,
        )
        return _Prepared(job, document, chunks, recipe.name)

    async def _embed_all(self) -> None:
        while True:
            prepared = await self._ahead.take()
            try:
                batch = await compute(self._workers.ingest, self._embed, prepared)
                await self._embedded.put(batch)
            except (SteelyardError, asyncio.CancelledError):
                self._put_back(prepared)
                raise

    async def _commit_all(self) -> None:
        while True:
            batch = await self._embedded.get()
            try:
                superseded = await compute(self._workers.ingest, self._commit, batch)
            except InputError as error:
                for one in batch.prepared:
                    await self._end_badly(one.job, error)
            except (SteelyardError, asyncio.CancelledError):
                self._put_back(batch.prepared)
                raise
            else:
                self._on_commit()
                for one in batch.prepared:
                    late = one.job.ticket in superseded
                    self._end(
                        one.job,
                        State.SEARCHABLE,
                        num_chunks=0 if late else len(one.chunks),
                        superseded=late,
                    )

    def _put_back(self, prepared: Sequence[_Prepared]) -> None:
        for one in prepared:
            self._work.put_back(one.job)

    def _embed(self, prepared: list[_Prepared]) -> _Batch:
        """Embed documents as one batch, for the encoder's sake."""
        texts = [c.embedded_text(one.document.title) for one in prepared for c in one.chunks]
        ends = np.cumsum([len(one.chunks) for one in prepared])
        own, second = self._recipe().embedder, self._beside()
        embedded = embed_texts(self._store, own, texts)
        vectors = {own.fingerprint: np.split(embedded.vectors, ends[:-1])}
        if second is not None and second.fingerprint not in vectors:
            rows = embed_texts(self._store, second, texts).vectors
            vectors[second.fingerprint] = np.split(rows, ends[:-1])
        return _Batch(prepared, own.fingerprint, vectors, embedded.tokens)

    def _commit(self, batch: _Batch) -> set[object]:
        """Commit a batch in one transaction and return the tickets that had become void."""
        replacements = [
            Replacement(
                document=one.document,
                chunks=one.chunks,
                vectors=batch.vectors[batch.by][n],
                recipe=one.recipe,
                ticket=one.job.ticket,
                tokens=batch.tokens,
                by=batch.by,
                beside={by: rows[n] for by, rows in batch.vectors.items() if by != batch.by},
            )
            for n, one in enumerate(batch.prepared)
        ]
        return set(self._store.replace_many(replacements).superseded)

    async def _end_badly(self, job: Pending, error: SteelyardError, sha256: str = "") -> None:
        skipped = error.code in SKIP_CODES
        settle = self._store.skip if skipped else self._store.fail
        counted = await compute(
            self._workers.ingest,
            settle,
            job.ticket,
            error.message,
            sha256=sha256,
            recipe=self._recipe().name,
        )
        state = State.SKIPPED if skipped else State.FAILED
        self._end(job, state, error=error.message, superseded=not counted)

    def _end(self, job: Pending, state: State, **details: object) -> None:
        path = Path(job.submission.path or "")
        if path.parent == self._inbox:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._work.end(Ended(job.ticket, job.submission.uri, state, **details))  # type: ignore[arg-type]


def _filename(path: str | None) -> str:
    """Return the name that a document came with: an untitled one is called after it."""
    return _OF_THE_INBOX.sub("", Path(path or "").name)


def _read(path: str | None) -> bytes:
    """Raises ParseError(code="unreadable"): the bytes are not there, or not for us."""
    try:
        return Path(path or "").read_bytes()
    except OSError as error:
        raise ParseError(f"cannot be read: {error.strerror or error}", code="unreadable") from error
