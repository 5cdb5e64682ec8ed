"""A question's way: cache, search, number the sources, generate, cite; then `Done` or `Failed`."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import perf_counter

from steelyard.core.chat import (
    Answer,
    AnswerEvent,
    Asker,
    CitedText,
    Done,
    Failed,
    Finish,
    Message,
    Passage,
    Sources,
    Token,
    Usage,
)
from steelyard.core.deadline import Deadline
from steelyard.core.errors import InputError, SetupError, SteelyardError, UpstreamError
from steelyard.core.protocols import Generator, Retrieving
from steelyard.core.ranking import Query, SearchResult
from steelyard.flows.cached import Asked, CachedAnswers, CacheUse, Found
from steelyard.retrieve import Context, ContextBuilder, check_query

log = logging.getLogger(__name__)

FEW_WORDS = 6  # a follow-up this short ("and in France?") is searched with the turn before it


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller may ask for beside the question.

    `on_wait` is called when from there on only another system works, a language model. `asker`
    is what the query log is told of who asks.
    """

    history: Sequence[Message] = ()
    deadline: Deadline | None = None
    cache: CacheUse = CacheUse.NORMAL
    on_wait: Callable[[], None] = lambda: None
    asker: Asker = field(default_factory=Asker)


@dataclass(slots=True)
class _Draft:
    """An answer while it is being written."""

    started: float
    begun: bool = False  # the first event is out
    timings: dict[str, float] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    first_token_ms: float | None = None
    finish: Finish = field(default_factory=Finish)
    model: str = ""
    degraded: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def elapsed_ms(self) -> float:
        return round((perf_counter() - self.started) * 1000, 3)


@dataclass(frozen=True, slots=True)
class Writer:
    """`fallback` answers when `generator` fails before its first token. `elsewhere`: the
    generator is another system, whose answers are waited for."""

    generator: Generator
    fallback: Generator | None = None
    elsewhere: bool = False


