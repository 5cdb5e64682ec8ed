"""Jobs below HOME/tune/jobs: what was asked for, how far it is, and what its owner wishes now.

Each file of a job's folder has one writer, so that no two processes ever overwrite each other:
`job.json` is written once, `wish` by whoever asks, `progress.json` and `events.jsonl` by the
process that holds the queue.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from steelyard.core.errors import InputError, NotFound
from steelyard.infra.files import explained, write_atomic

FOLDER = Path("tune", "jobs")
IDENTITY = re.compile(r"ftjob-[0-9a-f]{24}")
RECIPE_FILE, LOG_FILE = "recipe.yaml", "log.txt"

_JOB, _PROGRESS, _WISH, _EVENTS = "job.json", "progress.json", "wish", "events.jsonl"

T = TypeVar("T")


class JobStatus(StrEnum):
    """OpenAI's words, and `paused`."""

    VALIDATING = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset((JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED))


class Wish(StrEnum):
    """What a job's owner wants of it now."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for; `run` is the training run that does it, `dataset` the version of its
    rows. `hyperparameters` are as they were sent; `recipe` is what they came to."""

    id: str
    created_at: float
    model: str
    kind: str
    method: str
    run: str
    dataset: str
    training_file: str
    validation_file: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    suffix: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. The child is `pid`, told from a later process of the same number by
    `pid_started` (in ticks since boot). `starts` counts them since the last step forwards from
    `step`; `stopping_at`: it was asked to stop then."""

    status: JobStatus = JobStatus.QUEUED
    pid: int = 0
    pid_started: int = 0
    starts: int = 0
    step: int = 0
    stopping_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    error_code: str = ""
    error: str = ""
    fine_tuned_model: str = ""
    result_file: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `id` is unique within its job."""

    id: str
    at: float
    level: str
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobPage(Generic[T]):
    """A page of a list; `more`: there are others after its last."""

    rows: Sequence[T]
    more: bool


def save_job(home: Path, job: Job) -> None:
    """Write a new job, recipe first: once `job.json` is there, the queue may take it."""
    folder = home / FOLDER / job.id
    recipe = json.dumps(job.recipe, indent=2, ensure_ascii=False)  # JSON is YAML
    write_atomic(folder / RECIPE_FILE, f"{recipe}\n".encode())
    write_atomic(folder / _JOB, json.dumps(asdict(job), indent=1).encode())


def jobs(home: Path) -> list[Job]:
    """Return the jobs of a home, the newest first."""
    found = [_load(path) for path in (home / FOLDER).glob(f"ftjob-*/{_JOB}")]
    return sorted((job for job in found if job), key=lambda job: (-job.created_at, job.id))


def find_job(home: Path, identity: str) -> Job:
    """Return one job.

    Raises:
        NotFound: there is none of this id.
    """
    job = _load(job_folder(home, identity) / _JOB) if IDENTITY.fullmatch(identity) else None
    if job is None:
        raise NotFound(f"there is no fine-tuning job {identity[:80]!r}; list them to see its id")
    return job


def job_folder(home: Path, identity: str) -> Path:
    return home / FOLDER / identity


def progress_of(home: Path, job: Job) -> Progress:
    """Return how far a job is; one that nobody has taken up is queued."""
    try:
        fields = json.loads((job_folder(home, job.id) / _PROGRESS).read_bytes())
        return Progress(**{**fields, "status": JobStatus(fields["status"])})
    except (OSError, ValueError, KeyError, TypeError):
        return Progress()


def save_progress(home: Path, job: Job, progress: Progress) -> None:
    path = job_folder(home, job.id) / _PROGRESS
    write_atomic(path, json.dumps(asdict(progress), indent=1).encode())


def wish(home: Path, job: Job, wanted: Wish) -> None:
    """Say what is wanted of a job now; the process that holds the queue sees to it."""
    write_atomic(job_folder(home, job.id) / _WISH, wanted.value.encode())


def wish_of(home: Path, job: Job) -> Wish:
    try:
        return Wish((job_folder(home, job.id) / _WISH).read_text("ascii"))
    except (OSError, ValueError):
        return Wish.RUN


def add_event(home: Path, job: Job, message: str, *, level: str = "info") -> None:
    path = job_folder(home, job.id) / _EVENTS
    line = json.dumps({"at": time.time(), "level": level, "message": message}, ensure_ascii=False)
    with explained(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def events(home: Path, job: Job) -> list[Event]:
    """Return what happened to a job, in order."""
    try:
        lines = (job_folder(home, job.id) / _EVENTS).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [Event(f"m{n}", **json.loads(line)) for n, line in enumerate(lines)]


def page_of(rows: Sequence[T], *, after: str, limit: int, key: Callable[[T], str]) -> JobPage[T]:
    """Return the rows that follow the one named `after` ("": from the first).

    Raises:
        InputError: there is no such row.
    """
    start = 0
    if after:
        places = [n for n, row in enumerate(rows) if key(row) == after]
        if not places:
            raise InputError(f"after={after[:80]!r} is none of this list; start again without it")
        start = places[0] + 1
    return JobPage(rows[start : start + limit], more=start + limit < len(rows))


def _load(path: Path) -> Job | None:
    try:
        return Job(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
