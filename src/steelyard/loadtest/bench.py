"""Runs a plan against a server, one trial after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from steelyard.core.errors import UpstreamError
from steelyard.loadtest.drive import Load
from steelyard.loadtest.fleet import Measured, measure
from steelyard.loadtest.plan import Plan, Shape, Trial
from steelyard.loadtest.samples import Summary
from steelyard.loadtest.wire import Target, request_bytes, target_of

BYPASS = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Asked:
    """How questions are put to the server at `url`; `search_only` asks for hits, no answer."""

    url: str
    search_only: bool = False
    k: int | None = None
    collection: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return "/v1/search" if self.search_only else "/v1/query"

    def target(self, trial: Trial) -> Target:
        bypass = BYPASS if trial.cache == "off" else {}
        return target_of(self.url, self.path, headers={**self.headers, **bypass})

    def body(self, question: str) -> dict[str, object]:
        body: dict[str, object] = {"query": question}
        if not self.search_only:
            body["stream"] = True
        if self.k is not None:
            body["k"] = self.k
        if self.collection:
            body["collection"] = self.collection
        return body


@dataclass(frozen=True, slots=True)
class TrialResult:
    trial: Trial
    summary: Summary


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured; `interrupted` says that trials are missing, or the last is short."""

    results: tuple[TrialResult, ...]
    notes: tuple[str, ...]
    interrupted: bool = False


def run_bench(
    plan: Plan,
    questions: Sequence[str],
    asked: Asked,
    *,
    shape: Shape,
    on_trial: Callable[[Trial, Summary], None] = lambda trial, summary: None,
) -> Bench:
    """Run the trials of a plan; Ctrl-C keeps what was measured.

    Raises:
        UpstreamError: not one request of a trial was answered, by what the first error says.
    """
    results: list[TrialResult] = []
    interrupted = False
    seen: tuple[int, ...] | None = None
    for planned in plan.trials:
        trial = planned
        if trial.temperature == "warm" and seen is not None:
            trial = replace(trial, questions=seen)  # the cold pass may have run out of time
        try:
            measured = _measure(trial, questions, asked, shape)
        except KeyboardInterrupt:
            interrupted = True
            break
        summary = measured.summary
        if measured.samples:
            results.append(TrialResult(trial, summary))
            on_trial(trial, summary)
        interrupted = measured.interrupted
        if interrupted:
            break
        _check_answered(summary, asked)
        answered = tuple(sorted({s.question for s in measured.samples if not s.code}))
        seen = answered or None if trial.temperature == "cold" else None
    return Bench(tuple(results), plan.notes, interrupted)


def _measure(trial: Trial, questions: Sequence[str], asked: Asked, shape: Shape) -> Measured:
    target = asked.target(trial)
    used = {number: n for n, number in enumerate(trial.questions)}
    requests = [request_bytes(target, asked.body(questions[number])) for number in used]
    load = Load(
        target,
        requests,
        [used[number] for number in trial.order],
        num_clients=trial.num_clients,
        seconds=shape.seconds,
        rate=shape.rate,
    )
    measured = measure(load)
    back = trial.questions
    samples = tuple(replace(s, question=back[s.question]) for s in measured.samples)
    return replace(measured, samples=samples)


def _check_answered(summary: Summary, asked: Asked) -> None:
    if summary.num_answered or summary.num_rejected or summary.num_unfinished:
        return
    codes = ", ".join(f"{code} × {num}" for code, num in summary.errors.items())
    raise UpstreamError(f"{asked.url}{asked.path} answered no request of a whole run: {codes}")
