"""Latencies and counts of the last minutes, in memory of fixed size, without samples.

A value costs one logarithm and one increment; a quantile is right within 1 %. Legend: B buckets.
"""

import math
import threading
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Generic, Protocol, TypeVar

import numpy as np

LOWEST, HIGHEST = 1e-6, 100.0  # one microsecond to a hundred seconds
RELATIVE_ERROR = 0.009  # of a bucket's value to any value in it; below 1 % with rounding
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)  # from one bucket's edge to the next
_SCALE = 1 / math.log(_GROWTH)
_OFFSET = 1 - math.log(LOWEST) * _SCALE
NUM_BUCKETS = math.ceil(math.log(HIGHEST / LOWEST) * _SCALE) + 2  # with one below, one above
_FAR = 1e6  # what is longer counts as this, so that no sum becomes infinite

SLOT_S = 10.0
LONGEST_WINDOW_S = 300.0
NUM_SLOTS = int(LONGEST_WINDOW_S / SLOT_S) + 1

_log = math.log
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """What a histogram holds, in the unit that was recorded; all 0 when it is empty."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class Histogram:
    """Counts values in buckets that grow by 1.8 %, as an HDR histogram does.

    What is below `LOWEST` counts as 0, NaN too; quantiles beyond `HIGHEST` are the greatest value
    seen. Not locked: see `Windows`.
    """

    __slots__ = ("_buckets", "_counts_B", "highest", "total")

    def __init__(self) -> None:
        self._buckets = array("I", bytes(4 * NUM_BUCKETS))
        self._counts_B = np.frombuffer(self._buckets, dtype=np.uint32)  # the same memory
        self.clear()

    def clear(self) -> None:
        self._counts_B.fill(0)
        self.total = 0.0
        self.highest = 0.0

    @property
    def count(self) -> int:
        return int(self._counts_B.sum())

    def record(self, value: float) -> None:
        if LOWEST <= value < HIGHEST:
            self._buckets[int(_log(value) * _SCALE + _OFFSET)] += 1
        elif value >= HIGHEST:
            value = min(value, _FAR)
            self._buckets[NUM_BUCKETS - 1] += 1
        else:
            value = 0.0
            self._buckets[0] += 1
        self.total += value
        if value > self.highest:
            self.highest = value

    def merge(self, other: "Histogram") -> None:
        """Add what `other` holds; the same as having recorded its values here."""
        self._counts_B += other._counts_B
        self.total += other.total
        self.highest = max(self.highest, other.highest)

    def quantiles(self, ps: Sequence[float]) -> list[float]:
        """Return the value at each rank ceil(p * count), within 1 %; zeros when empty."""
        upto_B = np.cumsum(self._counts_B, dtype=np.int64)
        count = int(upto_B[-1])
        if not count:
            return [0.0] * len(ps)
        ranks = [max(1, math.ceil(p * count)) for p in ps]
        return [self._value(int(bucket)) for bucket in np.searchsorted(upto_B, ranks)]

    def _value(self, bucket: int) -> float:
        """Return the value that is equally wrong, relatively, at both edges of a bucket."""
        if bucket == 0:
            return 0.0
        if bucket == NUM_BUCKETS - 1:
            return self.highest
        low = math.exp((bucket - _OFFSET) / _SCALE)
        return min(2 * low * _GROWTH / (1 + _GROWTH), self.highest)

    def summary(self) -> Quantiles:
        count = self.count
        if not count:
            return Quantiles()
        p50, p95, p99 = self.quantiles((0.5, 0.95, 0.99))
        return Quantiles(count, self.total / count, p50, p95, p99, self.highest)


class Slot(Protocol):
    """What a ring is made of."""

    def clear(self) -> None: ...


S = TypeVar("S", bound=Slot)


class Ring(Generic[S]):
    """Slots of `SLOT_S` seconds; the oldest is emptied and becomes the newest. Not locked."""

    def __init__(self, make: Callable[[], S], now_s: float) -> None:
        self._slots = [make() for _ in range(NUM_SLOTS)]
        self._tick = int(now_s / SLOT_S)

    def at(self, now_s: float) -> S:
        """Return the slot of this moment."""
        tick = int(now_s / SLOT_S)
        if tick != self._tick:
            for passed in range(min(tick - self._tick, NUM_SLOTS)):
                self._slots[(tick - passed) % NUM_SLOTS].clear()
            self._tick = tick
        return self._slots[tick % NUM_SLOTS]

    def recent(self, window_s: float, now_s: float) -> list[S]:
        """Return the slots of the last `window_s` seconds, newest first; the oldest of them
        may reach up to one slot further back."""
        self.at(now_s)
        num = min(math.ceil(window_s / SLOT_S), NUM_SLOTS - 1) + 1
        return [self._slots[(self._tick - back) % NUM_SLOTS] for back in range(num)]


class Windows:
    """Sliding histograms by name, made at a name's first use; safe from any thread.

    Each takes 130 kB; names beyond `max_names` share `other`.
    """

    def __init__(self, clock: Clock = monotonic, *, max_names: int = 40) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._rings: dict[str, Ring[Histogram]] = {}
        self._names = Names(max_names)

    def record(self, values: Mapping[str, float]) -> None:
        """Record one value for each name: one lock and one look at the clock for all."""
        with self._lock:
            now_s = self._clock()
            for name, value in values.items():
                ring = self._rings.get(name) or self._ring(name)
                ring.at(now_s).record(value)

    def _ring(self, name: str) -> Ring[Histogram]:
        name = self._names(name)
        ring = self._rings.get(name)
        if ring is None:
            ring = self._rings[name] = Ring(Histogram, self._clock())
        return ring

    def summaries(self, window_s: float) -> dict[str, Quantiles]:
        """Return what each name's window holds, in the order of first use; empty ones too."""
        found = {}
        with self._lock:
            now_s = self._clock()
            for name, ring in self._rings.items():
                merged = Histogram()
                for slot in ring.recent(window_s, now_s):
                    merged.merge(slot)
                found[name] = merged.summary()
        return found


class _Counts(dict[str, int]):
    """A slot of a `Tally`."""


class Tally:
    """Sliding counts by name; safe from any thread. Names beyond `max_names` are `other`."""

    def __init__(self, clock: Clock = monotonic, *, max_names: int = 32) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._ring = Ring(_Counts, clock())
        self._names = Names(max_names)

    def add(self, name: str, num: int = 1) -> None:
        name = self._names(name)
        with self._lock:
            counts = self._ring.at(self._clock())
            counts[name] = counts.get(name, 0) + num

    def counts(self, window_s: float) -> dict[str, int]:
        """Return the counts of the window by name, in the order of the names' first use."""
        with self._lock:
            slots = [dict(slot) for slot in self._ring.recent(window_s, self._clock())]
        sums = {name: sum(slot.get(name, 0) for slot in slots) for name in self._names.seen}
        return {name: num for name, num in sums.items() if num}


class Names:
    """Bounds a vocabulary: the first `most` names stay, any later one becomes `other`."""

    OTHER = "other"

    def __init__(self, most: int, *, known: Iterable[str] = ()) -> None:
        self._most = most
        self.seen: dict[str, str] = {name: name for name in known}

    def __call__(self, name: str) -> str:
        kept = self.seen.get(name)
        if kept is not None:
            return kept
        if len(self.seen) >= self._most:
            self.seen.setdefault(self.OTHER, self.OTHER)
            return self.OTHER
        return self.seen.setdefault(name, name)


def rss_bytes() -> int | None:
    """Return this process's resident memory; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize()
