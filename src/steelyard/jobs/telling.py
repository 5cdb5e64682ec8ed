"""What there is to tell of a job from its run's folder: events, checkpoints, tokens."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.jobs.record import Event, Job, JobStatus, events, progress_of
from steelyard.jobs.standing import RUNS, Curves, read_curves, read_standing

TOLD_STEPS = 500  # of a run, at most, are events of their own
_CHECKPOINTS, _STEP = "checkpoints", "step-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is there; `name` says which run and step, "" of a run: what it came to."""

    step: int
    at: float
    name: str
    metrics: Mapping[str, float] = field(default_factory=dict)


def run_path(home: Path, job: Job) -> Path:
    """Return where a job's run is, or will be."""
    return home / RUNS / job.run


def job_events(home: Path, job: Job) -> list[Event]:
    """Return what happened to a job, and what its run measured, in the order of time."""
    curves = read_curves(run_path(home, job))
    last = max(curves.steps, default=0)
    every = max(1, math.ceil(last / TOLD_STEPS))
    every = 1 << (every - 1).bit_length()  # a power of 2, so that ids told once seldom go
    found = events(home, job)
    for step, row in curves.steps.items():
        if step % every == 0 or step == 1:
            told = {"step": step, "train_loss": row.get("loss"), "learning_rate": row.get("lr")}
            message = f"Step {step}: training loss={row.get('loss', math.nan):.4f}"
            found.append(Event(f"s{step}", float(row.get("at") or 0.0), "info", message, told))
    for step, values in curves.evals.items():
        shown = ", ".join(f"{name}={value:.4g}" for name, value in values.items())
        at = curves.evaluated_at.get(step, 0.0)
        message = f"Step {step}: evaluated, {shown}"
        found.append(Event(f"e{step}", at, "info", message, {"step": step, **values}))
    return sorted(found, key=lambda event: event.at)


def checkpoints_of(home: Path, job: Job) -> list[Checkpoint]:
    """Return the checkpoints of a job that are there, the newest first."""
    folder = run_path(home, job)
    curves = read_curves(folder)
    found = []
    for path in sorted((folder / _CHECKPOINTS).glob(f"{_STEP}*"), reverse=True):
        number = path.name.removeprefix(_STEP)
        if number.isdigit():
            step = int(number)
            made = path.stat().st_mtime
            found.append(Checkpoint(step, made, f"{job.run}@{step}", _measured(curves, step)))
    progress, standing = progress_of(home, job), read_standing(folder)
    if progress.status is JobStatus.SUCCEEDED and standing is not None:
        ended = progress.finished_at or 0.0
        final = Checkpoint(
            standing.step, ended, progress.fine_tuned_model, _measured(curves, standing.step)
        )
        found.insert(0, final)
    return found


def _measured(curves: Curves, step: int) -> dict[str, float]:
    row = curves.steps.get(step, {})
    loss = {"train_loss": float(row["loss"])} if "loss" in row else {}
    return loss | dict(curves.evals.get(step, {}))
