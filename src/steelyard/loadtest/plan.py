"""Which trials a bench runs: every concurrency, cache on and off, cold and warm."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from steelyard.core.errors import InputError

Cache = Literal["on", "off"]
Pass = Literal["cold", "warm"]

MAX_CLIENTS = 1024
MAX_REQUESTS = 100_000
LEAST_SHARE = 5  # fewer unseen questions than this tell nothing about a cold start
SEED = 20261121


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked for. `rate` 0: a closed loop."""

    clients: tuple[int, ...] = (1, 2, 8, 32, 64)
    caches: tuple[Cache, ...] = ("off", "on")
    num_requests: int = 200
    seconds: float = 10.0
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """`questions` are numbers into the file; a warm trial asks what the cold one before it did."""

    cache: Cache
    temperature: Pass
    num_clients: int
    questions: tuple[int, ...]
    num_requests: int

    @property
    def order(self) -> list[int]:
        return [self.questions[n % len(self.questions)] for n in range(self.num_requests)]


@dataclass(frozen=True, slots=True)
class Plan:
    """`notes` say what the questions were too few for."""

    trials: tuple[Trial, ...]
    notes: tuple[str, ...]


def check_shape(shape: Shape) -> None:
    """Raises InputError for numbers that cannot be run; names the option."""
    if not shape.clients or not all(1 <= one <= MAX_CLIENTS for one in shape.clients):
        given = ",".join(map(str, shape.clients))
        raise InputError(f"--clients {given!r}: give numbers from 1 to {MAX_CLIENTS}, as 1,8,32")
    if not 1 <= shape.num_requests <= MAX_REQUESTS:
        raise InputError(f"--requests {shape.num_requests} must be from 1 to {MAX_REQUESTS:,}")
    if not 0 < shape.seconds <= 3600:
        raise InputError(f"--seconds {shape.seconds:g} must be above 0 and at most 3600")
    if not 0 <= shape.rate <= 100_000:
        raise InputError(f"--rate {shape.rate:g} must be from 0 (a closed loop) to 100,000")


def plan(num_questions: int, shape: Shape) -> Plan:
    """Deal the questions out, so that each concurrency's first pass meets unseen ones.

    A cold trial asks each question of its share once; the warm one after it asks them again, up
    to `num_requests`. Shares grow with the number of clients. With too few questions for that,
    every trial asks all of them and only the very first is cold.
    """
    levels = [(clients, cache) for clients in shape.clients for cache in shape.caches]
    numbers = list(range(num_questions))
    random.Random(SEED).shuffle(numbers)
    shares = _shares(numbers, [max(clients, 20) for clients, _ in levels])
    own = all(len(share) >= LEAST_SHARE for share in shares) or len(levels) == 1
    trials: list[Trial] = []
    for n, ((clients, cache), share) in enumerate(zip(levels, shares, strict=True)):
        questions = tuple(sorted(share if own else numbers))
        if own or n == 0:
            trials.append(Trial(cache, "cold", clients, questions, len(questions)))
        trials.append(Trial(cache, "warm", clients, questions, shape.num_requests))
    return Plan(tuple(trials), tuple(_notes(trials, num_questions, own=own)))


def _shares(numbers: Sequence[int], weights: Sequence[int]) -> list[Sequence[int]]:
    """Cut `numbers` into parts in proportion to `weights`."""
    total = sum(weights)
    ends = [round(len(numbers) * sum(weights[: n + 1]) / total) for n in range(len(weights))]
    return [numbers[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _notes(trials: Sequence[Trial], num_questions: int, *, own: bool) -> list[str]:
    notes = []
    if not own:
        notes.append(
            f"{num_questions} questions are too few to meet every concurrency with unseen ones: "
            "only the first run is cold"
        )
    few = [
        str(trial.num_clients)
        for trial in trials
        if trial.temperature == "cold" and len(trial.questions) < trial.num_clients
    ]
    if few:
        notes.append(
            f"cold runs at {', '.join(dict.fromkeys(few))} clients have fewer unseen questions "
            "than clients: give more questions for a full load"
        )
    return notes
