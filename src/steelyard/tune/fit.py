"""A run from rows to an artefact: prepared, checked, trained, saved; its folder tells the way."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.tuning import Binding, RunState
from steelyard.infra.binding import write_binding
from steelyard.infra.files import sync
from steelyard.tune.ending import ending, stoppable, threads
from steelyard.tune.folder import RECIPE, SUMMARY, RunFolder, RunStatus
from steelyard.tune.inputs import Rows, check_apart, check_same, rows_sha256, write_preparation
from steelyard.tune.kinds import check_rows, task_for
from steelyard.tune.needs import need_libraries
from steelyard.tune.reading import recipe_sha256, recipe_text
from steelyard.tune.recipe import Recipe
from steelyard.tune.task import Prepared, Sets, Task
from steelyard.tune.tokens import check_account

STATE_S = 1.0  # between two writings of how far a run is

Told = Callable[[Mapping[str, Any]], None]


def silent(line: Mapping[str, Any]) -> None:
    """Hear a run's metrics and say nothing."""


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
    check_apart(rows)
    if recipe.train.patience and not rows.eval:
        raise InputError("train.patience needs rows to measure on; give data.eval", code="no_rows")
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


def train(recipe: Recipe, rows: Rows, run: RunFolder, *, told: Told = silent) -> Trained:
    """Train to the end, or go on from the run's newest checkpoint; `told` hears each metric.

    Ctrl-C and SIGTERM end the run after its step, with a checkpoint.

    Raises:
        Interrupted: the run was asked to end; the folder says `interrupted` or `cancelled`.
        SteelyardError: it failed; the folder says why, and holds no artefact.
    """
    need_libraries()
    if not first_process():
        return _train(recipe, rows, run, told=silent, stop=lambda: "")
    with run.held(), stoppable(run) as stop:
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
        with ending(run):
            return _train(recipe, rows, run, told=told, stop=stop)


def _train(
    recipe: Recipe, rows: Rows, run: RunFolder, *, told: Told, stop: Callable[[], str]
) -> Trained:
    from steelyard.tune.checkpoint import Checkpoints
    from steelyard.tune.crew import Crew
    from steelyard.tune.loop import Loop, Watch

    task = task_for(recipe)
    sets = prepare(task, recipe, rows)
    inputs = {"base": asdict(task.base()), "rows_sha256": rows_sha256(rows)}
    check_same(run, inputs)
    with threads(recipe.threads), contextlib.closing(Crew(recipe.train)) as crew:
        if crew.first:
            write_preparation(run, inputs, sets)
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
        best_step=_best_step(ended.position),
        tokens=ended.position.tokens,
        seconds=ended.seconds,
        before=lines[0]["eval"] if lines and lines[0]["step"] == 0 else {},
        after=ended.after,
    )


def _best_step(position: Any) -> int:
    return int(position.step if position.best is None else position.best_step)


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


def _metrics_to(run: RunFolder, told: Told) -> Told:
    """Return what writes metrics to the folder and, now and then, the step into its state."""
    status: RunStatus | None = None
    written_at = 0.0

    def tell(line: Mapping[str, Any]) -> None:
        nonlocal status, written_at
        status = status or run.status()
        run.append_metrics(line)
        if time.monotonic() - written_at >= STATE_S:
            written_at = time.monotonic()
            run.write_status(replace(status, step=line["step"]))
        told({**line, "num_steps": status.num_steps})

    return tell


def first_process() -> bool:
    """Tell whether this is the process that writes, among those `accelerate launch` started."""
    return int(os.environ.get("RANK", "0")) == 0
