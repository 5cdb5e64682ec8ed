"""Questions × arms → outcomes → values → figures with intervals and verdicts → a report."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter

from steelyard.core.errors import SteelyardError
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
from steelyard.flows.caveats import caveats, judge_note
from steelyard.infra.concurrent import compute, together
from steelyard.infra.machine import machine

BLOCK = 32  # questions that one arm answers before the next arm has its turn
KEEP_S = 0.5  # what a killed process has asked in vain, at most


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
    `fresh`: what is known is asked again. `judge` gives the values of judged measures; `notes` go
    into the report, with `late_notes` of when all is asked; `documents` give it the names of a
    live home's."""

    baseline: str
    min_effects: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 2
    cluster_by: str = "auto"
    resamples: int = 10_000
    fresh: bool = False
    judge: Judge | None = None
    notes: tuple[str, ...] = ()
    late_notes: Callable[[], Sequence[str]] = tuple
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
        told = [self.kept[place].outcome for place in range(len(self.keys))]
        return [
            # An outcome may be shared with a question, or a run, that has another id for it.
            one if one.question_id == identity else replace(one, question_id=identity)
            for one, identity in zip(told, self.ids, strict=True)
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
        if not options.fresh:
            known = await compute(workers, records.known, list(dict.fromkeys(run.keys)))
            run.kept = {place: known[key] for place, key in enumerate(run.keys) if key in known}
        run.reused = len(run.kept)
        on_progress(run.progress())
    asking = _Asking(asked, records, workers, options, on_progress)
    for turn, begin in enumerate(range(0, len(asked), BLOCK)):
        block = range(begin, min(begin + BLOCK, len(asked)))
        for run in _in_turn(runs, turn):
            missing = [place for place in block if place not in run.kept]
            if missing:
                begun = perf_counter()
                kept_s = await asking.ask(run, missing)
                asking_s += perf_counter() - begun - kept_s
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


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks arms a few questions at a time, and keeps what they say soon after they said it."""

    questions: Sequence[Question]
    records: Records
    workers: ThreadPoolExecutor
    options: EvaluateOptions
    on_progress: Callable[[Progress], None]

    async def ask(self, run: _Run, places: Sequence[int]) -> float:
        """Ask an arm the questions in these places; return the seconds spent on keeping."""
        said: dict[int, Outcome] = {}  # and not kept yet
        waiting = iter(places)
        kept_at, keeping_s = perf_counter(), 0.0

        async def worker() -> None:
            nonlocal kept_at
            for place in waiting:
                said[place] = await run.arm.run(self.questions[place])
                if perf_counter() - kept_at > KEEP_S:
                    kept_at = perf_counter()
                    await keep()
                    self.on_progress(run.progress())

        async def keep() -> None:
            nonlocal keeping_s
            begun = perf_counter()
            some = dict(said)
            said.clear()
            await compute(self.workers, self._keep, run, some)
            keeping_s += perf_counter() - begun

        try:
            await together(*(worker() for _ in range(self.options.concurrency)))
            await keep()
        except BaseException:
            with suppress(SteelyardError):  # a full disk, say; why it ended matters more
                self._keep(run, said)
            raise
        return keeping_s

    def _keep(self, run: _Run, said: Mapping[int, Outcome]) -> None:
        rows = [(run.keys[place], outcome) for place, outcome in said.items()]
        kept = self.records.keep(rows, fresh=self.options.fresh)
        run.kept |= zip(said, kept, strict=True)


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
            notes.append(judge_note(measure.name, run.arm.name, found))
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
    told = caveats(
        {run.arm.name: run.outcomes() for run in runs},
        {run.arm.name: run.reused for run in runs},
        measures,
        values,
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
        notes=(*questions.notes, *notes, *options.late_notes(), *told),
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


def _in_turn(runs: Sequence[_Run], turn: int) -> list[_Run]:
    first = turn % len(runs)
    return [*runs[first:], *runs[:first]]
