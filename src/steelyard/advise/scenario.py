"""A scenario: what a team needs and has, checked as a whole before anything is computed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Self

from steelyard.advise.inputs import ASSUMED, BY_KEY, MAX_MONTHS, Spec
from steelyard.core.errors import InputError

GIVEN = "the scenario"


@dataclass(frozen=True, slots=True)
class Value:
    """An input's value, the range that is believed possible, and who says so."""

    value: float
    low: float
    high: float
    source: str = GIVEN

    @property
    def is_default(self) -> bool:
        return self.source.startswith(ASSUMED)


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one GPU answers at the latency target: questions a second, by tokens in and out."""

    tokens_in: float
    tokens_out: float
    questions_per_s: float


@dataclass(frozen=True, slots=True)
class Choices:
    """What is bought, as items of the price book; "" leaves it out or means one's own.

    `api_model` is a model whose tokens are paid for; `tuned_model` a tuned one that is. `gpu` is
    what a model of one's own runs on. `training` is paid a million tokens; "" tunes on `gpu`.
    `private`: questions, documents and rows may not leave; `citations`: an answer must show its
    source.
    """

    months: int = 12
    api_model: str = "gpt-6-luna"
    tuned_model: str = ""
    gpu: str = "gpu/h100-sxm"
    training: str = "tuning/prime-intellect/qwen3.5-9b"
    embedding: str = ""
    vector_db: str = ""
    server: str = "server/cpu-4"
    disk: str = "storage/disk"
    person: str = "person/hour"
    private: bool = False
    citations: bool = False


# One H100, an 8B model in FP8, p99 of the first token within 2 s.
THROUGHPUT = (Throughput(1_024, 128, 32.3), Throughput(8_192, 512, 1.5))
THROUGHPUT_SOURCE = (
    "published figures, an 8B model in FP8 on one H100, p99 of the first token within 2 s, 2026"
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`values` holds every input of `inputs.SPECS`."""

    name: str
    values: Mapping[str, Value]
    choices: Choices = field(default_factory=Choices)
    throughput: tuple[Throughput, ...] = THROUGHPUT
    throughput_source: str = THROUGHPUT_SOURCE
    title: str = ""

    def __getitem__(self, key: str) -> Value:
        return self.values[key]

    @classmethod
    def read(cls, given: Mapping[str, Any], *, name: str = "yours") -> Self:
        """Check and complete what was given: inputs and choices by name, `throughput`, `title`.

        An input is a number, or `{value, low, high}`.

        Raises:
            InputError: names every fault with its place, the allowed range and the repair.
        """
        faults: list[str] = []
        values = {key: _default(spec) for key, spec in BY_KEY.items()}
        chosen: dict[str, Any] = {}
        throughput: tuple[Throughput, ...] = THROUGHPUT
        for key, raw in given.items():
            if key in BY_KEY:
                values[key] = _value(BY_KEY[key], raw, faults)
            elif key in _CHOICES:
                chosen[key] = _choice(key, raw, faults)
            elif key == "throughput":
                throughput = _throughput(raw, faults)
            elif key not in ("name", "title"):
                faults.append(_unknown(key))
        choices = Choices(**chosen) if not faults else Choices()
        if not faults and not (choices.api_model or choices.tuned_model or choices.gpu):
            faults.append("api_model, tuned_model and gpu are all empty: nothing could answer")
        if not faults and not choices.gpu and (choices.private or not choices.training):
            faults.append("gpu is empty, and private rows or an empty training need one to tune on")
        if faults:
            raise InputError(f"scenario {name!r}: " + "; ".join(faults), code="bad_scenario")
        source = THROUGHPUT_SOURCE if throughput is THROUGHPUT else GIVEN
        title = str(given.get("title", ""))
        return cls(str(given.get("name", name)), values, choices, throughput, source, title)


_CHOICES = {one.name: one.type for one in fields(Choices)}


def _default(spec: Spec) -> Value:
    below, above = spec.unsure or (1.0, 1.0)
    low = max(spec.low, spec.default * below)
    return Value(spec.default, low, min(spec.high, spec.default * above), _source(spec))


def _source(spec: Spec) -> str:
    return ASSUMED if spec.source == ASSUMED else f"{ASSUMED}, from {spec.source}"


def _value(spec: Spec, raw: Any, faults: list[str]) -> Value:
    parts = {"value": raw}
    if isinstance(raw, Mapping):
        parts = dict(raw)
        if "value" not in parts or set(parts) - {"value", "low", "high", "source"}:
            faults.append(f"{spec.key}: {dict(raw)!r} needs value, and may have low, high, source")
            return _default(spec)
    source = str(parts.pop("source", GIVEN))
    numbers = {part: number_of(spec, part, one, faults) for part, one in parts.items()}
    value = numbers["value"]
    low, high = numbers.get("low", value), numbers.get("high", value)
    if not any(math.isnan(one) for one in (value, low, high)) and not low <= value <= high:
        faults.append(f"{spec.key}: low {low:g} ≤ value {value:g} ≤ high {high:g} does not hold")
    return Value(value, low, high, source)


def number_of(spec: Spec, part: str, raw: Any, faults: list[str]) -> float:
    """Return a number within the input's range; else NaN, and the fault is told."""
    place = spec.key if part == "value" else f"{spec.key}.{part}"
    try:
        number = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number) or not spec.low <= number <= spec.high:
        faults.append(
            f"{place}: {raw!r} is no number from {spec.low:g} to {spec.high:g} ({spec.unit})"
        )
        return math.nan
    return number


def _choice(key: str, raw: Any, faults: list[str]) -> Any:
    kind = _CHOICES[key]
    if key == "months":
        if isinstance(raw, bool) or raw != int(_or_nan(raw, 0)) or not 1 <= raw <= MAX_MONTHS:
            faults.append(f"months: {raw!r} is no whole number from 1 to {MAX_MONTHS}")
            return 12
        return int(raw)
    if kind is bool and not isinstance(raw, bool):
        faults.append(f"{key}: {raw!r} is neither true nor false")
    elif kind is str and not isinstance(raw, str):
        faults.append(f"{key}: {raw!r} is no name of an item; `steelyard prices list` has them")
    return raw


def _or_nan(raw: Any, other: float) -> float:
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return other
    return number if math.isfinite(number) else other


def _throughput(raw: Any, faults: list[str]) -> tuple[Throughput, ...]:
    found: list[Throughput] = []
    rows = raw if isinstance(raw, Sequence) and not isinstance(raw, str) else [raw]
    for row in rows:
        try:
            point = Throughput(**{key: float(one) for key, one in dict(row).items()})
            numbers = (point.tokens_in, point.tokens_out, point.questions_per_s)
            good = all(0 < number < 1e9 for number in numbers)
        except (TypeError, ValueError):
            good = False
        if not good:
            faults.append(
                f"throughput: {row!r} needs tokens_in, tokens_out and questions_per_s, each over 0"
            )
            return THROUGHPUT
        found.append(point)
    totals = [one.tokens_in + one.tokens_out for one in found]
    if not found or len(set(totals)) < len(totals):
        faults.append("throughput: one point or more, each of another number of tokens")
    return tuple(sorted(found, key=lambda one: one.tokens_in + one.tokens_out))


def _unknown(key: str) -> str:
    near = get_close_matches(key, [*BY_KEY, *_CHOICES, "throughput"], n=1)
    return f"{key}: unknown" + (f", did you mean {near[0]!r}?" if near else "")
