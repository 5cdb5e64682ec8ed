"""Questions × arms → outcomes → values → figures with intervals and verdicts → a report."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

from steelyard.core.evaluation import (
    ArmFigures,
    Outcome,
    Question,
    QuestionSet,
    Report,
    SetDocument,
    Values,
)
from steelyard.core.protocols import Arm, Measure
from steelyard.datasets import clusters
from steelyard.evals.measures import values_of
from steelyard.evals.measures.judge import Judge
from steelyard.evals.measures.judged import JudgedMeasure
from steelyard.evals.records import Kept, Records
from steelyard.evals.report import shown_documents
from steelyard.evals.statistics import Weighed, weigh
from steelyard.infra.concurrent import compute, together
from steelyard.infra.machine import machine

BLOCK = 32  # questions that one arm answers before the next arm has its turn


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an arm is: `done` of `total` questions, of which `reused` were known."""

    arm: str
    done: int
    total: int
    reused: int
    failed: int


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """`baseline` names the arm that the others are compared with. `min_effects` are the
    smallest differences that matter, by measure; `concurrency` questions are asked at once.
    `judge` gives the values of judged measures; `notes` go into the report, and `documents` give
    it the names of a live home's."""

    baseline: str
    min_effects: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 2
    cluster_by: str = "auto"
    resamples: int = 10_000
    judge: Judge | None = None
    notes: tuple[str, ...] = ()
    documents: tuple[SetDocument, ...] = ()


@dataclass(slots=True)
class _Run:
    """One arm's outcomes as they come, by the question's place in the set."""

    arm: Arm
    ids: list[str]
    keys: list[bytes]
    kept: dict[int, Kept] = field(default_factory=dict)
    reused: int = 0

    def outcomes(self) -> list[Outcome]:
        """Return all outcomes in the set's order; every question has one by now."""
        return [
            replace(self.kept[place].outcome, question_id=self.ids[place])
            for place in range(len(self.keys))
        ]

    def progress(self) -> Progress:
        failed = sum(1 for one in self.kept.values() if one.outcome.error)
        return Progress(self.arm.name, len(self.kept), len(self.keys), self.reused, failed)


