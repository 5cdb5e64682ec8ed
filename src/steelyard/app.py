"""Settings → live parts → flows: the only place that names concrete classes.

Parts are made when they are first used, so that listing documents loads no model.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from steelyard.bundle import Bundle
from steelyard.cache import AnswerCache
from steelyard.cache.shared import SharedCache
from steelyard.core.chat import AnswerEvent
from steelyard.core.documents import DEFAULT_COLLECTION, PUBLIC_GROUP
from steelyard.core.errors import SetupError, SteelyardError
from steelyard.core.protocols import Embedder, Generator
from steelyard.core.ranking import Query
from steelyard.core.registry import Champions
from steelyard.flows.answer import Answering, Wish
from steelyard.flows.cached import CachedAnswers
from steelyard.flows.follow import TruthFollower, Vanished, follow_files
from steelyard.flows.ingest import Ingest, Recipe
from steelyard.flows.library import Library, Synced
from steelyard.flows.reading_ahead import read_ahead
from steelyard.flows.registry import Registry
from steelyard.flows.runs import Runs
from steelyard.flows.sharing import open_shared
from steelyard.flows.sources import example_questions, path_of, resolve_roots
from steelyard.flows.work import Ended, Work
from steelyard.index import Shadows
from steelyard.infra.concurrent import Workers, compute
from steelyard.parse import FileParser
from steelyard.parts import (
    Status,
    llm_problem,
    make_embedder,
    offers,
)
from steelyard.promotions import Promotions
from steelyard.retrieve import QuestionEmbedder, Retriever
from steelyard.serving import Serving
from steelyard.settings import Loaded, Settings, load_settings, option_value
from steelyard.space import Space, Spaces
from steelyard.store import DATABASE, Pseudonyms, Store
from steelyard.switching import embed_at_once
from steelyard.version import __version__

T = TypeVar("T")

log = logging.getLogger(__name__)

RETRY_S = 5.0
MOVED_RETRY_S = 0.3
RECIPE_GROUPS = ("parse", "chunk", "embed", "index")


def open_app(
    home: Path, *, flags: Mapping[str, Any] | None = None, champions: Champions | None = None
) -> "App":
    """Open or create a home; `champions` are what it serves, if not what its registry says.

    Raises:
        SetupError: the settings are wrong, or the home cannot be opened; says what to do.
    """
    loaded = load_settings(home, flags=flags, champions=champions)
    for note in loaded.notes:
        log.warning("settings_disagree %s", note)
    return App(home.expanduser().absolute(), loaded, flags or {}, champions)


class App:
    """One open home. Not async itself; `working` runs the background tasks of a server."""

    def __init__(
        self,
        home: Path,
        loaded: Loaded,
        flags: Mapping[str, Any],
        champions: Champions | None = None,
    ) -> None:
        self.home = home
        self._champions = champions
        self.settings = loaded.settings
        self._flags = dict(flags)
        self.store = Store.open(home / DATABASE)
        self.workers = Workers()
        self.work = Work()
        self.vanished = Vanished()
        self._roots: list[Path] = []
        self.spaces = Spaces(home, self.store, self.workers, parser=lambda: self.parser)
        self.space = self.spaces.made(self.settings, claims=True)
        self.beside: Space | None = None
        self.serving = Serving(lambda: Bundle(self, self.settings, self.space))

    @property
    def embedder(self) -> Embedder:
        return self.space.embedder

    @property
    def index(self) -> Shadows:
        return self.space.index

    @property
    def questions(self) -> QuestionEmbedder:
        return self.space.questions

    @property
    def recipe(self) -> Recipe:
        return self.space.recipe

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
    def runs(self) -> Runs:
        return Runs(self.home)

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.home, self.store, option_value=option_value)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        return Pseudonyms(self.home / "users.key")

    @cached_property
    def shared(self) -> SharedCache | None:
        url, database = self.settings.cache.url, self.home / DATABASE
        if not url:
            return None
        return open_shared(url, self.cache, home=self.home, database=database)

    @cached_property
    def cache(self) -> AnswerCache:
        """The answers that serving bundles keep, each under its own name."""
        return AnswerCache(self.settings.cache)

    @property
    def champion(self) -> Bundle:
        """What answers at this moment; a request holds it by `serving.hold()`."""
        return self.serving.champion

    def variant(self, flags: Mapping[str, Any], *, live: bool = False) -> Bundle:
        """Return another bundle over this home's documents, index and embedder.

        `live`: it answers people, so it is logged, keeps answers as the champion does, and leaves
        it to the champion to stand in for it. Else nothing of it is kept.

        Raises:
            SetupError: the options are wrong, or change how documents are read or embedded.
        """
        settings = self.settings_with(flags)
        for group in RECIPE_GROUPS:
            if getattr(settings, group) != getattr(self.settings, group):
                raise SetupError(
                    f"options of {group!r} differ, so this bundle needs an index of its own; "
                    f"leave {group}.* as the home has it"
                )
        return Bundle(self, settings, self.space, logs=live, stands_alone=not live)

    def settings_with(self, flags: Mapping[str, Any]) -> Settings:
        """Return what holds if these options are set beside all others.

        Raises:
            SetupError: they are wrong.
        """
        given = {**self._flags, **flags}
        return load_settings(self.home, flags=given, champions=self._champions).settings

    def wanted(self) -> Settings:
        """Return what the settings and the registry say now; raises SetupError."""
        loaded = load_settings(self.home, flags=self._flags)
        for note in loaded.notes:
            log.warning("settings_disagree %s", note)
        return loaded.settings

    @cached_property
    def promotions(self) -> Promotions:
        return Promotions(self)

    @property
    def retriever(self) -> Retriever:
        return self.champion.retriever

    @property
    def generator(self) -> Generator:
        return self.champion.generator

    @property
    def cached(self) -> CachedAnswers:
        return self.champion.cached

    @property
    def answering(self) -> Answering:
        return self.champion.answering

    async def stream(self, query: Query, wish: Wish) -> AsyncGenerator[AnswerEvent, None]:
        """Yield what the champion of this moment says, from the first event to the last."""
        with self.serving.hold() as champion:
            async with aclosing(champion.answering.stream(query, wish)) as events:
                async for event in events:
                    yield event

    @property
    def bundle(self) -> str:
        return self.champion.name

    def close(self) -> None:
        """Save the index, stop every worker, and close the home."""
        made = self.__dict__
        self.workers.close()
        for name in ("parser", "runs"):
            if name in made:
                made[name].close()
        for space in (self.space, self.beside):
            if space is not None:
                space.close()
        self.store.close()

    @asynccontextmanager
    async def working(self, paths: Sequence[str | Path] = ()) -> AsyncIterator[None]:
        """Run what a server needs in the background; `paths` are ingested and watched.

        Raises:
            InputError: a path does not exist.
        """
        roots = resolve_roots(paths)
        await asyncio.gather(
            compute(self.workers.query, self.champion.warm_up),
            compute(self.workers.ingest, lambda: self.parser),
        )
        self._roots = roots
        self.vanished.watch(roots, path_of)
        follower = TruthFollower(self.store, lambda: self.index, self.workers)
        jobs = [self._keep_ingesting(follower), follower.run(), self._keep_up(roots)]
        jobs.append(self.promotions.run())
        jobs.append(read_ahead(self.store, self.serving.rerankers, self.workers))
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
        await self.serving.aclose()

    async def _keep_ingesting(self, follower: TruthFollower) -> None:
        """Run the pipeline; when the home cannot be written, say why and try again."""
        ingest = self._ingest(follower)
        while True:
            try:
                await ingest.run()
            except SteelyardError as error:
                moved = error.code == "other_embedder"  # by another process: it is followed soon
                retry_s = MOVED_RETRY_S if moved else RETRY_S
                log.error("ingest_paused retry_s=%s reason=%s", retry_s, error)
                await asyncio.sleep(retry_s)

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

        async def everything() -> Synced:
            await self.library.resume()
            synced = await self.add_paths(paths, **options)
            await self.work.drained()
            await self.library.settled(())
            return synced

        return await self.while_ingesting(everything())

    async def while_ingesting(self, waiting: Coroutine[Any, Any, T]) -> T:
        """Run a pipeline, with no server running, until what submits and waits has its result.

        Raises:
            SetupError, Overloaded: the home cannot be written; nothing is lost.
        """
        follower = TruthFollower(self.store, lambda: self.index, self.workers)
        following = asyncio.create_task(follower.run())
        ingest = asyncio.create_task(self._ingest(follower).run())
        job = asyncio.ensure_future(waiting)
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
        return embed_at_once(self.home, self.store, make_embedder(self.settings))

    def _ingest(self, follower: TruthFollower) -> Ingest:
        return Ingest(
            store=self.store,
            recipe=lambda: self.recipe,
            beside=lambda: None if self.beside is None else self.beside.embedder,
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
        missing = self.space.missing()
        if not missing and self.index.view().seq < self.store.last_seq():
            missing.append("index behind")
        return missing

    async def llm_problem(self) -> str | None:
        """Return why the configured language model cannot be used now; None if it can."""
        return await llm_problem(self.generator)

    async def offers(self) -> list[str]:
        """Return hints about language models that run on this machine and are not used."""
        return await offers(self.settings)
