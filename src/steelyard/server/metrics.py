"""Every measurement of the server, told once: to Prometheus and to the last minutes' windows.

Stage timings are those of `Usage`, which the caller reads too; nothing is timed twice.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from steelyard.core.chat import Answer
from steelyard.core.ranking import SearchResult
from steelyard.infra.telemetry import Names
from steelyard.server.recent import Recent
from steelyard.server.series import Series

BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1,
    0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0,
)  # fmt: skip
INGEST_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
LAG_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
WEIGHT_BUCKETS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)

STAGES = (
    "cache", "embed", "dense", "lexical", "fuse", "fetch", "rerank", "search", "context",
    "first_token", "generate", "total",
)  # fmt: skip
MAX_STAGES, MAX_PARTS = 40, 24
CACHE = ("off", "miss", "exact", "semantic")
OUTCOMES = ("answered", "not_in_documents", "error")
SIDES = ("champion", "challenger")
ADMISSION = ("admitted", "rejected")
STATES = ("searchable", "unchanged", "failed", "skipped")
_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Home:
    """What a scrape tells of the home. `behind`: changes that the index has not applied;
    `oldest_s`: how long the oldest open submission waits."""

    num_documents: int
    num_chunks: int
    behind: int
    num_open: int
    oldest_s: float


class Metrics:
    """One registry a server, so that two in one process do not collide.

    Labels are bounded: stages and parts that are no plain word, or come after the first few
    dozen, are counted as `other`.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.recent = Recent()
        self.num_in_flight = 0
        self._started = monotonic()
        self.registry = CollectorRegistry()
        self._stage_names = Names(MAX_STAGES, known=STAGES)
        self._part_names = Names(MAX_PARTS)
        self._stage_by_name = {stage: stage for stage in STAGES}
        ProcessCollector(registry=self.registry)
        self._make_of_questions()
        self._make_of_load()
        self._make_of_home()

    def _make_of_questions(self) -> None:
        self._stages = self._series(
            "steelyard_stage_seconds", "time of one stage of a question", "stage", BUCKETS_S, STAGES
        )
        self._first_token = self._series(
            "steelyard_first_token_seconds",
            "from the question to its first visible token, by cache outcome",
            "cache",
            BUCKETS_S,
            CACHE,
        )
        self._cache = self._counters(
            "steelyard_cache", "answers by cache outcome", "outcome", CACHE
        )
        self._answers = self._counters(
            "steelyard_answers", "answers by outcome", "outcome", OUTCOMES
        )
        self._tokens = self._counters(
            "steelyard_tokens", "tokens of the language model", "kind", ("prompt", "completion")
        )
        self._sides = Counter(
            "steelyard_side_answers",
            "answers of a live comparison by side and outcome; a side that was stood in for: error",
            ["side", "outcome"],
            registry=self.registry,
        )
        self._degraded = Counter(
            "steelyard_degraded", "answers by what was left out", ["part"], registry=self.registry
        )

    def _make_of_load(self) -> None:
        self._requests = Counter(
            "steelyard_requests", "HTTP requests", ["route", "status"], registry=self.registry
        )
        self._admission = self._counters(
            "steelyard_admission", "questions let in, and turned away as too many", "outcome",
            ADMISSION,
        )  # fmt: skip
        self._in_flight = Gauge(
            "steelyard_in_flight", "questions being worked on", registry=self.registry
        )
        self._batch_items = self._series(
            "steelyard_batch_items", "items of one batch", "model", SIZE_BUCKETS
        )
        self._batch_tokens = self._series(
            "steelyard_batch_tokens", "tokens of one batch", "model", WEIGHT_BUCKETS
        )
        self._queue_depth = Gauge(
            "steelyard_queue_depth", "items that wait", ["queue"], registry=self.registry
        )
        self._loop_lag = Histogram(
            "steelyard_event_loop_lag_seconds",
            "how late the event loop wakes up, measured twice a second",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )

    def _make_of_home(self) -> None:
        self._ingested = self._counters(
            "steelyard_documents_ingested", "documents by end", "state", STATES
        )
        self._ingest = Histogram(
            "steelyard_ingest_seconds",
            "from a document's submission to its end",
            buckets=INGEST_BUCKETS_S,
            registry=self.registry,
        )
        self._ingest_open = Gauge(
            "steelyard_ingest_open", "documents on their way", registry=self.registry
        )
        self._ingest_lag = Gauge(
            "steelyard_ingest_lag_seconds",
            "how long the oldest document on its way has waited",
            registry=self.registry,
        )
        self._behind = Gauge(
            "steelyard_index_behind",
            "committed changes that the index has not applied",
            registry=self.registry,
        )
        self._sizes = Gauge(
            "steelyard_corpus", "what the home holds", ["what"], registry=self.registry
        )

    def _series(
        self, name: str, text: str, label: str, bounds: Sequence[float], known: Iterable[str] = ()
    ) -> Series:
        return Series(name, text, label=label, bounds=bounds, registry=self.registry, known=known)

    def _counters(
        self, name: str, text: str, label: str, known: Iterable[str]
    ) -> dict[str, Counter]:
        """Return a counter's children by label, each exposed from the start as 0."""
        counter = Counter(name, text, [label], registry=self.registry)
        return {value: counter.labels(value) for value in known}

    def uptime_s(self) -> float:
        return monotonic() - self._started

    def request(self, route: str, status: int) -> None:
        self._requests.labels(route, str(status)).inc()

    def answered(self, answer: Answer, *, question: str = "") -> None:
        timings_ms = answer.usage.timings_ms
        cache = answer.cache if answer.cache in self._cache else "off"
        self.stages(timings_ms)
        self._cache[cache].inc()
        self.recent.cache.add(cache)
        if "first_token" in timings_ms:
            self._first_token.observe({cache: timings_ms["first_token"] / 1000})
        self._outcome("answered" if answer.answerable else "not_in_documents")
        self._tokens["prompt"].inc(answer.usage.prompt_tokens)
        self._tokens["completion"].inc(answer.usage.completion_tokens)
        self.degraded(answer.degraded)
        self.recent.question(answer, question)

    def searched(self, result: SearchResult) -> None:
        """Count a search; its total is the stage `search`, as inside an answer."""
        timings_ms = dict(result.timings_ms)
        if "total" in timings_ms:
            timings_ms["search"] = timings_ms.pop("total")
        self.stages(timings_ms)
        self.degraded(result.degraded)

    def side(self, side: str, outcome: str) -> None:
        """Count an answer of a live comparison; what belongs to none is left out."""
        if side in SIDES and outcome in OUTCOMES:
            self._sides.labels(side, outcome).inc()

    def failed(self) -> None:
        self._outcome("error")

    def _outcome(self, outcome: str) -> None:
        self._answers[outcome].inc()
        self.recent.answers.add(outcome)

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        named = self._stage_by_name
        seconds = {
            named.get(stage) or self._stage(stage): took_ms / 1000
            for stage, took_ms in timings_ms.items()
        }
        self._stages.observe(seconds)
        self.recent.stages(seconds)

    def _stage(self, stage: str) -> str:
        """Return what an unknown stage is counted as."""
        name = self._stage_names(_word(stage))
        if name == stage:
            self._stage_by_name[stage] = name
        return name

    def degraded(self, parts: Iterable[str]) -> None:
        """Count what was left out: of `part: reason`, the part."""
        for part in parts:
            name = self._part_names(_word(part))
            self._degraded.labels(name).inc()
            self.recent.degraded.add(name)

    def admitted(self) -> None:
        self._admission["admitted"].inc()
        self.recent.admission.add("admitted")

    def rejected(self) -> None:
        self._admission["rejected"].inc()
        self.recent.admission.add("rejected")

    def in_flight(self, num_questions: int) -> None:
        self.num_in_flight = num_questions
        self._in_flight.set(num_questions)

    def batch(self, model: str, num_items: int, num_tokens: int, num_waiting: int) -> None:
        """Count a batch as it starts; from any thread."""
        self._batch_items.observe({model: num_items})
        self._batch_tokens.observe({model: num_tokens})
        self.recent.batch(model, num_items, num_tokens)
        self.queue_depth(model, num_waiting)

    def queue_depth(self, queue: str, num_waiting: int) -> None:
        self._queue_depth.labels(queue).set(num_waiting)
        self.recent.queue_depth(queue, num_waiting)

    def ingested(self, state: str, took_s: float | None = None) -> None:
        if state in self._ingested:
            self._ingested[state].inc()
        if took_s is not None:
            self._ingest.observe(took_s)

    def loop_lag(self, lag_s: float) -> None:
        self._loop_lag.observe(lag_s)
        self.recent.loop_lag(lag_s)

    def home(self, home: Home) -> None:
        self._sizes.labels("documents").set(home.num_documents)
        self._sizes.labels("chunks").set(home.num_chunks)
        self._behind.set(home.behind)
        self._ingest_open.set(home.num_open)
        self._ingest_lag.set(home.oldest_s)

    def expose(self) -> bytes:
        return generate_latest(self.registry)


def _word(text: str) -> str:
    """Return the plain word that a name begins with; `other` if it begins with none."""
    found = _PLAIN.match(text)
    return found.group() if found else Names.OTHER
