"""Prometheus histograms that take the values of a whole question at once (bench/LOG.md)."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily


class Series:
    """A histogram with one label, fed as label value -> observation; safe from any thread.

    `bounds` are inclusive and ascending. `known` label values are exposed from the start; the
    caller bounds how many others there are.
    """

    def __init__(
        self,
        name: str,
        text: str,
        *,
        label: str,
        bounds: Sequence[float],
        registry: CollectorRegistry,
        known: Iterable[str] = (),
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds = tuple(bounds)
        self._names = [*(repr(float(bound)) for bound in bounds), "+Inf"]
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        for value in known:
            self._begin(value)
        registry.register(self)

    def observe(self, values: Mapping[str, float]) -> None:
        with self._lock:
            for key, value in values.items():
                counts = self._counts.get(key) or self._begin(key)
                counts[bisect_left(self._bounds, value)] += 1
                self._sums[key] += value

    def _begin(self, key: str) -> list[int]:
        self._sums[key] = 0.0
        return self._counts.setdefault(key, [0] * (len(self._bounds) + 1))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the family as it is now, with cumulative counts; called at a scrape."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        with self._lock:
            for key, counts in self._counts.items():
                upto, buckets = 0, []
                for name, count in zip(self._names, counts, strict=True):
                    upto += count
                    buckets.append((name, upto))
                family.add_metric([key], buckets, self._sums[key])
        yield family
