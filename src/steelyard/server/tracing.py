"""OpenTelemetry spans of questions, made from the timings that the answer carries anyway.

Needs the extra `otel`, and one of the standard variables that say where spans go; without them
nothing is imported and nothing runs. Attributes are those of the GenAI semantic conventions where
these have one. No span holds a question, an answer or a document's text.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from steelyard.core.chat import Answer
from steelyard.core.ranking import Query, SearchResult

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
FIRST = ("embed", "dense", "lexical")  # the legs of a search, which run beside each other
AROUND = frozenset({"cache", "context"})  # before and after the search
NO_STAGES = frozenset({*FIRST, *AROUND, "search", "first_token", "generate", "total"})
PROVIDER = "steelyard"


@dataclass(frozen=True, slots=True)
class Placed:
    """A stage on the time line of its question, in ms from the start."""

    stage: str
    start_ms: float
    ms: float


def place_stages(timings_ms: Mapping[str, float]) -> list[Placed]:
    """Return the stages before generation with their starts, which follow from the known order:
    the cache; embed then dense, beside lexical; each of the others; the context."""
    placed = []
    begin_ms = timings_ms.get("cache", 0.0)
    if "cache" in timings_ms:
        placed.append(Placed("cache", 0.0, begin_ms))
    for stage in FIRST:
        if stage in timings_ms:
            after_ms = timings_ms.get("embed", 0.0) if stage == "dense" else 0.0
            placed.append(Placed(stage, begin_ms + after_ms, timings_ms[stage]))
    at = max((one.start_ms + one.ms for one in placed), default=0.0)
    for stage, ms in timings_ms.items():
        if stage not in NO_STAGES:
            placed.append(Placed(stage, at, ms))
            at += ms
    if "context" in timings_ms:
        at = max(at, begin_ms + timings_ms.get("search", 0.0))
        placed.append(Placed("context", at, timings_ms["context"]))
    return placed


@dataclass(frozen=True, slots=True)
class Asked:
    """What a span tells of a question beside its timings; `headers` may carry a trace context."""

    route: str
    query: Query
    headers: Mapping[str, str]
    embedder: str
    stream: bool = False


class Tracing:
    """Turns finished questions into span trees; `close` sends what is left."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("steelyard")

    def answered(self, answer: Answer, asked: Asked, *, ended_ns: int) -> None:
        timings_ms = answer.usage.timings_ms
        total_ms = timings_ms.get("total", 0.0)
        started_ns = ended_ns - _ns(total_ms)
        root = self._root("answer", asked, started_ns)
        root.set_attributes(
            {
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.response.id": answer.id,
                "steelyard.cache": answer.cache,
                "steelyard.answerable": answer.answerable,
                "steelyard.bundle": answer.bundle,
                "steelyard.num_sources": len(answer.sources),
                **_of_search(answer.snapshot, answer.degraded),
            }
        )
        parent = self._parent(root)
        self._before_generation(timings_ms, asked, parent, started_ns)
        if "generate" in timings_ms:
            self._generation(answer, asked, parent, ended_ns)
        root.end(ended_ns)

    def searched(self, result: SearchResult, asked: Asked, *, ended_ns: int) -> None:
        started_ns = ended_ns - _ns(result.timings_ms.get("total", 0.0))
        root = self._root("search", asked, started_ns)
        root.set_attributes(_of_search(result.snapshot, result.degraded))
        timings_ms = dict(result.timings_ms)
        timings_ms["search"] = timings_ms.pop("total", 0.0)
        self._before_generation(timings_ms, asked, self._parent(root), started_ns)
        root.end(ended_ns)

    def failed(self, code: str, asked: Asked, *, started_ns: int, ended_ns: int) -> None:
        from opentelemetry.trace import Status, StatusCode

        root = self._root("answer", asked, started_ns)
        root.set_attributes({"gen_ai.operation.name": "invoke_workflow", "error.type": code})
        root.set_status(Status(StatusCode.ERROR))
        root.end(ended_ns)

    def close(self) -> None:
        """Send what is left and stop; blocking, for seconds if nobody takes it."""
        self._provider.shutdown()

    def _before_generation(
        self, timings_ms: Mapping[str, float], asked: Asked, parent: "Context", started_ns: int
    ) -> None:
        stages = place_stages(timings_ms)
        inside = [one for one in stages if one.stage not in AROUND]
        for one in stages:
            if one.stage in AROUND:
                self._stage(one, asked, parent, started_ns)
        if not inside:
            return
        collection = asked.query.collection
        begin_ms = timings_ms.get("cache", 0.0)
        span = self._tracer.start_span(
            f"retrieval {collection}",
            context=parent,
            start_time=started_ns + _ns(begin_ms),
            attributes={
                "gen_ai.operation.name": "retrieval",
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.data_source.id": collection,
                "gen_ai.request.top_k": float(asked.query.k),
            },
        )
        context = self._parent(span)
        for one in inside:
            self._stage(one, asked, context, started_ns)
        last_ms = max(one.start_ms + one.ms for one in inside)
        span.end(started_ns + _ns(max(begin_ms + timings_ms.get("search", 0.0), last_ms)))

    def _stage(self, one: Placed, asked: Asked, parent: "Context", started_ns: int) -> None:
        name, attributes = one.stage, {"steelyard.stage": one.stage}
        if one.stage == "embed":
            name = f"embeddings {asked.embedder}"
            attributes |= {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": asked.embedder,
            }
        begun_ns = started_ns + _ns(one.start_ms)
        span = self._tracer.start_span(
            name, context=parent, start_time=begun_ns, attributes=attributes
        )
        # Rounded once: what follows begins no nanosecond before it ends.
        span.end(started_ns + _ns(one.start_ms + one.ms))

    def _generation(self, answer: Answer, asked: Asked, parent: "Context", ended_ns: int) -> None:
        timings_ms, usage = answer.usage.timings_ms, answer.usage
        ahead_ms = timings_ms.get("total", 0.0) - timings_ms["generate"]
        attributes: dict[str, Any] = {
            "steelyard.stage": "generate",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": usage.model,
            "gen_ai.response.model": usage.model,
            "gen_ai.request.stream": asked.stream,
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
        }
        if "first_token" in timings_ms:
            first_s = max(0.0, timings_ms["first_token"] - ahead_ms) / 1000
            attributes["gen_ai.response.time_to_first_chunk"] = first_s
        span = self._tracer.start_span(
            f"chat {usage.model}", context=parent,
            start_time=ended_ns - _ns(timings_ms["generate"]), attributes=attributes,
        )  # fmt: skip
        span.end(ended_ns)

    def _root(self, name: str, asked: Asked, started_ns: int) -> "Span":
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            name, context=extract(asked.headers), kind=SpanKind.SERVER, start_time=started_ns,
            attributes={"gen_ai.provider.name": PROVIDER, "http.route": asked.route},
        )  # fmt: skip

    def _parent(self, span: "Span") -> "Context":
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(span)


