"""A question's way: search, number the sources, generate, cite, and end in `Done` or `Failed`."""

import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter

from steelyard.core.chat import (
    Answer,
    AnswerEvent,
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
from steelyard.core.errors import SetupError, SteelyardError, UpstreamError
from steelyard.core.protocols import Generator
from steelyard.core.ranking import Query, SearchResult
from steelyard.retrieve import Retriever

log = logging.getLogger(__name__)

FEW_WORDS = 6  # a follow-up this short ("and in France?") is searched with the turn before it


@dataclass(slots=True)
class _Draft:
    """An answer while it is being written."""

    started: float
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


class Answering:
    """`fallback` answers when `generator` fails before its first token."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        generator: Generator,
        fallback: Generator | None,
        cite: Callable[[str, Sequence[Passage]], CitedText],
        bundle: str,
        keep: Callable[[Query, Answer], None],
    ) -> None:
        self._retriever = retriever
        self._generator = generator
        self._fallback = fallback
        self._cite = cite
        self._bundle = bundle
        self._keep = keep

    async def stream(
        self, query: Query, *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield `Sources`, `Token`s, then exactly one `Done` or `Failed`.

        Raises:
            InputError: the query is wrong; raised before the first event.
        """
        draft = _Draft(perf_counter())
        try:
            result = await self._retriever.search(_with_context(query, history))
        except UpstreamError as error:
            yield _failed(error)
            return
        passages = number(result)
        yield Sources(passages)
        try:
            async with aclosing(self._write(draft, query, passages, history)) as tokens:
                async for token in tokens:
                    yield token
        except SteelyardError as error:
            log.warning("answer_failed code=%s reason=%s", error.code, error)
            yield _failed(error)
            return
        yield Done(self._finish(draft, query, result, passages))

    async def answer(self, query: Query, *, history: Sequence[Message] = ()) -> Answer:
        """Return the finished answer.

        Raises:
            UpstreamError: what `stream` reports as `Failed`.
        """
        async with aclosing(self.stream(query, history=history)) as events:
            async for event in events:
                if isinstance(event, Done):
                    return event.answer
                if isinstance(event, Failed):
                    raise UpstreamError(
                        event.message, code=event.code, retry_after_s=event.retry_after_s
                    )
        raise AssertionError("a stream ended without Done or Failed")

    async def _write(
        self,
        draft: _Draft,
        query: Query,
        passages: Sequence[Passage],
        history: Sequence[Message],
    ) -> AsyncGenerator[Token, None]:
        """Stream the generator; before its first token, a failure goes to the fallback."""
        generators = [self._generator] + ([self._fallback] if self._fallback else [])
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
        self, draft: _Draft, query: Query, result: SearchResult, passages: tuple[Passage, ...]
    ) -> Answer:
        cited = self._cite(draft.text, passages)
        total_ms = draft.elapsed_ms()
        first_ms = draft.first_token_ms if draft.first_token_ms is not None else total_ms
        timings = dict(result.timings_ms)
        timings |= {
            "search": timings["total"],
            "first_token": first_ms,
            "generate": round(total_ms - timings["total"], 3),
            "total": total_ms,
        }
        answer = Answer(
            id="a" + secrets.token_hex(10),
            text=draft.text,
            answerable=cited.answerable,
            citations=cited.citations,
            unsupported=cited.unsupported,
            sources=passages,
            usage=Usage(
                timings_ms=timings,
                prompt_tokens=draft.finish.prompt_tokens,
                completion_tokens=draft.finish.completion_tokens,
                model=draft.model,
            ),
            cache="off",
            bundle=self._bundle,
            snapshot=result.snapshot,
            degraded=(*result.degraded, *draft.degraded),
        )
        self._keep(query, answer)
        return answer


def number(result: SearchResult) -> tuple[Passage, ...]:
    """Return the found chunks as sources numbered from 1."""
    return tuple(
        Passage(
            n=n,
            chunk_id=found.chunk.chunk_id,
            document_id=found.chunk.document_id,
            uri=found.chunk.uri,
            title=found.chunk.title,
            text=found.chunk.text,
            start=found.chunk.start,
            end=found.chunk.end,
            score=found.score,
            heading=found.chunk.heading,
            page=found.chunk.page,
        )
        for n, found in enumerate(result.found, start=1)
    )


def _with_context(query: Query, history: Sequence[Message]) -> Query:
    before = [turn.content for turn in history if turn.role == "user"]
    if not before or len(query.text.split()) >= FEW_WORDS:
        return query
    return Query(
        text=f"{before[-1]}\n{query.text}",
        principal=query.principal,
        k=query.k,
        collection=query.collection,
        filter=query.filter,
    )


def _failed(error: SteelyardError) -> Failed:
    return Failed(error.code, error.message, getattr(error, "retry_after_s", None))
