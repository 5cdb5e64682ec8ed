"""Prometheus metrics, fed from the same `Usage` that the caller reads."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

BUCKETS_S = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8,
    1.5, 3.0, 6.0, 12.0, 30.0, 60.0,
)  # fmt: skip


class Metrics:
    """One registry a server, so that two in one process do not collide."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "steelyard_requests", "HTTP requests", ["route", "status"], registry=self.registry
        )
        self._stages = Histogram(
            "steelyard_stage_seconds",
            "time of one stage of a question",
            ["stage"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._tokens = Counter(
            "steelyard_tokens", "tokens of the language model", ["kind"], registry=self.registry
        )
        self._answers = Counter(
            "steelyard_answers", "answers by outcome", ["outcome"], registry=self.registry
        )
        self._degraded = Counter(
            "steelyard_degraded", "answers by what was left out", ["part"], registry=self.registry
        )
        self._ingested = Counter(
            "steelyard_documents_ingested", "documents by end", ["state"], registry=self.registry
        )
        self._loop_lag = Gauge(
            "steelyard_event_loop_lag_seconds", "last measured lag", registry=self.registry
        )
        self._sizes = Gauge(
            "steelyard_corpus", "what the home holds", ["what"], registry=self.registry
        )

    def request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        for stage, took_ms in timings_ms.items():
            self._stages.labels(stage).observe(took_ms / 1000)

    def degraded(self, parts: Iterable[str]) -> None:
        for part in parts:
            self._degraded.labels(part.partition(":")[0]).inc()

    def answer(self, outcome: str, *, prompt_tokens: int = 0, completion_tokens: int = 0) -> None:
        self._answers.labels(outcome).inc()
        self._tokens.labels("prompt").inc(prompt_tokens)
        self._tokens.labels("completion").inc(completion_tokens)

    def ingested(self, state: str) -> None:
        self._ingested.labels(state).inc()

    def loop_lag(self, lag_s: float) -> None:
        self._loop_lag.set(lag_s)

    def corpus(self, sizes: Mapping[str, int]) -> None:
        for what, size in sizes.items():
            self._sizes.labels(what).set(size)

    def expose(self) -> bytes:
        return generate_latest(self.registry)
