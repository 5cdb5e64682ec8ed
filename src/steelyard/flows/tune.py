"""Dataset → train → (evaluate → gate → register → promote): from examples to an artefact.

A recipe's places become versions of training rows, so that a run can go on after anything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from steelyard.core.errors import InputError, NotFound
from steelyard.core.training import TrainingRow
from steelyard.core.tuning import RunState
from steelyard.cost import Book
from steelyard.datasets import list_sets
from steelyard.datasets.training import (
    Version,
    evaluation_questions,
    find_leaks,
    find_version,
    keep,
    read_files,
    read_kept,
)
from steelyard.tune import (
    RUNS,
    Plan,
    Recipe,
    Rows,
    RunFolder,
    Trained,
    begin,
    find_run,
    make_plan,
    new_run,
    prepare,
    probed,
    read_recipe,
    task_for,
    train,
)
from steelyard.tune import runs as runs_below
from steelyard.tune.fit import Told, first_process, silent

TRAIN, VALIDATION = "train", "validation"
_ID_CHARS = 16


@dataclass(frozen=True, slots=True)
class Ready:
    """A recipe whose places are versions by id, and the rows there."""

    recipe: Recipe
    rows: Rows


def ready(home: Path, recipe: Recipe, *, allow_leaks: bool = False) -> Ready:
    """Read a recipe's rows; files among its places are imported first.

    A version that has splits is learnt from by its `train`; its `validation` is measured on
    where the recipe names nothing else.

    Raises:
        InputError: a place that is neither, rows with faults, or evaluation questions among the
            rows that are learnt from.
    """
    if not recipe.data.train:
        raise InputError(
            "data.train is missing: name a version (`steelyard data versions`), a split of one "
            "as NAME@train, or a file of rows"
        )
    learnt = [_found(home, place, split=TRAIN) for place in recipe.data.train]
    measured = [_found(home, place) for place in recipe.data.eval]
    if not recipe.data.eval:
        measured = [
            replace(one, split=VALIDATION)
            for one in learnt
            if one.split == TRAIN and VALIDATION in one.version.splits
        ]
    guard = [_found(home, place) for place in recipe.data.guard]
    rows = _read(home, learnt)
    if not allow_leaks:
        _check_leaks(home, rows)
    licences = sorted({row.provenance.licence for row in rows} - {""})
    base = Path(recipe.base).expanduser()
    pinned = replace(
        recipe,
        base=str(base.resolve()) if base.is_dir() else recipe.base,
        data=replace(
            recipe.data,
            train=tuple(one.name for one in learnt),
            eval=tuple(one.name for one in measured),
            guard=tuple(one.name for one in guard),
        ),
    )
    made = Rows(
        train=rows,
        eval=_read(home, measured),
        guard=_read(home, guard),
        dataset=" ".join(one.name for one in learnt),
        licence=", ".join(licences),
    )
    return Ready(pinned, made)


def plan(home: Path, recipe: Recipe, *, probe: bool = False, allow_leaks: bool = False) -> Plan:
    """Return what a run would take; weights are loaded only to `probe` its time."""
    found = ready(home, recipe, allow_leaks=allow_leaks)
    task = task_for(found.recipe)
    sets = prepare(task, found.recipe, found.rows)
    made = make_plan(task, found.recipe, sets, prices=Book(home))
    return probed(made, task, found.recipe, sets) if probe else made


def run(
    home: Path, recipe: Recipe, *, name: str = "", allow_leaks: bool = False, told: Told = silent
) -> Trained:
    """Train by a recipe in a new run of the home; hand over the artefact.

    Nothing is left behind where the rows or the recipe are refused before the run begins.
    Under `accelerate launch` each process calls this, and the run needs a name.
    """
    if not first_process() and not name:
        raise InputError("several processes train one run: give it a name by --run")
    found = ready(home, recipe, allow_leaks=allow_leaks)
    folder = RunFolder(home / RUNS / name)
    if first_process():
        task_for(found.recipe)  # a base that is not there is told before there is a run
        folder = new_run(home / RUNS, name=name)
        begin(folder, found.recipe, dataset=found.rows.dataset)
    return train(found.recipe, found.rows, folder, told=told)


def resume(home: Path, named: str, *, told: Told = silent) -> Trained:
    """Go on with a run from its newest checkpoint; from the start if it has none.

    Raises:
        InputError: it is done.
    """
    folder = find_run(home / RUNS, named)
    if folder.status().state is RunState.DONE:
        raise InputError(
            f"run {folder.id!r} is done: its artefact is {str(folder.artefact)!r}", code="done"
        )
    recipe = read_recipe(folder.recipe)
    found = ready(home, recipe, allow_leaks=True)  # looked for when it began
    return train(recipe, found.rows, folder, told=told)


def cancel(home: Path, named: str) -> RunFolder:
    """Ask a run's process to end after its step; a run without one is cancelled at once.

    Raises:
        InputError: it has ended already.
    """
    folder = find_run(home / RUNS, named)
    status = folder.status()
    if status.state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED):
        raise InputError(f"run {folder.id!r} is {status.state.value} already", code="ended")
    if folder.alive():
        folder.ask_to_cancel()
    else:
        folder.write_status(replace(status, state=RunState.CANCELLED, pid=0))
    return folder


def runs(home: Path) -> tuple[RunFolder, ...]:
    return runs_below(home / RUNS)


def found_run(home: Path, named: str) -> RunFolder:
    return find_run(home / RUNS, named)


@dataclass(frozen=True, slots=True)
class _Place:
    version: Version
    split: str

    @property
    def name(self) -> str:
        identity = self.version.id[:_ID_CHARS]
        return f"{identity}@{self.split}" if self.split else identity


def _found(home: Path, place: str, *, split: str = "") -> _Place:
    """Return the version and split that a place names; `split` is taken where it has one."""
    path = Path(place).expanduser()
    named, _, part = place.rpartition("@") if "@" in place else (place, "", "")
    if path.is_file():
        version = _imported(home, path)
    else:
        try:
            version = find_version(home, named)
        except NotFound as error:
            raise NotFound(
                f"{place!r} is neither a file nor a version: {error.message}; import rows by "
                "`steelyard data import FILE --name NAME`"
            ) from error
    chosen = part or (split if split in version.splits else "")
    if chosen and chosen not in version.splits:
        there = ", ".join(version.splits) or "none"
        raise InputError(f"{place!r}: version {version.name!r} has no such split; it has {there}")
    return _Place(version, chosen)


def _imported(home: Path, path: Path) -> Version:
    read = read_files([path])
    read.refuse_faults()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.")[:64] or "rows"
    sources = {one.name: one.sha256 for one in read.files}
    return keep(home, read.rows, name=name, recipe={"verb": "import"}, sources=sources).version


def _read(home: Path, places: Sequence[_Place]) -> list[TrainingRow]:
    """Return the rows of places in order, those that stand in several once."""
    rows: Mapping[str, TrainingRow] = {
        repr(row.example): row
        for one in places
        for row in read_kept(home, one.version, split=one.split)
    }
    return list(rows.values())


def _check_leaks(home: Path, rows: Sequence[TrainingRow]) -> None:
    if not list_sets(home):
        return
    leaks = list(find_leaks(rows, evaluation_questions(home)))
    if leaks:
        first = leaks[0]
        raise InputError(
            f"{len(leaks):,} of {len(rows):,} rows hold a question of an evaluation, the first "
            f"{first.question.text!r} of {first.question.set_name!r} in {first.field}: what is "
            "learnt must not be asked; leave them out by `steelyard data leaks NAME --remove`, "
            "or train all the same by --allow-leaks",
            code="leak",
        )
