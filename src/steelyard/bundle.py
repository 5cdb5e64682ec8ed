"""One way to answer, live: retrieval, reranker, context, generator and cache over a home."""

import asyncio
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import cached_property
from typing import Protocol

from steelyard.cache import AnswerCache
from steelyard.cache.meaning import Meaning, guard
from steelyard.core.chat import Answer
from steelyard.core.documents import StoredChunk
from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import Generator, Reranker, Retrieving
from steelyard.core.ranking import Query
from steelyard.flows.answer import Answering, Wish, Writer
from steelyard.flows.cached import CachedAnswers
from steelyard.flows.follow import Vanished
from steelyard.generate import ExtractiveGenerator, Reading, cite
from steelyard.infra.concurrent import Workers
from steelyard.parts import (
    bundle_name,
    first_stage_of,
    kept_of,
    make_generator,
    make_reader,
    make_reranker,
)
from steelyard.retrieve import ContextBuilder, QuestionEmbedder, Reranking, Retriever
from steelyard.settings import Settings
from steelyard.space import Space
from steelyard.store import Store

log = logging.getLogger(__name__)


class Home(Protocol):
    """What every bundle of one home shares."""

    store: Store
    workers: Workers
    vanished: Vanished

    @property
    def cache(self) -> AnswerCache: ...


