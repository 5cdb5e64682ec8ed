"""Writes what a run's folder tells into MLflow's own SQLite store, as far as it is not there yet.

The folder is the truth. MLflow's file store went away under its users' feet (mlflow#23634), and a
database of a newer MLflow may be migrated or refused; so nothing is kept here alone, and removing
the database and writing it again loses nothing.
"""

import importlib.util
import math
import os
import re
import secrets
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.core.errors import SetupError
from steelyard.core.tuning import RunState

STORE = Path("tune", "mlflow.db")
EXPERIMENT = "steelyard"
RUN_TAG, STEP_TAG = "steelyard.run", "steelyard.tracked_step"
INSTALL = "pip install 'steelyard[tune]'"

_LINKS = Path("tune", "mlflow")  # a folder a run of MLflow's, with a link to our artefact
_BATCH = 1_000  # metrics in one request, MLflow's own limit
_MOST_PARAMS, _MOST_CHARS = 100, 6_000  # of one request, and of one value
_ENDINGS: Mapping[RunState, str] = {
    RunState.DONE: "FINISHED",
    RunState.FAILED: "FAILED",
    RunState.CANCELLED: "KILLED",
    RunState.INTERRUPTED: "KILLED",
}


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as MLflow is told of it. `metrics` is by step, in order; times are in seconds since
    1970. `artefact` is referred to, not copied; None: there is none."""

    id: str
    state: RunState
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[tuple[int, float, Mapping[str, float]]] = ()
    started_at: float | None = None
    ended_at: float | None = None
    artefact: Path | None = None


class Shadow:
    """One home's MLflow store. Use `open_shadow`."""

    def __init__(self, home: Path, client: Any) -> None:
        self._home = home
        self._client = client
        found = client.get_experiment_by_name(EXPERIMENT)
        self._experiment: str = (
            found.experiment_id
            if found is not None
            else client.create_experiment(
                EXPERIMENT, artifact_location=(home / _LINKS).resolve().as_uri()
            )
        )

    def write(self, run: TrackedRun) -> str:
        """Bring a run's shadow up to date; return its id in MLflow. Doing it again adds nothing."""
        there = self._find(run.id)
        identity = self._begin(run) if there is None else str(there.info.run_id)
        told = -1 if there is None else int(there.data.tags.get(STEP_TAG, -1))
        self._tell_metrics(identity, run, after=told)
        for name, value in run.tags.items():
            self._client.set_tag(identity, name, value[:_MOST_CHARS])
        if run.artefact is not None:
            self._link(identity, run.artefact)
        ending = _ENDINGS.get(run.state)
        if ending is not None:
            ended = None if run.ended_at is None else _ms(run.ended_at)
            self._client.set_terminated(identity, status=ending, end_time=ended)
        else:
            self._client.update_run(identity, status="RUNNING")
        return identity

    def runs(self) -> list[str]:
        """Return the ids (ours) of the runs that are here."""
        found = self._client.search_runs([self._experiment], max_results=_BATCH)
        return sorted(run.data.tags[RUN_TAG] for run in found if RUN_TAG in run.data.tags)

    def _find(self, run: str) -> Any | None:
        wanted = f"tags.`{RUN_TAG}` = '{run}'"
        found = self._client.search_runs([self._experiment], wanted, max_results=1)
        return found[0] if found else None

    def _begin(self, run: TrackedRun) -> str:
        from mlflow.entities import Param

        started = None if run.started_at is None else _ms(run.started_at)
        made = self._client.create_run(
            self._experiment, start_time=started, tags={RUN_TAG: run.id}, run_name=run.id
        )
        identity = str(made.info.run_id)
        params = [Param(_legal(key), str(value)[:_MOST_CHARS]) for key, value in run.params.items()]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(identity, params=params[start : start + _MOST_PARAMS])
        return identity

    def _tell_metrics(self, identity: str, run: TrackedRun, *, after: int) -> None:
        from mlflow.entities import Metric

        new = [reading for reading in run.metrics if reading[0] > after]
        metrics = [
            Metric(_legal(name), value, _ms(at), step)
            for step, at, values in new
            for name, value in values.items()
            if math.isfinite(value)
        ]
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(identity, metrics=metrics[start : start + _BATCH])
        if new:
            self._client.set_tag(identity, STEP_TAG, str(new[-1][0]))

    def _link(self, identity: str, artefact: Path) -> None:
        """Let MLflow find the artefact where it is."""
        place = self._home / _LINKS / identity
        place.mkdir(parents=True, exist_ok=True)
        link = place / "artifacts"
        if not link.is_symlink() and not link.exists():
            link.symlink_to(os.path.relpath(artefact, place), target_is_directory=True)


@contextmanager
def open_shadow(home: Path, *, anew: bool = False) -> Iterator[Shadow]:
    """Open a home's store, or make one; `anew`: one that takes the old one's place at the end.

    Raises:
        SetupError: MLflow is not installed, or its database is damaged or of a newer MLflow.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise SetupError(f"tracking needs MLflow; run: {INSTALL}")
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "true")  # nothing of ours calls home
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    database = (home / STORE).resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own: MLflow keeps what it has once opened open for the whole process.
    used = database.with_name(f".{database.name}.{secrets.token_hex(4)}") if anew else database
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its libraries about each other
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        try:
            if not anew:
                _check(database)
            yield Shadow(home, MlflowClient(tracking_uri=f"sqlite:///{used}"))
            if anew:
                _remove_side_files(database)
                used.replace(database)
        except (MlflowException, SQLAlchemyError, sqlite3.DatabaseError) as error:
            first = str(error).splitlines()[0]
            raise SetupError(
                f"{str(home / STORE)!r} cannot be used ({first}); nothing of a run is lost, make "
                "it again: steelyard tune track --rebuild"
            ) from error
        finally:
            if anew:
                used.unlink(missing_ok=True)
                _remove_side_files(used)


def _check(database: Path) -> None:
    """Raise if a file is no database, before MLflow keeps it as one for the whole process."""
    if database.exists():
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")


def _remove_side_files(database: Path) -> None:
    for ending in ("-wal", "-shm", "-journal"):
        database.with_name(database.name + ending).unlink(missing_ok=True)


def _legal(name: str) -> str:
    """Return a name as MLflow allows it: `nDCG@10` is `nDCG_at_10` there."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))


def _ms(at: float) -> int:
    return int(at * 1000)
