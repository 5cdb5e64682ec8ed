"""One way to answer, live: retrieval, reranker, context, generator and cache over a home."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import Any, Protocol

from steelyard.cache import AnswerCache
from steelyard.cache.meaning import Meaning
from steelyard.core.chat import Answer
from steelyard.core.documents import StoredChunk
from steelyard.core.errors import SteelyardError
from steelyard.core.protocols import Embedder, Generator, Reranker, Retrieving
from steelyard.core.ranking import Query
from steelyard.flows.answer import Answering, Wish, Writer
from steelyard.flows.cached import CachedAnswers
from steelyard.flows.follow import Vanished
from steelyard.generate import ExtractiveGenerator, cite
from steelyard.index import Shadows
from steelyard.infra.concurrent import Workers
from steelyard.parts import bundle_name, kept_token_ids, make_generator, make_reranker
from steelyard.retrieve import ContextBuilder, QuestionEmbedder, Reranking, Retriever
from steelyard.settings import Settings
from steelyard.store import Store

log = logging.getLogger(__name__)


class Home(Protocol):
    """What every bundle of one home shares."""

    store: Store
    workers: Workers
    vanished: Vanished

    @property
    def embedder(self) -> Embedder: ...

    @property
    def index(self) -> Shadows: ...

    @property
    def questions(self) -> QuestionEmbedder: ...

    @property
    def recipe_name(self) -> str: ...


class Bundle:
    """Parts are made when they are first used. A different one over the same home shares its
    store, index and embedder, and nothing else."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        *,
        logs: bool = True,
        beside: "Bundle | None" = None,
    ) -> None:
        """`logs`: it serves, so answers go to the home's query log. `beside` is the bundle that
        stands in for this one when it fails, and with which it shares one bounded cache (under
        other keys)."""
        self.settings = settings
        self._home = home
        self._logs = logs
        self._beside = beside
        self._writing: set[Future[None]] = set()

    @cached_property
    def name(self) -> str:
        """Names everything that shapes an answer, except the documents."""
        return bundle_name(self.settings, self._home.recipe_name, self.generator.model)

    @cached_property
    def questions(self) -> QuestionEmbedder:
        """The home's; what is only measured remembers none of another's questions."""
        if self._logs:
            return self._home.questions
        return QuestionEmbedder(self._home.embedder, pool=self._home.workers.query)

    @cached_property
    def retriever(self) -> Retriever:
        home = self._home

        def is_gone(chunk: StoredChunk) -> bool:
            return home.vanished(chunk.uri)

        return Retriever(
            questions=self.questions,
            index=home.index,
            reader=home.store,
            pool=home.workers.query,
            options=self.settings.retrieve,
            reranking=self.reranking,
            is_gone=is_gone,
        )

    @cached_property
    def extractive(self) -> Generator:
        return ExtractiveGenerator(self._home.embedder, pool=self._home.workers.query)

    @cached_property
    def generator(self) -> Generator:
        made = make_generator(self.settings, tokenizer=self._home.embedder.tokenizer)
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
            token_ids=kept_token_ids(reranker, self._home.store),
            workers=self._home.workers.query,
        )

    @cached_property
    def context(self) -> ContextBuilder:
        return ContextBuilder(
            reader=self._home.store,
            tokenizer=self._home.embedder.tokenizer,
            pool=self._home.workers.query,
            options=self.settings.context,
        )

    @cached_property
    def cached(self) -> CachedAnswers:
        home, options = self._home, self.settings.cache
        return CachedAnswers(
            AnswerCache(options) if self._beside is None else self._beside.cached.cache,
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
                fallback=self.extractive if elsewhere and self._beside is None else None,
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

    async def aclose(self) -> None:
        """Finish the log, and close the models' connections and child processes; safe where none
        was made."""
        await asyncio.gather(
            *map(asyncio.wrap_future, tuple(self._writing)), return_exceptions=True
        )
        for name in ("generator", "reranker"):
            part: Any = self.__dict__.get(name)
            if aclose := getattr(part, "aclose", None):
                await aclose()