class Answering:
    def __init__(
        self,
        *,
        retriever: Retrieving,
        cached: CachedAnswers,
        context: ContextBuilder,
        writer: Writer,
        cite: Callable[[str, Sequence[Passage]], CitedText],
        bundle: str,
        log_answer: Callable[[Query, Wish, Answer], None],
    ) -> None:
        self._retriever = retriever
        self._cached = cached
        self._context = context
        self._writer = writer
        self._cite = cite
        self._bundle = bundle
        self._log_answer = log_answer

    async def stream(
        self, query: Query, wish: Wish | None = None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield `Sources`, `Token`s, then exactly one `Done` or `Failed`.

        Raises:
            InputError: the query is wrong; raised before the first event.
        """
        wish = wish or Wish()
        check_query(query)
        deadline = wish.deadline or Deadline()
        draft = _Draft(deadline.started)
        searched = with_context(query, wish.history)
        asked = self._cached.asked(searched, wish.history, wish.cache)
        try:
            found, result = await self._find(draft, asked, deadline)
            if found is not None:
                for event in self._again(draft, query, wish, asked, found):
                    yield event
                return
            assert result is not None
            draft.timings |= result.timings_ms
            draft.timings["search"] = draft.timings.pop("total")
            context = await self._gather(draft, searched, result)
            passages = context.passages
            draft.begun = True
            yield Sources(passages)
            if self._writer.elsewhere:
                wish.on_wait()
            async with aclosing(self._write(draft, query, passages, wish.history)) as tokens:
                async for token in tokens:
                    yield token
        except SteelyardError as error:
            if isinstance(error, InputError) and not draft.begun:
                raise
            level = logging.INFO if error.code == "deadline_exceeded" else logging.WARNING
            log.log(level, "answer_failed code=%s reason=%s", error.code, error)
            yield _failed(error)
            return
        answer = self._finish(draft, result, context, outcome=self._outcome(asked))
        self._log_answer(query, wish, answer)
        await self._cached.keep(asked, answer, result)
        yield Done(answer)

    async def answer(self, query: Query, wish: Wish | None = None) -> Answer:
        """Return the finished answer.

        Raises:
            InputError: the query is wrong.
            UpstreamError: what `stream` reports as `Failed`.
        """
        return await finished(self.stream(query, wish))

    async def _find(
        self, draft: _Draft, asked: Asked, deadline: Deadline
    ) -> tuple[Found | None, SearchResult | None]:
        """Return a valid answer from the cache, or else what the search finds.

        The search begins before it is known that no kept answer means the same: most questions
        are new, and then nothing has waited.
        """
        found = await self._cached.exact(asked, deadline=deadline)
        if found is not None:
            draft.timings["cache"] = draft.elapsed_ms()
            return found, None
        searching = asyncio.ensure_future(self._retriever.search(asked.query, deadline=deadline))
        try:
            if deadline.left_s() > 0:
                found = await self._cached.similar(asked, deadline=deadline)
            draft.timings["cache"] = draft.elapsed_ms()
            return found, None if found else await searching
        finally:
            searching.cancel()
            await asyncio.gather(searching, return_exceptions=True)

    def _again(
        self, draft: _Draft, query: Query, wish: Wish, asked: Asked, found: Found
    ) -> list[AnswerEvent]:
        """Return the events of an answer from the cache, under an id and with times of its own."""
        draft.timings["first_token"] = draft.timings["total"] = draft.elapsed_ms()
        usage = Usage(timings_ms=draft.timings, model=found.answer.usage.model)
        answer = replace(
            found.answer, id=_new_id(), usage=usage, cache=found.how, snapshot=asked.seq
        )
        self._log_answer(query, wish, answer)
        return [Sources(answer.sources), Token(answer.text), Done(answer)]

    async def _gather(self, draft: _Draft, searched: Query, result: SearchResult) -> Context:
        """Make the generator's context; in a stable order where it is a model server's prefix."""
        started = perf_counter()
        context = await self._context.build(
            searched, result.found, stable_order=self._writer.elsewhere
        )
        draft.timings["context"] = round((perf_counter() - started) * 1000, 3)
        draft.timings["found"] = draft.elapsed_ms()
        return context

    async def _write(
        self,
        draft: _Draft,
        query: Query,
        passages: Sequence[Passage],
        history: Sequence[Message],
    ) -> AsyncGenerator[Token, None]:
        """Stream the generator; before its first token, a failure goes to the fallback."""
        first, fallback = self._writer.generator, self._writer.fallback
        generators = [first] + ([fallback] if fallback else [])
        for generator in generators:
            draft.model = generator.model
            try:
                pieces = generator.generate(query.text, passages, history=history)
                async with aclosing(pieces):
                    async for piece in pieces:
                        if isinstance(piece, Finish):
                            draft.finish = piece
                            continue
                        if draft.first_token_ms is None and piece.text.strip():
                            draft.first_token_ms = draft.elapsed_ms()
                        draft.parts.append(piece.text)
                        yield piece
                return
            except (UpstreamError, SetupError) as error:
                if draft.parts or generator is generators[-1]:
                    raise
                log.warning("generator_failed model=%s reason=%s", generator.model, error)
                draft.degraded.append(f"llm: {error}")

    def _finish(
        self, draft: _Draft, result: SearchResult, context: Context, *, outcome: str
    ) -> Answer:
        cited = self._cite(draft.text, context.passages)
        total_ms = draft.elapsed_ms()
        first_ms = draft.first_token_ms if draft.first_token_ms is not None else total_ms
        before_ms = draft.timings.pop("found")
        timings = draft.timings | {
            "first_token": first_ms,
            "generate": round(total_ms - before_ms, 3),
            "total": total_ms,
        }
        return Answer(
            id=_new_id(),
            text=draft.text,
            answerable=cited.answerable,
            citations=cited.citations,
            unsupported=cited.unsupported,
            sources=context.passages,
            usage=Usage(
                timings_ms=timings,
                prompt_tokens=draft.finish.prompt_tokens,
                completion_tokens=draft.finish.completion_tokens,
                model=draft.model,
                context_tokens=context.num_tokens,
                saved_tokens=context.saved_tokens,
                cached_tokens=draft.finish.cached_tokens,
            ),
            cache=outcome,
            bundle=self._bundle,
            snapshot=result.snapshot,
            degraded=(*result.degraded, *draft.degraded),
            confidence=draft.finish.confidence,
            short=draft.finish.short if cited.answerable else "",
        )

    def _outcome(self, asked: Asked) -> str:
        if self._cached.cache.options.mode == "off":
            return "off"
        return "miss" if asked.use is CacheUse.NORMAL else "bypass"


async def finished(stream: AsyncGenerator[AnswerEvent, None]) -> Answer:
    """Return the answer that a stream ends in.

    Raises:
        UpstreamError: it ended in `Failed`.
    """
    async with aclosing(stream) as events:
        async for event in events:
            if isinstance(event, Done):
                return event.answer
            if isinstance(event, Failed):
                raise UpstreamError(
                    event.message, code=event.code, retry_after_s=event.retry_after_s
                )
    raise AssertionError("a stream ended without Done or Failed")


def with_context(query: Query, history: Sequence[Message]) -> Query:
    """Return the question as it is searched: a short follow-up with the question before it."""
    before = [turn.content for turn in history if turn.role == "user"]
    if not before or len(query.text.split()) >= FEW_WORDS:
        return query
    return replace(query, text=f"{before[-1]}\n{query.text}")


def _new_id() -> str:
    return "a" + secrets.token_hex(10)


def _failed(error: SteelyardError) -> Failed:
    return Failed(error.code, error.message, getattr(error, "retry_after_s", None))
