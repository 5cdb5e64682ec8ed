"""What measuring costs: processor time a question, with traces off and on.

    python bench/telemetry.py

Writes bench/out/telemetry.json. Processor time, because a loaded machine stretches wall time.
"""

import gc
from collections.abc import Callable
from time import process_time, time_ns

from machine import write_result
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from steelyard.core.chat import Answer, Usage
from steelyard.core.ranking import PUBLIC, Query
from steelyard.infra.telemetry import Histogram, Windows
from steelyard.server.metrics import Metrics
from steelyard.server.tracing import Asked, Tracing

TIMINGS_MS = {
    "embed": 3.4, "dense": 0.7, "lexical": 1.1, "fuse": 0.1, "fetch": 0.6, "rerank": 31.0,
    "context": 0.4, "search": 38.0, "first_token": 92.0, "generate": 410.0, "total": 448.0,
}  # fmt: skip
ROUNDS, REPEATS = 20_000, 5


class Nowhere(SpanExporter):
    """Takes spans and forgets them: the network is not what is measured."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def answer() -> Answer:
    return Answer(
        id="a1", text="", answerable=True, citations=(), unsupported=(), sources=(),
        usage=Usage(timings_ms=TIMINGS_MS, prompt_tokens=900, completion_tokens=80, model="m"),
        cache="miss", bundle="b1", snapshot=1, degraded=("rerank: late",),
    )  # fmt: skip


def cost_us(step: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """Return the least mean of several repeats, in microseconds of processor time."""
    best = float("inf")
    for _ in range(REPEATS):
        gc.collect()
        started = process_time()
        for _ in range(rounds):
            step()
        best = min(best, (process_time() - started) / rounds * 1e6)
    return round(best, 2)


def main() -> None:
    metrics, windows, histogram = Metrics(), Windows(), Histogram()
    done = answer()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracing = Tracing(provider)
    asked = Asked("/v1/query", Query("q", PUBLIC), {}, "minilm")
    seconds = {stage: ms / 1000 for stage, ms in TIMINGS_MS.items()}
    write_result(
        "telemetry",
        {
            "record_one_value_us": cost_us(lambda: histogram.record(0.0123)),
            "record_one_window_us": round(
                cost_us(lambda: windows.record(seconds)) / len(seconds), 3
            ),
            "a_question_us": cost_us(lambda: metrics.answered(done, question="How many?")),
            "a_request_us": cost_us(lambda: metrics.request("/v1/query", 200)),
            "admission_us": cost_us(metrics.admitted),
            "a_batch_us": cost_us(lambda: metrics.batch("questions", 4, 48, 2)),
            "a_trace_us": cost_us(
                lambda: tracing.answered(done, asked, ended_ns=time_ns()), rounds=1000
            ),
            "a_report_ms": round(cost_us(lambda: metrics.recent.report(300), rounds=50) / 1000, 2),
            "a_scrape_ms": round(cost_us(metrics.expose, rounds=50) / 1000, 2),
        },
    )
    tracing.close()


if __name__ == "__main__":
    main()