def open_tracing(environment: Mapping[str, str] | None = None) -> Tracing | None:
    """Return what makes spans, if the standard OTEL_* variables ask for it; None otherwise.

    On: `OTEL_TRACES_EXPORTER` is `otlp` or `console`, or an OTLP endpoint is set. A variable that
    cannot be honoured is told in the log: traces must not keep a server from starting.
    """
    env = os.environ if environment is None else environment
    kind = env.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    kind = kind or ("otlp" if any(env.get(name) for name in ENDPOINTS) else "none")
    if kind == "none" or env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    problem = _problem(kind, env)
    if problem is not None:
        log.warning("tracing_off reason=%s", problem)
        return None
    return _open(kind)


def _problem(kind: str, env: Mapping[str, str]) -> str | None:
    if kind not in ("otlp", "console"):
        return f"OTEL_TRACES_EXPORTER={kind!r} is not known here; use otlp, console or none"
    protocol = env.get(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", env.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    )
    if kind == "otlp" and protocol not in ("", "http/protobuf"):
        return f"the OTLP protocol is {protocol!r}; only http/protobuf is spoken here"
    needed = "opentelemetry.sdk" if kind == "console" else "opentelemetry.exporter.otlp.proto.http"
    try:
        found = find_spec(needed)
    except ModuleNotFoundError:
        found = None
    return None if found else "OpenTelemetry is missing; run `pip install 'steelyard[otel]'`"


def _open(kind: str) -> Tracing:
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
        SpanExporter,
    )

    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", PROVIDER)})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if kind == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
        return Tracing(provider)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter: SpanExporter = OTLPSpanExporter()  # reads the endpoint and its headers itself
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def _of_search(snapshot: int, degraded: tuple[str, ...]) -> dict[str, Any]:
    parts = [part.partition(":")[0] for part in degraded]  # the reason may quote a message
    return {"steelyard.snapshot": snapshot, "steelyard.degraded": parts}


def _ns(ms: float) -> int:
    return int(ms * 1_000_000)
