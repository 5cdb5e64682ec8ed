"""Run folders → MLflow: the folders are the truth, so this may fail and cost nothing."""

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from steelyard.core.errors import SetupError
from steelyard.flows.training_runs import list_runs, run_details
from steelyard.infra.files import write_atomic
from steelyard.infra.machine import machine
from steelyard.jobs import ARTEFACT, read_curves, read_json, run_folder
from steelyard.track import INSTALL, TrackedRun, open_shadow

ENVIRONMENT = "environment.json"
_LIBRARIES = ("steelyard", "torch", "transformers", "peft", "accelerate", "numpy")
_READINGS = ("loss", "lr", "grad_norm", "tokens", "examples")


def track(home: Path, runs: Sequence[str] = (), *, rebuild: bool = False) -> list[str]:
    """Bring MLflow's store up to date with runs (none named: all); return which these are.

    Raises:
        NotFound: there is no such run.
        SetupError: MLflow is not installed, or its database cannot be used.
    """
    chosen = list(runs) or [run for run, _ in reversed(list_runs(home))]
    read = [tracked(home, run) for run in chosen]
    with open_shadow(home, anew=rebuild) as shadow:
        for run in read:
            shadow.write(run)
    return chosen


def tracked(home: Path, run: str) -> TrackedRun:
    """Return what a run's folder tells, in the words of a tracker.

    Raises:
        NotFound: there is no such run.
    """
    folder = run_folder(home, run)
    found = run_details(home, run)
    curves = read_curves(folder)
    readings: list[tuple[int, float, Mapping[str, float]]] = []
    for step in sorted({*curves.steps, *curves.evals}):
        row = curves.steps.get(step, {})
        values = {name: float(row[name]) for name in _READINGS if name in row}
        values |= {f"eval_{name}": float(v) for name, v in curves.evals.get(step, {}).items()}
        at = float(row.get("at") or curves.evaluated_at.get(step) or 0.0)
        readings.append((step, at, values))
    artefact = folder / ARTEFACT
    standing = found.standing
    return TrackedRun(
        id=run,
        state=standing.state,
        params=flat(_recipe(found.recipe)) | flat({"plan": found.plan}, numbers=True),
        tags={
            "steelyard.kind": standing.kind,
            "steelyard.dataset": standing.dataset,
            "steelyard.state": standing.state.value,
            "steelyard.error": standing.error,
            "steelyard.accounting": json.dumps(found.accounting, sort_keys=True),
            "steelyard.folder": str(folder),
            **{f"env.{name}": value for name, value in environment(folder).items()},
        },
        metrics=readings,
        started_at=standing.started_at,
        ended_at=standing.ended_at or standing.updated_at,
        artefact=artefact if artefact.is_dir() else None,
    )


def note_environment(folder: Path) -> None:
    """Write into a run's folder where it is trained: the libraries' versions and the machine."""
    text = json.dumps(environment(folder), indent=1)
    write_atomic(folder / ENVIRONMENT, f"{text}\n".encode())


def environment(folder: Path) -> dict[str, str]:
    """Return where a run was trained, as was noted then; else what is here."""
    noted = read_json(folder / ENVIRONMENT)
    return {str(k): str(v) for k, v in noted.items()} or machine() | dict(_libraries())


def _libraries() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _recipe(text: str) -> dict[str, Any]:
    """Return a recipe's values; YAML is of the extra, which tracking needs anyway."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        try:
            yaml: Any = importlib.import_module("yaml")
        except ImportError as error:
            raise SetupError(f"recipes are YAML; run: {INSTALL}") from error
        found = yaml.safe_load(text)
    return found if isinstance(found, dict) else {}


def flat(values: Mapping[str, Any], *, numbers: bool = False, under: str = "") -> dict[str, Any]:
    """Return nested values by dotted names; with `numbers` only those that are one number."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{under}{key}"
        if isinstance(value, Mapping):
            out |= flat(value, numbers=numbers, under=f"{name}.")
        elif not numbers or (isinstance(value, int | float) and not isinstance(value, bool)):
            out[name] = value
    return out