class Bundle:
    """Parts are made when they are first used. What it embeds, searches and chunks by is of one
    space; another one over the same home shares the store, and may share the space."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        space: Space,
        *,
        logs: bool = True,
        stands_alone: bool = True,
        like: "Bundle | None" = None,
    ) -> None:
        """`logs`: it serves, so answers go to the home's query log, and are kept in the one cache
        that the home's serving bundles share under their own names.

        Not `stands_alone`: another one answers where this one fails. `like` lends its models
        where the options for them are the same.
        """
        self.settings = settings
        self.space = space
        self._home = home
        self._logs = logs
        self._stands_alone = stands_alone
        self._like = like
        self._writing: set[Future[None]] = set()

    @cached_property
    def name(self) -> str:
        """Names everything that shapes an answer, except the documents."""
        return bundle_name(self.settings, self.space.name, self.generator.model)

    @cached_property
    def questions(self) -> QuestionEmbedder:
        """The home's; what is only measured remembers none of another's questions."""
        if self._logs:
            return self.space.questions
        return QuestionEmbedder(self.space.embedder, pool=self._home.workers.query)

    @cached_property
    def retriever(self) -> Retriever:
        home = self._home

        def is_gone(chunk: StoredChunk) -> bool:
            return home.vanished(chunk.uri)

        return Retriever(
            questions=self.questions,
            index=self.space.index,
            reader=home.store,
            pool=home.workers.query,
            options=self.settings.retrieve,
            reranking=self.reranking,
            is_gone=is_gone,
        )

    @cached_property
    def extractive(self) -> Generator:
        return ExtractiveGenerator(
            self.space.embedder, pool=self._home.workers.query, reader=self.reader
        )

    @cached_property
    def reader(self) -> Reading | None:
        like = self._like
        if like is not None and like.reads_as(self.settings):
            return like.reader
        return make_reader(self.settings)

    def reads_as(self, settings: Settings) -> bool:
        """Tell whether the same span reader would read under these options."""
        mine = self.settings
        return mine.reader == settings.reader and mine.embed.model == settings.embed.model

    @cached_property
    def generator(self) -> Generator:
        like = self._like
        if like is not None and like.space is self.space and like.writes_as(self.settings):
            lent = like.generator
            return self.extractive if lent is like.extractive else lent
        made = make_generator(self.settings, tokenizer=self.space.embedder.tokenizer)
        return made or self.extractive

    def writes_as(self, settings: Settings) -> bool:
        """Tell whether the same language model would answer under these options."""
        mine = self.settings
        return mine.llm == settings.llm and mine.retrieve.legs == settings.retrieve.legs

    @cached_property
    def reranker(self) -> Reranker | None:
        like = self._like
        if like is not None and like.settings.rerank == self.settings.rerank:
            return like.reranker
        return make_reranker(self.settings)

    @cached_property
    def reranking(self) -> Reranking | None:
        if (reranker := self.reranker) is None:
            return None
        return Reranking(
            reranker,
            pool_size=self.settings.rerank.pool,
            kept=kept_of(reranker, self._home.store),
            workers=self._home.workers.query,
            first_stage=first_stage_of(reranker, self.settings),
        )

    @cached_property
    def context(self) -> ContextBuilder:
        return ContextBuilder(
            reader=self._home.store,
            tokenizer=self.space.embedder.tokenizer,
            pool=self._home.workers.query,
            options=self.settings.context,
        )

    @cached_property
    def cached(self) -> CachedAnswers:
        home, options = self._home, self.settings.cache
        return CachedAnswers(
            home.cache if self._logs else AnswerCache(options),
            meaning=Meaning(threshold=options.threshold),
            questions=self.questions,
            pool=home.workers.query,
            retriever=self.retriever,
            last_seq=home.store.last_seq,
            is_gone=home.vanished,
            bundle=self.name,
        )

    @cached_property
    def answering(self) -> Answering:
        return self.answering_from(self.retriever)

    def answering_from(self, retriever: Retrieving) -> Answering:
        """Return the same way to answer over what another retriever finds."""
        generator = self.generator
        elsewhere = generator is not self.extractive
        return Answering(
            retriever=retriever,
            cached=self.cached,
            context=self.context,
            writer=Writer(
                generator,
                fallback=self.extractive if elsewhere and self._stands_alone else None,
                elsewhere=elsewhere,
            ),
            cite=cite,
            bundle=self.name,
            log_answer=self._log_answer,
        )

    def _log_answer(self, query: Query, wish: Wish, answer: Answer) -> None:
        store = self._home.store
        self._log(lambda: store.log_answer(query, answer, history=wish.history, asker=wish.asker))

    def log_failure(self, query: Query, wish: Wish, code: str, took_ms: float) -> None:
        """Log a question that this bundle, or what asked it, left without an answer."""
        store = self._home.store
        self._log(
            lambda: store.log_failure(
                query,
                code,
                took_ms=took_ms,
                bundle=self.name,
                history=wish.history,
                asker=wish.asker,
            )
        )

    def _log(self, write: Callable[[], None]) -> None:
        """Write to the query log without making anybody wait for the disk."""

        def written() -> None:
            try:
                write()
            except SteelyardError as error:
                log.warning("answer_not_logged reason=%s", error)

        if not self._logs:
            return
        try:
            writing = self._home.workers.query.submit(written)
        except RuntimeError:  # of a closed pool: its asker outlived the home
            log.warning("answer_not_logged reason=%s", "the home is closed")
            return
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def warm_up(self) -> None:
        """Make all that a first question would wait for; blocking, seconds where models load."""
        _ = self.answering
        _ = self.name
        if load := getattr(self.generator, "warm_up", None):
            load()
        guard("warm", "up")  # reads its word lists
        self._like = None

    def models(self) -> list[object]:
        """Return generator, reranker and reader, as far as they were made."""
        made = (self.__dict__.get(name) for name in ("generator", "reranker", "reader"))
        return [model for model in made if model is not None]

    async def aclose(self, *, keep: Collection[object] = ()) -> None:
        """Finish the log, and close the models' connections and child processes, except of those
        to keep; safe where none was made."""
        await asyncio.gather(
            *map(asyncio.wrap_future, tuple(self._writing)), return_exceptions=True
        )
        kept = {id(model) for model in keep}
        for model in self.models():
            if id(model) not in kept and (aclose := getattr(model, "aclose", None)):
                await aclose()