async def evaluate(
    questions: QuestionSet,
    arms: Sequence[Arm],
    measures: Sequence[Measure],
    *,
    records: Records,
    workers: ThreadPoolExecutor,
    options: EvaluateOptions,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Run what is not known yet, weigh all of it, and keep the report.

    Interrupted, it loses at most what is under way; run again, it asks only what is missing.
    Arms take turns, so that a noisy minute of the machine falls on all of them.
    """
    started = perf_counter()
    asking_s = 0.0
    asked = questions.questions
    runs = [_Run(arm, [q.id for q in asked], [arm.item_key(q) for q in asked]) for arm in arms]
    for run in runs:
        known = await compute(workers, records.known, list(dict.fromkeys(run.keys)))
        run.kept = {place: known[key] for place, key in enumerate(run.keys) if key in known}
        run.reused = len(run.kept)
        on_progress(run.progress())
    for turn, begin in enumerate(range(0, len(asked), BLOCK)):
        block = range(begin, min(begin + BLOCK, len(asked)))
        for run in _in_turn(runs, turn):
            missing = [place for place in block if place not in run.kept]
            if missing:
                begun = perf_counter()
                outcomes = await _ask(
                    run.arm, [asked[place] for place in missing], concurrency=options.concurrency
                )
                asking_s += perf_counter() - begun
                await compute(workers, _keep, records, run, missing, outcomes)
            on_progress(run.progress())
    values = await compute(workers, _values, questions, runs, measures)
    notes = list(options.notes)
    if options.judge is not None:
        notes += await _judged(options.judge, questions, runs, measures, values)
    report = await compute(workers, _weighed, questions, runs, measures, options, values, notes)
    wall_s = perf_counter() - started
    report = replace(report, wall_s=round(wall_s, 3), overhead_s=round(wall_s - asking_s, 3))
    numbers = {
        run.arm.name: [run.kept[place].number for place in range(len(run.keys))] for run in runs
    }
    named = replace(questions, documents=questions.documents or options.documents)
    shown = shown_documents(named, {run.arm.name: run.outcomes() for run in runs})
    await compute(workers, records.save, report, asked, numbers, documents=shown)
    return report


async def _ask(arm: Arm, asked: Sequence[Question], *, concurrency: int) -> list[Outcome]:
    """Return one arm's outcomes of some questions, in their order, a few at a time."""
    outcomes: list[Outcome | None] = [None] * len(asked)
    places = iter(range(len(asked)))

    async def worker() -> None:
        for place in places:
            outcomes[place] = await arm.run(asked[place])

    await together(*(worker() for _ in range(concurrency)))
    return [one for one in outcomes if one is not None]


def _keep(records: Records, run: _Run, places: Sequence[int], outcomes: Sequence[Outcome]) -> None:
    numbers = records.keep(
        (run.keys[place], outcome) for place, outcome in zip(places, outcomes, strict=True)
    )
    for place, number, outcome in zip(places, numbers, outcomes, strict=True):
        run.kept[place] = Kept(number, outcome)


def _values(
    questions: QuestionSet, runs: Sequence[_Run], measures: Sequence[Measure]
) -> dict[str, dict[str, Values]]:
    """Return what each measure that needs no judge says of each arm's outcomes."""
    plain = [measure for measure in measures if not isinstance(measure, JudgedMeasure)]
    return {run.arm.name: values_of(plain, questions.questions, run.outcomes()) for run in runs}


async def _judged(
    judge: Judge,
    questions: QuestionSet,
    runs: Sequence[_Run],
    measures: Sequence[Measure],
    values: Mapping[str, dict[str, Values]],
) -> list[str]:
    """Add what the judge says to `values`; return its own noise and its failures as notes."""
    notes: list[str] = []
    for measure in measures:
        if not isinstance(measure, JudgedMeasure):
            continue
        for run in runs:
            found = await judge.judge(measure.aspect, questions.questions, run.outcomes())
            values[run.arm.name][measure.name] = found.values
            told = f"{measure.name} of {run.arm.name}: {found.num_asked} judged"
            if found.num_asked:
                told += f", votes agree on {found.unanimous:.0%}, spread {found.mean_spread:.3f}"
            if found.failures:
                name, reason = next(iter(found.failures.items()))
                told += f"; {len(found.failures)} not judged, as {name!r}: {reason}"
            notes.append(told)
    return notes


def _weighed(
    questions: QuestionSet,
    runs: Sequence[_Run],
    measures: Sequence[Measure],
    options: EvaluateOptions,
    values: Mapping[str, Mapping[str, Values]],
    notes: Sequence[str],
) -> Report:
    asked = questions.questions
    labels_N = clusters(questions, options.cluster_by)
    weighed = weigh(
        values,
        labels_N,
        measures,
        baseline=options.baseline,
        min_effects=options.min_effects,
        resamples=options.resamples,
    )
    now = datetime.now(UTC)
    return Report(
        id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        created_at=now.isoformat(timespec="seconds"),
        set_name=questions.name,
        set_id=questions.id,
        question_ids=tuple(question.id for question in asked),
        clusters=labels_N,
        measures=tuple(measure.name for measure in measures),
        arms=tuple(_figures(run, asked, weighed) for run in runs),
        comparisons=weighed.comparisons,
        values=values,
        notes=(*questions.notes, *notes, *_degraded(runs)),
        machine=machine(),
    )


def _figures(run: _Run, asked: Sequence[Question], weighed: Weighed) -> ArmFigures:
    outcomes = run.outcomes()
    return ArmFigures(
        name=run.arm.name,
        parts=run.arm.parts,
        figures=weighed.figures[run.arm.name],
        failures={
            question.id: outcome.error
            for question, outcome in zip(asked, outcomes, strict=True)
            if outcome.error
        },
        busy_s=round(sum(outcome.wall_ms for outcome in outcomes) / 1000, 3),
        num_reused=run.reused,
    )


def _degraded(runs: Sequence[_Run]) -> list[str]:
    """Return a note for each arm that did not do all that it does on a quiet machine."""
    notes = []
    for run in runs:
        told = [one.outcome.degraded for one in run.kept.values() if one.outcome.degraded]
        if told:
            notes.append(
                f"{run.arm.name}: {len(told)} of {len(run.keys)} questions were answered without "
                f"all of its parts, as {told[0][0]!r}"
            )
    return notes


def _in_turn(runs: Sequence[_Run], turn: int) -> list[_Run]:
    first = turn % len(runs)
    return [*runs[first:], *runs[:first]]
