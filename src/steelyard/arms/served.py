"""Arms over a live bundle: what production does, with a question's gold beside it."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import perf_counter

from steelyard.arms.gold import GoldRetriever
from steelyard.arms.specs import ANSWER_K, SEARCH_K, ArmSpec
from steelyard.bundle import Bundle
from steelyard.core.chat import EXTRACTIVE, Answer
from steelyard.core.deadline import Deadline
from steelyard.core.errors import SteelyardError
from steelyard.core.evaluation import Outcome, Question, Ranked
from steelyard.core.ranking import Principal, Query, SearchResult
from steelyard.cost import ModelPrices, answer_bill, used_by
from steelyard.flows.answer import Wish
from steelyard.flows.cached import CacheUse
from steelyard.infra.concurrent import Workers
from steelyard.store import Store


@dataclass(frozen=True, slots=True)
class Asking:
    """As whom, where and how patiently an arm asks.

    `documents` names what is asked of: equal names, equal documents. `deadline_s` is the
    production deadline of the search, `timeout_s` of everything. `queries` say for single
    questions, by id, as whom, where and for how many sources they are asked. `prices` tell what
    a model costs that has no price by hand.
    """

    principal: Principal
    collection: str
    documents: str
    code: str
    deadline_s: float = 10.0
    timeout_s: float = 180.0
    queries: Mapping[str, Query] = field(default_factory=dict)
    prices: ModelPrices | None = None


class ServedArm:
    """An `Arm` of one bundle; `run` never raises for what an asker may meet."""

    def __init__(
        self,
        spec: ArmSpec,
        bundle: Bundle,
        *,
        store: Store,
        workers: Workers,
        asking: Asking,
        parts: Mapping[str, str],
    ) -> None:
        self._spec = spec
        self._bundle = bundle
        self._store = store
        self._workers = workers
        self._asking = asking
        self._parts = parts
        self._caching = bundle.settings.cache.mode != "off"

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def parts(self) -> Mapping[str, str]:
        return self._parts

    @property
    def bundle(self) -> Bundle:
        return self._bundle

    @property
    def store(self) -> Store:
        return self._store

    @property
    def workers(self) -> Workers:
        return self._workers

    def item_key(self, question: Question) -> bytes:
        """Return a hash of all that shapes the outcome: code, parts, documents, question."""
        asking, spec, query = self._asking, self._spec, self._query(question)
        shaping: list[object] = [
            asking.code, asking.documents, query.collection, sorted(query.principal.groups),
            asking.deadline_s, self._bundle.name, repr(self._bundle.settings.cache),
            spec.answers, query.k, spec.gold, repr(spec.rates),
            question.text, [[turn.role, turn.content] for turn in question.history],
        ]  # fmt: skip
        if spec.answers and not spec.rates.given and asking.prices is not None:
            shaping.append(asking.prices.identity)
        if query.filter or query.more_collections:
            shaping += [dict(query.filter), list(query.more_collections)]
        if spec.gold:
            shaping += [dict(question.relevant), [repr(span) for span in question.spans]]
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).digest()

    async def warm_up(self) -> None:
        """Do once what only a first question waits for, as a server does when it starts.

        A language model is not asked: that may cost money.
        """
        bundle, prices = self._bundle, self._asking.prices
        if self._spec.answers and prices is not None:
            _is_priced(bundle.generator.model, prices)  # list prices are loaded by the first model
        with suppress(SteelyardError):
            query = Query("warm up", self._asking.principal, collection=self._asking.collection)
            await bundle.retriever.search(query, deadline=Deadline(self._asking.timeout_s))
            if self._spec.answers and bundle.generator is bundle.extractive:
                await bundle.answering.answer(query, Wish(cache=CacheUse.NONE))

    async def run(self, question: Question) -> Outcome:
        """Return what came of one question; a failure or time-out is an outcome too."""
        started = perf_counter()
        try:
            async with asyncio.timeout(self._asking.timeout_s):
                outcome = await self._asked(question, started)
        except TimeoutError:
            reason = f"no answer within {self._asking.timeout_s:g} s"
        except SteelyardError as error:
            reason = f"{error.code}: {error}"
        else:
            return outcome
        return Outcome(question.id, wall_ms=_ms(started), error=reason)

    def _query(self, question: Question) -> Query:
        asking, spec = self._asking, self._spec
        query = asking.queries.get(question.id)
        if query is None:
            return Query(question.text, asking.principal, k=spec.k, collection=asking.collection)
        is_told = spec.k != (ANSWER_K if spec.answers else SEARCH_K)
        return replace(query, k=spec.k) if is_told else query

    async def _asked(self, question: Question, started: float) -> Outcome:
        asking, spec = self._asking, self._spec
        query = self._query(question)
        deadline = Deadline(asking.deadline_s)
        if not spec.answers:
            result = await self._bundle.retriever.search(query, deadline=deadline)
            return Outcome(
                question_id=question.id,
                ranking=_documents(result),
                timings_ms=result.timings_ms,
                wall_ms=_ms(started),
                cost_usd=spec.rates.cost_usd(tokens_in=0, tokens_out=0, wall_ms=_ms(started)),
                degraded=result.degraded,
            )
        answering = self._bundle.answering
        if spec.gold:
            gold = GoldRetriever(question, store=self._store, pool=self._workers.query)
            answering = self._bundle.answering_from(gold)
        use = CacheUse.NORMAL if self._caching else CacheUse.NONE
        wish = Wish(history=question.history, deadline=deadline, cache=use)
        answer = await answering.answer(query, wish)
        wall_ms = _ms(started)
        return Outcome(
            question_id=question.id,
            ranking=_sources(answer),
            answer=answer,
            timings_ms=answer.usage.timings_ms,
            wall_ms=wall_ms,
            cost_usd=self._cost_usd(answer, wall_ms),
            degraded=answer.degraded,
        )

    def _cost_usd(self, answer: Answer, wall_ms: float) -> float | None:
        """Return what an answer cost: by hand, or as a model of the book; None: not known."""
        rates, prices, usage = self._spec.rates, self._asking.prices, answer.usage
        if rates.given:
            return rates.cost_usd(
                tokens_in=usage.prompt_tokens,
                tokens_out=usage.completion_tokens,
                wall_ms=wall_ms,
            )
        if prices is None or not _is_priced(usage.model, prices):
            return None
        return answer_bill(used_by(answer), prices).usd


def _is_priced(model: str, prices: ModelPrices) -> bool:
    """Return whether tokens of a model have a price; the documents' own words have no tokens."""
    return not model.startswith(EXTRACTIVE) and prices.model(model) is not None


def _documents(result: SearchResult) -> tuple[Ranked, ...]:
    """Return documents, each where its best chunk ranks."""
    return _first([(one.chunk.document_id, one.score) for one in result.found])


def _sources(answer: Answer) -> tuple[Ranked, ...]:
    by_score = sorted(answer.sources, key=lambda source: (-source.score, source.n))
    return _first([(source.document_id, source.score) for source in by_score])


def _first(hits: Sequence[tuple[str, float]]) -> tuple[Ranked, ...]:
    best: dict[str, float] = {}
    for document_id, score in hits:
        best.setdefault(document_id, score)
    return tuple(Ranked(document_id, score) for document_id, score in best.items())


def _ms(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)
