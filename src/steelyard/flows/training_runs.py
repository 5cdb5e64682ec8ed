"""Training runs for who looks at them: lists, standings, curves, and a way to stop one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.tuning import RunState
from steelyard.infra.files import write_atomic
from steelyard.jobs import (
    ACCOUNTING,
    PLAN,
    RECIPE,
    RUNS,
    SUMMARY,
    Metrics,
    Standing,
    read_json,
    read_metrics,
    read_standing,
    run_folder,
    run_ids,
)

CANCEL = "cancel"
UNDER_WAY = (RunState.PLANNED, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run with all that its folder tells but its curves; {} where a file is not there."""

    id: str
    standing: Standing
    accounting: Mapping[str, Any]
    plan: Mapping[str, Any]
    recipe: str
    summary: Mapping[str, Any]


def list_runs(home: Path) -> list[tuple[str, Standing]]:
    """Return the training runs of a home by id, the newest first."""
    found = [(run, read_standing(home / RUNS / run)) for run in run_ids(home)]
    told = [(run, standing) for run, standing in found if standing is not None]
    return sorted(told, key=lambda one: (-(one[1].started_at or 0.0), one[0]))


def run_details(home: Path, run: str) -> RunDetails:
    """Return one run.

    Raises:
        NotFound: there is no such run.
    """
    folder = run_folder(home, run)
    standing = read_standing(folder)
    recipe = folder / RECIPE
    return RunDetails(
        id=run,
        standing=standing or Standing(RunState.PLANNED),
        accounting=read_json(folder / ACCOUNTING),
        plan=read_json(folder / PLAN),
        recipe=recipe.read_text("utf-8", errors="replace") if recipe.is_file() else "",
        summary=read_json(folder / SUMMARY),
    )


def run_metrics(home: Path, run: str, *, after: int) -> Metrics:
    """Return a run's readings from a place on.

    Raises:
        NotFound: there is no such run.
    """
    return read_metrics(run_folder(home, run), after=after)


def cancel_run(home: Path, run: str) -> None:
    """Ask the process that trains a run to end after its step; it writes a checkpoint first.

    Raises:
        NotFound: there is no such run.
        InputError: it has ended.
    """
    folder = run_folder(home, run)
    standing = read_standing(folder)
    if standing is None or standing.state not in UNDER_WAY:
        state = standing.state if standing else "not begun"
        raise InputError(f"run {run!r} is not under way ({state}), so there is nothing to cancel")
    write_atomic(folder / CANCEL, b"asked over HTTP\n")
