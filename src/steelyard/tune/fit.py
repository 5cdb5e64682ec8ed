"""A run from rows to an artefact: prepared, checked, trained, saved; its folder tells the way."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, SetupError, SteelyardError
from steelyard.core.training import TrainingRow
from steelyard.core.tuning import Binding, RunState, TokenAccount
from steelyard.infra.binding import write_binding
from steelyard.infra.files import sync
from steelyard.tune.folder import ACCOUNTING, INPUTS, RECIPE, SUMMARY, RunFolder, RunStatus
from steelyard.tune.kinds import check_rows, task_for
from steelyard.tune.needs import need_libraries
from steelyard.tune.reading import recipe_sha256, recipe_text
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Prepared, Sets, Task
from steelyard.tune.tokens import check_account

Told = Callable[[Mapping[str, Any]], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a run learns from and is measured on. `dataset` names the training rows' version,
    `licence` is theirs, as far as one is known for all."""

    train: Sequence[TrainingRow]
    eval: Sequence[TrainingRow] = ()
    guard: Sequence[TrainingRow] = ()
    dataset: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run. `before` and `after` are the measures on `eval` (and `guard_`…) rows, empty
    where there are none; `after` is of the weights that were kept."""

    run: str
    artefact: Path
    binding: Binding
    steps: int
    best_step: int
    tokens: int
    seconds: float
    before: Mapping[str, float]
    after: Mapping[str, float]


def prepare(task: Task, recipe: Recipe, rows: Rows) -> Sets:
    """Tokenise a run's rows, before any weights are loaded.

    Raises:
        InputError: no row, rows of another kind, rows of `eval` among those learnt from, or too
            many target tokens lost.
    """
    check_rows(recipe, rows.train, role="train")
    _check_apart(rows)
    train = task.prepare(rows.train, training=True)
    check_account(train.account, allow_lost=recipe.allow_lost, max_tokens=recipe.max_tokens)
    sets: dict[str, Prepared | None] = {"eval": None, "guard": None}
    for role, given in (("eval", rows.eval), ("guard", rows.guard)):
        if given:
            check_rows(recipe, given, role=role)
            sets[role] = task.prepare(given, training=False)
    return Sets(train, sets["eval"], sets["guard"])


def begin(run: RunFolder, recipe: Recipe, *, dataset: str = "") -> None:
    """Write what a run will do into its new folder; nothing has been trained yet."""
    (run.path / RECIPE).write_text(recipe_text(recipe), encoding="utf-8")
    run.write_status(RunStatus(RunState.PLANNED, recipe.kind, dataset=dataset))


def train(recipe: Recipe, rows: Rows, run: RunFolder, *, told: Told | None = None) -> Trained:
    """Train to the end, or go on from the run's newest checkpoint; `told` hears each metric.

    Ctrl-C and SIGTERM end the run after its step, with a checkpoint.

    Raises:
        Interrupted: the run was asked to end; the folder says `interrupted` or `cancelled`.
        SteelyardError: it failed; the folder says why, and holds no artefact.
    """
    need_libraries()
    if not _first():
        return _train(recipe, rows, run, told=lambda line: None, stop=lambda: "")
    with run.held(), _stoppable(run) as stop:
        run.forget_cancel()
        before = run.status()
        began = RunStatus(
            RunState.RUNNING,
            recipe.kind,
            step=before.step,
            started_at=before.started_at or time.time(),
            pid=os.getpid(),
            dataset=rows.dataset,
        )
        run.write_status(began)
        run.say(f"{'goes on' if before.started_at else 'begins'}: {recipe.kind.value}")
        with _ending(run):
            return _train(recipe, rows, run, told=told or (lambda line: None), stop=stop)


class Interrupted(Exception):  # no error: it was asked for
    """A run ended before its time, as somebody asked; `state` is what its folder says now."""

    def __init__(self, state: RunState, run: RunFolder) -> None:
        super().__init__(state.value)
        self.state, self.run = state, run


def _train(
    recipe: Recipe, rows: Rows, run: RunFolder, *, told: Told, stop: Callable[[], str]
) -> Trained:
    from steelyard.tune.checkpoint import Checkpoints
    from steelyard.tune.crew import Crew
    from steelyard.tune.loop import Loop, Watch

    task = task_for(recipe)
    sets = prepare(task, recipe, rows)
    inputs = {"base": asdict(task.base()), "rows_sha256": _rows_sha256(rows)}
    _check_same(run, inputs)
    with _threads(recipe.threads), contextlib.closing(Crew(recipe.train)) as crew:
        if crew.first:
            _write_preparation(run, inputs, sets)
        watch = Watch(metrics=_metrics_to(run, told), stop=stop)
        checkpoints = Checkpoints(run.checkpoints)
        loop = Loop(task, recipe, sets, crew=crew, checkpoints=checkpoints, watch=watch)
        if crew.first:
            checkpoints.sweep()
            run.trim_metrics(loop.position.step or -1)  # measured again from the start
            run.write_status(
                replace(run.status(), step=loop.position.step, num_steps=loop.num_steps)
            )
        ended = loop.run()
        trained = _trained(recipe, rows, run, task=task, ended=ended)
        if crew.first:
            _keep(trained, run, task=task, model=ended.model)
            checkpoints.remove()
        crew.wait()
        return trained


def _trained(recipe: Recipe, rows: Rows, run: RunFolder, *, task: Task, ended: Any) -> Trained:
    binding = Binding(
        kind=recipe.kind,
        base=task.base(),
        method=recipe.method,
        max_tokens=recipe.max_tokens,
        layers=recipe.layers,
        labels=task.labels,
        dataset=rows.dataset,
        recipe_sha256=recipe_sha256(recipe),
        run=run.id,
        licence=rows.licence,
    )
    lines = [line for line in run.metrics() if "eval" in line]
    return Trained(
        run=run.id,
        artefact=run.artefact,
        binding=binding,
        steps=ended.position.step,
        best_step=ended.position.best_step or ended.position.step,
        tokens=ended.position.tokens,
        seconds=ended.seconds,
        before=lines[0]["eval"] if lines and lines[0]["step"] == 0 else {},
        after=ended.after,
    )


def _keep(trained: Trained, run: RunFolder, *, task: Task, model: Any) -> None:
    """Write the artefact beside, sync, rename: it is there as a whole or not."""
    from steelyard.tune.checkpoint import written

    beside = run.path / f".artefact.{os.getpid()}"
    try:
        with written(run.artefact):
            beside.mkdir()
            settings = task.save(model, beside)
            write_binding(beside, replace(trained.binding, settings=dict(settings)))
            for path in sorted(beside.rglob("*")):
                sync(path)
            if run.artefact.exists():
                shutil.rmtree(run.artefact)
            beside.rename(run.artefact)
            sync(run.path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    run.write(SUMMARY, summary_fields(trained))


def summary_fields(trained: Trained) -> dict[str, Any]:
    """Return a finished run as JSON fields; the artefact's place is its run's."""
    fields = asdict(trained)
    fields["artefact"] = trained.artefact.name
    return fields


@contextlib.contextmanager
def _ending(run: RunFolder) -> Iterator[None]:
    """Write into the folder how the run ended, whatever ends it."""
    from steelyard.tune.stops import Stopped

    try:
        yield
        _end(run, RunState.DONE)
    except Stopped as stopped:
        state = RunState(stopped.reason)
        _end(run, state)
        raise Interrupted(state, run) from stopped
    except KeyboardInterrupt:
        _end(run, RunState.INTERRUPTED)
        raise Interrupted(RunState.INTERRUPTED, run) from None
    except SteelyardError as error:
        _end(run, RunState.FAILED, error.message)
        raise
    except BaseException as error:
        _end(run, RunState.FAILED, f"{type(error).__name__}: {error}")
        raise


def _end(run: RunFolder, state: RunState, error: str = "") -> None:
    """Write the last state; a disk too full even for that must not hide why the run failed."""
    with contextlib.suppress(SetupError, OSError):
        ended = replace(run.status(), state=state, error=error, pid=0, ended_at=time.time())
        run.write_status(ended)
        run.say(f"{state.value}{': ' if error else ''}{error}")


@contextlib.contextmanager
def _stoppable(run: RunFolder) -> Iterator[Callable[[], str]]:
    """Yield what tells why the run should end; a second Ctrl-C ends it at once.

    Signals are heard in the main thread alone; a run in another thread is ended by its folder.
    """
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    def stop() -> str:
        if heard:
            return RunState.INTERRUPTED.value
        return RunState.CANCELLED.value if run.asked_to_cancel() else ""

    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    import torch

    had = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(had)


def _metrics_to(run: RunFolder, told: Told) -> Told:
    """Return what writes metrics to the folder, and the step into its state each second."""
    written_at = 0.0

    def tell(line: Mapping[str, Any]) -> None:
        nonlocal written_at
        run.append_metrics(line)
        if time.monotonic() - written_at >= 1.0:
            written_at = time.monotonic()
            run.write_status(replace(run.status(), step=line["step"]))
        told(line)

    return tell


def _write_preparation(run: RunFolder, inputs: Mapping[str, Any], sets: Sets) -> None:
    run.write(INPUTS, inputs)
    given = {"train": sets.train, "eval": sets.eval, "guard": sets.guard}
    accounts = {role: account_fields(one.account) for role, one in given.items() if one}
    run.write(ACCOUNTING, {**accounts, "notes": list(sets.train.notes)})
    for note in sets.train.notes:
        run.say(note)


def account_fields(account: TokenAccount) -> dict[str, Any]:
    return {**asdict(account), "total": account.total, "lost_share": account.lost_share}


def _check_same(run: RunFolder, inputs: Mapping[str, Any]) -> None:
    """Check that a run goes on with the base and the rows that it began with."""
    known = run.read(INPUTS)
    if not known or not run.checkpoints.exists():
        return
    differing = [key for key in inputs if known.get(key) != inputs[key]]
    if differing:
        names = {"base": "the base model", "rows_sha256": "the rows"}
        raise InputError(
            f"run {run.id!r} cannot go on: {' and '.join(names[key] for key in differing)} "
            "changed since it began; give back what it began with, or begin a new run",
            code="changed_inputs",
        )


def _check_apart(rows: Rows) -> None:
    """Check that no row that is learnt from is measured on."""
    learnt = {repr(row.example) for row in rows.train}
    for role, given in (("eval", rows.eval), ("guard", rows.guard)):
        both = sum(repr(row.example) in learnt for row in given)
        if both:
            raise InputError(
                f"{both:,} of {len(given):,} rows of data.{role} are learnt from too, so they "
                "would measure memory; split the data by `steelyard data split`",
                code="leak",
            )


def _rows_sha256(rows: Rows) -> str:
    digest = hashlib.sha256()
    for role in (rows.train, rows.eval, rows.guard):
        digest.update(json.dumps([repr(row.example) for row in role]).encode())
    return digest.hexdigest()


def _first() -> bool:
    """Tell whether this is the process that writes, among those `accelerate launch` started."""
    return int(os.environ.get("RANK", "0")) == 0
