"""Settings → live parts → flows: the only place that names concrete classes.

Parts are made when they are first used, so that listing documents loads no model.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from steelyard.cache import AnswerCache
from steelyard.cache.meaning import Meaning, guard
from steelyard.cache.shared import SharedCache
from steelyard.chunk import CHUNKER_VERSION, StructureChunker
from steelyard.core.chat import Answer
from steelyard.core.documents import DEFAULT_COLLECTION, PUBLIC_GROUP, StoredChunk
from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import Embedder, Generator, Reranker
from steelyard.core.ranking import Query
from steelyard.flows.answer import Answering
from steelyard.flows.cached import CachedAnswers
from steelyard.flows.embedding import embed_again
from steelyard.flows.follow import TruthFollower, Vanished, follow_files
from steelyard.flows.ingest import Ingest, Recipe
from steelyard.flows.library import Library, Synced
from steelyard.flows.sharing import open_shared
from steelyard.flows.sources import example_questions, path_of, resolve_roots
from steelyard.flows.work import Ended, Work
from steelyard.generate import (
    ExtractiveGenerator,
    cite,
)
from steelyard.index import Shadows
from steelyard.infra.concurrent import Workers, compute
from steelyard.parse import PARSER_VERSION, FileParser
from steelyard.parts import (
    Status,
    bundle_name,
    kept_token_ids,
    llm_problem,
    make_embedder,
    make_generator,
    make_reranker,
    offers,
)
from steelyard.retrieve import ContextBuilder, QuestionEmbedder, Reranking, Retriever
from steelyard.settings import Loaded, load_settings
from steelyard.store import Store
from steelyard.version import __version__

log = logging.getLogger(__name__)

RETRY_S = 5.0
DATABASE = "steelyard.db"


def open_app(home: Path, *, flags: Mapping[str, Any] | None = None) -> "App":
    """Open or create a home.

    Raises:
        SetupError: the settings are wrong, or the home cannot be opened; says what to do.
    """
    return App(home.expanduser().absolute(), load_settings(home, flags=flags))


class App:
    """One open home. Not async itself; `working` runs the background tasks of a server."""

    def __init__(self, home: Path, loaded: Loaded) -> None:
        self.home = home
        self.settings = loaded.settings
        self.store = Store.open(home / DATABASE)
        self.workers = Workers()
        self.work = Work()
        self.vanished = Vanished()
        self._roots: list[Path] = []

    @cached_property
    def embedder(self) -> Embedder:
        made = make_embedder(self.settings)
        self.store.claim_embedder(made.fingerprint, made.dim)
        return made

    @cached_property
    def index(self) -> Shadows:
        embedder = self.embedder
        return Shadows.open(
            self.home / "index",
            self.store,
            dim=embedder.dim,
            fingerprint=embedder.fingerprint,
            options=self.settings.index,
        )

    @cached_property
    def parser(self) -> FileParser:
        return FileParser(self.settings.parse)

    @cached_property
    def library(self) -> Library:
        return Library(
            store=self.store,
            work=self.work,
            workers=self.workers,
            inbox=self.home / "inbox",
            recipe=lambda: self.recipe.name,
            catch_up=lambda: self.index.refresh(),
        )

    @cached_property
    def questions(self) -> QuestionEmbedder:
        return QuestionEmbedder(self.embedder, pool=self.workers.query)

    @cached_property
    def retriever(self) -> Retriever:
        def is_gone(chunk: StoredChunk) -> bool:
            return self.vanished(chunk.uri)

        return Retriever(
            questions=self.questions,
            index=self.index,
            reader=self.store,
            pool=self.workers.query,
            options=self.settings.retrieve,
            reranking=self.reranking,
            is_gone=is_gone,
        )

    @cached_property
    def extractive(self) -> Generator:
        return ExtractiveGenerator(self.embedder, pool=self.workers.query)

    @cached_property
    def generator(self) -> Generator:
        made = make_generator(self.settings, tokenizer=self.embedder.tokenizer)
        return made or self.extractive

    @cached_property
    def reranker(self) -> Reranker | None:
        return make_reranker(self.settings)

    @cached_property
    def reranking(self) -> Reranking | None:
        if (reranker := self.reranker) is None:
            return None
        return Reranking(
            reranker,
            pool_size=self.settings.rerank.pool,
            token_ids=kept_token_ids(reranker, self.store),
            workers=self.workers.query,
        )

    @cached_property
    def context(self) -> ContextBuilder:
        return ContextBuilder(
            reader=self.store,
            tokenizer=self.embedder.tokenizer,
            pool=self.workers.query,
            options=self.settings.context,
        )

    @cached_property
    def cached(self) -> CachedAnswers:
        options = self.settings.cache
        return CachedAnswers(
            AnswerCache(options),
            meaning=Meaning(threshold=options.threshold),
            questions=self.questions,
            pool=self.workers.query,
            retriever=self.retriever,
            last_seq=self.store.last_seq,
            is_gone=self.vanished,
            bundle=self.bundle,
        )

    @cached_property
    def shared(self) -> SharedCache | None:
        url, database = self.settings.cache.url, self.home / DATABASE
        if not url:
            return None
        return open_shared(url, self.cached.cache, home=self.home, database=database)

    @cached_property
    def answering(self) -> Answering:
        generator = self.generator
        return Answering(
            retriever=self.retriever,
            cached=self.cached,
            context=self.context,
            generator=generator,
            fallback=None if generator is self.extractive else self.extractive,
            cite=cite,
            bundle=self.bundle,
            log_answer=self._log_answer,
        )

    def _warm_up(self) -> None:
        """Make what a first question would wait for."""
        _ = self.retriever
        guard("warm", "up")  # reads its word lists

    def _log_answer(self, query: Query, answer: Answer) -> None:
        """Log an answer without making anybody wait for the disk."""

        def write() -> None:
            try:
                self.store.log_answer(query, answer)
            except SteelyardError as error:
                log.warning("answer_not_logged reason=%s", error)

        self.workers.query.submit(write)

    @cached_property
    def bundle(self) -> str:
        """Names everything that shapes an answer, except the documents."""
        return bundle_name(self.settings, self.recipe.name, self.generator.model)

    @cached_property
    def recipe(self) -> Recipe:
        chunk = self.settings.chunk
        parts = (PARSER_VERSION, CHUNKER_VERSION, repr(chunk), self.embedder.fingerprint)
        return Recipe(
            name=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32],
            parser=self.parser,
            chunker=StructureChunker(self.embedder.tokenizer, chunk),
            embedder=self.embedder,
        )

    def close(self) -> None:
        """Save the index, stop every worker, and close the home."""
        made = self.__dict__
        self.workers.close()
        for name in ("parser", "index"):
            if name in made:
                made[name].close()
        self.store.close()

    @asynccontextmanager
    async def working(self, paths: Sequence[str | Path] = ()) -> AsyncIterator[None]:
        """Run what a server needs in the background; `paths` are ingested and watched.

        Raises:
            InputError: a path does not exist.
        """
        roots = resolve_roots(paths)
        await asyncio.gather(
            compute(self.workers.query, self._warm_up),
            compute(self.workers.ingest, lambda: self.parser),
        )
        self._roots = roots
        self.vanished.watch(roots, path_of)
        follower = TruthFollower(self.store, self.index, self.workers)
        jobs = [self._keep_ingesting(follower), follower.run(), self._keep_up(roots)]
        if self.shared is not None:
            jobs.append(self.shared.run())
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.aclose()

    async def aclose(self) -> None:
        """Close connections, threads and child processes of the models; before `close`."""
        for name in ("generator", "reranker"):
            if aclose := getattr(self.__dict__.get(name), "aclose", None):
                await aclose()

    async def _keep_ingesting(self, follower: TruthFollower) -> None:
        """Run the pipeline; when the home cannot be written, say why and try again."""
        ingest = self._ingest(follower)
        while True:
            try:
                await ingest.run()
            except SteelyardError as error:
                log.error("ingest_paused retry_s=%s reason=%s", RETRY_S, error)
                await asyncio.sleep(RETRY_S)

    async def _keep_up(self, roots: Sequence[Path]) -> None:
        """Go on with what a crash left behind, then ingest and watch the given paths."""
        await self.library.resume()
        if not roots:
            return
        exclude = [self.home]
        watching = asyncio.create_task(
            follow_files(self.library, roots, collection=DEFAULT_COLLECTION, exclude=exclude)
        )
        try:
            await self.library.sync(roots, collection=DEFAULT_COLLECTION, exclude=exclude)
            await watching
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def add_paths(
        self,
        paths: Sequence[str | Path],
        *,
        collection: str = DEFAULT_COLLECTION,
        groups: tuple[str, ...] = (PUBLIC_GROUP,),
        on_end: Callable[[Ended], None] = lambda _: None,
    ) -> Synced:
        """Ingest files and folders beside running work; return when each has ended."""
        roots = resolve_roots(paths)
        self.work.listen(on_end)
        try:
            synced = await self.library.sync(
                roots, collection=collection, groups=groups, exclude=[self.home]
            )
            await self.library.settled(synced.tickets)
        finally:
            self.work.unlisten(on_end)
        await compute(self.workers.ingest, self.store.prune_embeddings)
        return synced

    async def ingest_once(self, paths: Sequence[str | Path], **options: Any) -> Synced:
        """Ingest files and folders, and what an interrupted run left, with no server running.

        Raises:
            SetupError, Overloaded: the home cannot be written; nothing is lost.
        """
        follower = TruthFollower(self.store, self.index, self.workers)
        following = asyncio.create_task(follower.run())
        ingest = asyncio.create_task(self._ingest(follower).run())

        async def everything() -> Synced:
            await self.library.resume()
            synced = await self.add_paths(paths, **options)
            await self.work.drained()
            await self.library.settled(())
            return synced

        job = asyncio.create_task(everything())
        try:
            await asyncio.wait([job, ingest], return_when=asyncio.FIRST_COMPLETED)
            if not job.done():
                await ingest  # raises what stopped it
            return await job
        finally:
            tasks = (job, ingest, following)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def reembed(self) -> int:
        """Embed every chunk with the configured model; return how many."""
        return embed_again(self.store, make_embedder(self.settings))

    def _ingest(self, follower: TruthFollower) -> Ingest:
        return Ingest(
            store=self.store,
            recipe=self.recipe,
            workers=self.workers,
            work=self.work,
            inbox=self.home / "inbox",
            on_commit=follower.wake,
        )

    async def status(self) -> Status:
        counts = await compute(self.workers.query, self.store.counts)
        return Status(
            version=__version__,
            snapshot=self.index.view().seq,
            num_documents=sum(counts.by_state.values()),
            num_chunks=counts.chunks,
            states={state.value: number for state, number in counts.by_state.items()},
            collections=await compute(self.workers.query, self.store.collections),
            embedder=self.settings.embed.model,
            generator=self.generator.model,
            watching=[str(root) for root in self._roots],
            examples=example_questions(self._roots),
        )

    async def not_ready(self) -> list[str]:
        """Name what a question would have to wait for; empty when ready."""
        missing = [name for name in ("embedder", "index") if name not in self.__dict__]
        if not missing and self.index.view().seq < self.store.last_seq():
            missing.append("index behind")
        return missing

    async def llm_problem(self) -> str | None:
        """Return why the configured language model cannot be used now; None if it can."""
        return await llm_problem(self.generator)

    async def offers(self) -> list[str]:
        """Return hints about language models that run on this machine and are not used."""
        return await offers(self.settings)
