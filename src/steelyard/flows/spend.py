"""Showback: the query log and the training runs × the prices of their days → what was spent.

Each question is priced on the day on which it was asked. What an answer from the cache saved is
what that answer cost when it was made, or what its model's answers cost on average.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from steelyard.core.chat import SERVED_AGAIN
from steelyard.core.errors import InputError
from steelyard.core.prices import Price
from steelyard.cost import Bill, Book, Used, answer_bill, machine_bill, price_json
from steelyard.flows.training_runs import list_runs, run_details
from steelyard.jobs import Standing
from steelyard.store import Store, UsedAnswer

FAILED = "it ended without an answer"
_SPANS_S = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}

BY: Mapping[str, Callable[[UsedAnswer], str]] = {
    "collection": lambda one: one.collection,
    "principal": lambda one: one.principal_id,
    "model": lambda one: one.model or "none",
    "bundle": lambda one: one.bundle or "not known",
    "day": lambda one: str(day_of(one.at)),
}


@dataclass(slots=True)
class Line:
    """What one group of questions used and cost.

    `num_again` were served from the cache and cost no model anything; of `num_unknown` nobody
    can tell the cost. Tokens and `usd` are those that are known.
    """

    name: str
    num_questions: int = 0
    num_again: int = 0
    num_failed: int = 0
    num_unknown: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    saved_usd: float = 0.0

    @property
    def usd_per_1000(self) -> float | None:
        """Dollars for 1,000 questions, over those whose cost is known; None: of none."""
        known = self.num_questions - self.num_unknown
        return 1000 * self.usd / known if known else None

    @property
    def unknown_share(self) -> float:
        return self.num_unknown / self.num_questions if self.num_questions else 0.0


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """What a training run took; `usd` None: not known, and `unknown` says why."""

    run: str
    kind: str
    state: str
    started_at: float
    tokens: int
    seconds: float
    usd: float | None
    unknown: str


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent on questions since a time (Unix seconds), the dearest group first.

    `unknown` counts why costs are not known; `prices` are the rows that were used, `notes` what
    to know of them and of the log.
    """

    by: str
    since: float
    lines: tuple[Line, ...]
    total: Line
    unknown: Mapping[str, int]
    trainings: tuple[TrainingLine, ...]
    prices: tuple[Price, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Pricing:
    """A book for each day, bills, and the rows that they used."""

    book: Book
    machine: str
    books: dict[date, Book] = field(default_factory=dict)
    used: dict[Price, None] = field(default_factory=dict)

    def on(self, at: float) -> Book:
        day = day_of(at)
        return self.books.setdefault(day, self.book.later(day))

    def answer(self, one: UsedAnswer) -> Bill:
        if one.error and one.completion_tokens is None:
            return Bill(unknown=FAILED)
        used = Used(
            one.model, one.prompt_tokens, one.completion_tokens, one.cached_tokens, one.generate_s
        )
        return self._noted(answer_bill(used, self.on(one.at), machine=self.machine))

    def seconds(self, seconds: float, at: float) -> Bill:
        if not self.machine:
            return Bill(unknown="name the machine that trained: --machine gpu/NAME")
        return self._noted(machine_bill(seconds, self.on(at), self.machine))

    def _noted(self, bill: Bill) -> Bill:
        self.used.update(dict.fromkeys(part.price for part in bill.parts))
        return bill


def spend(
    home: Path, store: Store, *, by: str = "collection", since: float = 0.0, machine: str = ""
) -> Spend:
    """Return what questions and training runs cost since a time.

    `machine` is an item in dollars an hour that pays for models without a price of their own, and
    for training.

    Raises:
        InputError: no such grouping.
        NotFound: the machine has no price.
        SetupError: the home's `prices.toml` is wrong.
    """
    if by not in BY:
        raise InputError(f"there is no spend by {by!r}; by {', '.join(BY)}")
    pricing = _Pricing(Book(home), machine)
    if machine and pricing.book.price(machine).unit != "USD/hour":
        raise InputError(f"{machine!r} is not priced by the hour; take one of gpu/ or hosting/")
    asked = store.used_answers(since=since)
    bills = [Bill() if one.cache in SERVED_AGAIN else pricing.answer(one) for one in asked]
    lines, total = _lines(asked, bills, by=BY[by])
    trainings = tuple(_training(home, pricing, since))
    unknown = Counter(bill.unknown for bill in bills if bill.unknown)
    return Spend(
        by=by,
        since=since,
        lines=lines,
        total=total,
        unknown=dict(unknown.most_common()),
        trainings=trainings,
        prices=tuple(pricing.used),
        notes=_notes(pricing, store, asked, total),
    )


def since_of(text: str, *, now: float) -> float:
    """Return the Unix time that `30m`, `12h`, `7d`, `2w` (ago) or a day stands for; "": 0.

    Raises:
        InputError: it is neither.
    """
    if not text:
        return 0.0
    span = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if span:
        return now - int(span[1]) * _SPANS_S[span[2]]
    try:
        begun = datetime.combine(date.fromisoformat(text.strip()), datetime.min.time(), UTC)
    except ValueError:
        raise InputError(
            f"since {text!r} is no time; write a span as 12h, 7d or 2w, or a day as 2026-11-01"
        ) from None
    return begun.timestamp()


def day_of(at: float) -> date:
    """Return the day of a Unix time, in UTC."""
    return datetime.fromtimestamp(at, UTC).date()


def spend_json(found: Spend) -> dict[str, Any]:
    """Return spend as JSON fields."""
    return {
        "by": found.by,
        "since": found.since,
        "total": _line_json(found.total),
        "groups": [_line_json(line) for line in found.lines],
        "unknown": [{"reason": why, "num_questions": n} for why, n in found.unknown.items()],
        "trainings": [asdict(line) for line in found.trainings],
        "prices": [price_json(price) for price in found.prices],
        "notes": list(found.notes),
    }


def _line_json(line: Line) -> dict[str, Any]:
    derived = {"usd_per_1000": line.usd_per_1000, "unknown_share": line.unknown_share}
    return asdict(line) | derived


def _lines(
    asked: Sequence[UsedAnswer], bills: Sequence[Bill], *, by: Callable[[UsedAnswer], str]
) -> tuple[tuple[Line, ...], Line]:
    lines: dict[str, Line] = {}
    total = Line("all")
    saved = _saved(asked, bills)
    for one, bill, saved_usd in zip(asked, bills, saved, strict=True):
        for line in (lines.setdefault(by(one), Line(by(one))), total):
            line.num_questions += 1
            line.num_again += one.cache in SERVED_AGAIN
            line.num_failed += bool(one.error)
            line.num_unknown += bill.usd is None
            line.prompt_tokens += one.prompt_tokens or 0
            line.cached_tokens += one.cached_tokens or 0
            line.completion_tokens += one.completion_tokens or 0
            line.usd += bill.usd or 0.0
            line.saved_usd += saved_usd
    return tuple(sorted(lines.values(), key=lambda line: (-line.usd, line.name))), total


def _saved(asked: Sequence[UsedAnswer], bills: Sequence[Bill]) -> list[float]:
    """Return what each answer from the cache saved; 0.0 for the others, and where nobody knows."""
    made: dict[tuple[str, str, bytes], float] = {}
    of_model: dict[str, list[float]] = {}
    for one, bill in zip(asked, bills, strict=True):
        if one.cache not in SERVED_AGAIN and bill.usd is not None:
            made[one.bundle, one.model, one.text] = bill.usd
            of_model.setdefault(one.model, []).append(bill.usd)
    mean = {model: fmean(costs) for model, costs in of_model.items()}
    return [
        made.get((one.bundle, one.model, one.text), mean.get(one.model, 0.0))
        if one.cache in SERVED_AGAIN
        else 0.0
        for one in asked
    ]


def _training(home: Path, pricing: _Pricing, since: float) -> Iterable[TrainingLine]:
    for run, standing in list_runs(home):
        if not standing.started_at or standing.started_at < since:
            continue
        summary = run_details(home, run).summary
        seconds = _number(summary.get("seconds")) or _lasted(standing)
        bill = pricing.seconds(seconds, standing.started_at)
        yield TrainingLine(
            run=run,
            kind=standing.kind,
            state=standing.state.value,
            started_at=standing.started_at,
            tokens=int(_number(summary.get("tokens"))),
            seconds=seconds,
            usd=bill.usd,
            unknown=bill.unknown,
        )


def _lasted(standing: Standing) -> float:
    """Return the seconds from a run's beginning to its end or its last sign of life."""
    last = standing.ended_at or standing.updated_at or standing.started_at or 0.0
    return max(0.0, last - (standing.started_at or 0.0))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _notes(
    pricing: _Pricing, store: Store, asked: Sequence[UsedAnswer], total: Line
) -> tuple[str, ...]:
    notes = [
        f"{price.item}: {warning}"
        for price in pricing.used
        for warning in pricing.book.warnings(price)
    ]
    whole = store.log_is_whole_since()
    if asked and asked[0].at < whole + _SPANS_S["d"]:
        notes.append(f"the query log is whole from {day_of(whole)} on; what was before is gone")
    if total.num_unknown:
        notes.append(
            f"the cost of {total.num_unknown:,} of {total.num_questions:,} questions "
            f"({total.unknown_share:.0%}) is not known, and not in the sum"
        )
    return tuple(dict.fromkeys(notes))
