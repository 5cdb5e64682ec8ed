"""What one request showed, and what many of them say together."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

REJECTED = "rejected"  # 429: the server said "not now", which is no failure
UNFINISHED = "unfinished"  # its time was up while it ran, or before it could be sent


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. `code` "" means answered; times are from its (scheduled) start.

    `first_ms` is the first visible token of a stream; None where nothing visible came.
    `timings_ms`, `cache` and `degraded` are what the server itself said.
    """

    question: int
    total_ms: float
    first_ms: float | None = None
    code: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    cache: str = ""
    degraded: tuple[str, ...] = ()

    def row(self) -> list[Any]:
        return [
            self.question,
            self.total_ms,
            self.first_ms,
            self.code,
            dict(self.timings_ms),
            self.cache,
            list(self.degraded),
        ]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> "Sample":
        question, total_ms, first_ms, code, timings_ms, cache, degraded = row
        return cls(question, total_ms, first_ms, code, timings_ms, cache, tuple(degraded))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of `num` exact values, by nearest rank: pN is the smallest value that N % do not exceed."""

    num: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    def row(self) -> dict[str, float]:
        names = ("mean", "p50", "p95", "p99", "max")
        return {"num": self.num, **{name: round(getattr(self, name), 3) for name in names}}


def quantiles(values: Iterable[float]) -> Quantiles | None:
    """Return None for no values: there is no percentile of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    mean = math.fsum(ordered) / len(ordered)
    p50, p95, p99 = (percentile(ordered, p) for p in (50, 95, 99))
    return Quantiles(len(ordered), mean, p50, p95, p99, ordered[-1])


def percentile(ordered: Sequence[float], p: float) -> float:
    """Return the nearest-rank percentile of sorted, non-empty values."""
    return ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the samples of one trial say; percentiles are of answered requests only.

    `errors` counts by code; `stages_ms` has the server's stages by its own names, in its order.
    """

    num_answered: int
    num_rejected: int
    num_unfinished: int
    errors: Mapping[str, int]
    per_s: float
    took_s: float
    first_ms: Quantiles | None
    total_ms: Quantiles | None
    rejected_ms: Quantiles | None
    stages_ms: Mapping[str, Quantiles]
    cache: Mapping[str, int]
    degraded: Mapping[str, int]

    @property
    def num_errors(self) -> int:
        return sum(self.errors.values())


def summarise(samples: Sequence[Sample], *, took_s: float) -> Summary:
    answered = [sample for sample in samples if not sample.code]
    rejected = [sample for sample in samples if sample.code == REJECTED]
    special = ("", REJECTED, UNFINISHED)
    names = dict.fromkeys(stage for sample in answered for stage in sample.timings_ms)
    stages = {
        name: quantiles(s.timings_ms[name] for s in answered if name in s.timings_ms)
        for name in names
    }
    return Summary(
        num_answered=len(answered),
        num_rejected=len(rejected),
        num_unfinished=sum(sample.code == UNFINISHED for sample in samples),
        errors=dict(Counter(s.code for s in samples if s.code not in special)),
        per_s=len(answered) / took_s if took_s > 0 else 0.0,
        took_s=took_s,
        first_ms=quantiles(s.first_ms for s in answered if s.first_ms is not None),
        total_ms=quantiles(sample.total_ms for sample in answered),
        rejected_ms=quantiles(sample.total_ms for sample in rejected),
        stages_ms={name: found for name, found in stages.items() if found is not None},
        cache=dict(Counter(sample.cache for sample in answered if sample.cache)),
        # "llm: cannot connect to ..." and its like differ in their details only.
        degraded=dict(Counter(mark.split(":")[0] for s in answered for mark in s.degraded)),
    )
