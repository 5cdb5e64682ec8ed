"""What the Operations page shows: the last minutes, in memory of fixed size."""

import heapq
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from time import monotonic, time
from typing import Any, Generic, TypeVar

from steelyard.core.chat import Answer
from steelyard.infra.telemetry import Clock, Names, Quantiles, Ring, Slot, Tally, Windows

MAX_SLOW = 20
MAX_QUESTION = 300  # characters of a question that are kept
LOOP_LAG = "loop_lag"
# The upper bounds of the batch sizes that are counted apart.
SIZES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class SlowRequest:
    """A question among the slowest; `at` is Unix time."""

    id: str
    at: float
    question: str
    cache: str
    degraded: tuple[str, ...]
    timings_ms: Mapping[str, float]


@dataclass(slots=True)
class _Slowest:
    """The slowest requests of a slot, as a heap with the fastest of them on top."""

    heap: list[tuple[float, int, SlowRequest]] = field(default_factory=list)

    def clear(self) -> None:
        self.heap.clear()


@dataclass(slots=True)
class _Depth:
    """How long a queue was during a slot."""

    highest: int = 0

    def clear(self) -> None:
        self.highest = 0


@dataclass(slots=True)
class _Batches:
    """The batches of a slot, by size."""

    sizes: dict[str, int] = field(default_factory=dict)
    num_batches: int = 0
    num_items: int = 0
    weight: int = 0

    def clear(self) -> None:
        self.sizes.clear()
        self.num_batches = self.num_items = self.weight = 0


S = TypeVar("S", bound=Slot)


class _Rings(Generic[S]):
    """A ring a name, for a handful of names."""

    def __init__(self, make: Callable[[], S], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._names = Names(8)
        self.by_name: dict[str, Ring[S]] = {}

    def slot(self, name: str) -> S:
        name = self._names(name)
        now_s = self._clock()
        if name not in self.by_name:
            self.by_name[name] = Ring(self._make, now_s)
        return self.by_name[name].at(now_s)

    def recent(self, window_s: float) -> dict[str, list[S]]:
        now_s = self._clock()
        return {name: ring.recent(window_s, now_s) for name, ring in self.by_name.items()}


class Recent:
    """Safe from any thread; `report` costs some milliseconds and belongs on a worker."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._serial = count()
        self._stages = Windows(clock)
        self._lag = Windows(clock)
        self._slow = Ring(_Slowest, clock())
        self._depths = _Rings(_Depth, clock)
        self._batches = _Rings(_Batches, clock)
        self._waiting: dict[str, int] = {}
        self.cache = Tally(clock)
        self.answers = Tally(clock)
        self.degraded = Tally(clock)
        self.admission = Tally(clock)

    def stages(self, seconds: Mapping[str, float]) -> None:
        self._stages.record(seconds)

    def loop_lag(self, lag_s: float) -> None:
        self._lag.record({LOOP_LAG: lag_s})

    def question(self, answer: Answer, question: str) -> None:
        """Keep an answer's timings if it is among the slowest of its ten seconds."""
        total_ms = float(answer.usage.timings_ms.get("total", 0.0))
        with self._lock:
            heap = self._slow.at(self._clock()).heap
            if len(heap) >= MAX_SLOW and total_ms <= heap[0][0]:
                return
            one = SlowRequest(
                id=answer.id,
                at=time(),
                question=question[:MAX_QUESTION],
                cache=answer.cache,
                degraded=answer.degraded,
                timings_ms=answer.usage.timings_ms,
            )
            heapq.heappush(heap, (total_ms, next(self._serial), one))
            if len(heap) > MAX_SLOW:
                heapq.heappop(heap)

    def batch(self, model: str, num_items: int, weight: int) -> None:
        with self._lock:
            slot = self._batches.slot(model)
            size = size_name(num_items)
            slot.sizes[size] = slot.sizes.get(size, 0) + 1
            slot.num_batches += 1
            slot.num_items += num_items
            slot.weight += weight

    def queue_depth(self, queue: str, num_waiting: int) -> None:
        with self._lock:
            slot = self._depths.slot(queue)
            slot.highest = max(slot.highest, num_waiting)
            self._waiting[queue] = num_waiting

    def slowest(self, window_s: float) -> list[SlowRequest]:
        """Return the slowest questions of the window, slowest first."""
        with self._lock:
            slots = self._slow.recent(window_s, self._clock())
            found = [entry for slot in slots for entry in slot.heap]
        return [one for _, _, one in sorted(found, reverse=True)[:MAX_SLOW]]

    def report(self, window_s: float) -> dict[str, Any]:
        """Return the windows as JSON; times in milliseconds."""
        return {
            "stages": [
                {"stage": stage, **_ms(summary)}
                for stage, summary in self._stages.summaries(window_s).items()
                if summary.count
            ],
            "answers": self.answers.counts(window_s),
            "cache": self.cache.counts(window_s),
            "degraded": self.degraded.counts(window_s),
            "batches": self._batch_report(window_s),
            "queues": self._queue_report(window_s),
            "admission": self.admission.counts(window_s),
            "loop_lag": _ms(self._lag.summaries(window_s).get(LOOP_LAG)),
            "slow": [slow_json(one) for one in self.slowest(window_s)],
        }

    def _batch_report(self, window_s: float) -> dict[str, Any]:
        report = {}
        with self._lock:
            for model, slots in self._batches.recent(window_s).items():
                num_batches = sum(slot.num_batches for slot in slots)
                names = [size_name(size) for size in (*SIZES, SIZES[-1] + 1)]
                sizes = {name: sum(slot.sizes.get(name, 0) for slot in slots) for name in names}
                num_items = sum(slot.num_items for slot in slots)
                report[model] = {
                    "count": num_batches,
                    "items": num_items,
                    "weight": sum(slot.weight for slot in slots),
                    "mean": round(num_items / num_batches, 3) if num_batches else 0.0,
                    "sizes": sizes,
                }
        return report

    def _queue_report(self, window_s: float) -> dict[str, Any]:
        with self._lock:
            return {
                queue: {
                    "now": self._waiting.get(queue, 0),
                    "max": max(slot.highest for slot in slots),
                }
                for queue, slots in self._depths.recent(window_s).items()
            }


def size_name(size: int) -> str:
    """Return the class of batch sizes that `size` belongs to: 1, 2, 3-4, 5-8 and so on."""
    below = 0
    for bound in SIZES:
        if size <= bound:
            return str(bound) if bound - below == 1 else f"{below + 1}-{bound}"
        below = bound
    return f"{below + 1}+"


def slow_json(one: SlowRequest) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": datetime.fromtimestamp(one.at, UTC).isoformat(),
        "question": one.question,
        "cache": one.cache,
        "degraded": list(one.degraded),
        "timings_ms": dict(one.timings_ms),
    }


def _ms(summary: Quantiles | None) -> dict[str, float | int]:
    """Return a summary of seconds in milliseconds, to a microsecond."""
    seconds = asdict(summary or Quantiles())
    num = seconds.pop("count")
    return {"count": num, **{name: round(value * 1000, 3) for name, value in seconds.items()}}
