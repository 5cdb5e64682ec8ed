"""Jobs over HTTP: an upload is checked, a job becomes a recipe, a quiet child trains it."""

import asyncio
import csv
import io
import logging
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from steelyard.core.errors import InputError, SteelyardError
from steelyard.core.training import Kind
from steelyard.datasets.training import ReadRows, keep, read_files
from steelyard.jobs import (
    ARTEFACT,
    FINAL,
    FINE_TUNE,
    Checked,
    Curves,
    Ended,
    FileStatus,
    Job,
    JobRequest,
    JobStatus,
    Progress,
    Runner,
    StoredFile,
    Wish,
    add_event,
    check_file,
    content_of,
    find_file,
    find_job,
    jobs,
    keep_file,
    kind_of,
    make_file,
    progress_of,
    read_curves,
    recipe_of,
    run_folder,
    save_job,
    wish,
)
from steelyard.tune import make_recipe

log = logging.getLogger(__name__)

OUR_RECIPE = "steelyard.recipe"  # where a job's own part of its recipe stands
POLL_S = 0.5  # while a job is open
IDLE_S = 5.0  # another process of the home may bring one
SHOWN_FAULTS = 20
KEPT_FAULTS = 1_000

Registered = Callable[[Job, Path], str]


def tune_command(home: Path) -> Callable[[Job, Path, bool], Sequence[str]]:
    """Return what trains a job of this home: the command line's own verbs."""
    program = [sys.executable, "-m", "steelyard", "--home", str(home), "tune"]

    def command(job: Job, recipe: Path, resume: bool) -> Sequence[str]:
        if resume:
            return [*program, "resume", job.run]
        return [*program, "run", "--recipe", str(recipe), "--run", job.run]

    return command


class FineTuning:
    """A home's files and jobs. All of it blocks but `run`, which moves the jobs on.

    `register` is given a job and its run's folder, and returns the version that came of it.
    """

    def __init__(
        self,
        home: Path,
        *,
        register: Registered,
        command: Callable[[Job, Path, bool], Sequence[str]] | None = None,
    ) -> None:
        self.home = home
        self._register = register
        self._runner = Runner(home, command or tune_command(home), self._done)
        self._wake = asyncio.Event()

    def upload(self, name: str, content: IO[bytes]) -> StoredFile:
        """Keep a file and check all its rows; one with faults is kept too, and never trained on.

        Raises:
            InputError: it is empty or too large.
        """
        stored = keep_file(self.home, name, content)
        return check_file(self.home, stored, _checked(content_of(self.home, stored)))

    def create(self, request: JobRequest, *, by: str) -> Job:
        """Queue a job: its rows become a version of training data, and its wishes a recipe.

        Raises:
            NotFound: there is no such file.
            InputError: a file holds faults or does not fit what is to be trained, or the recipe
                is wrong.
        """
        stored = self._trainable(request.training_file, "training_file")
        kind = kind_of(request, Kind(stored.checked.kind))
        held_out = ""
        if request.validation_file:
            other = self._trainable(request.validation_file, "validation_file")
            if other.checked.kind != stored.checked.kind:
                raise InputError(
                    f"validation_file {other.id!r} holds {other.checked.kind} rows, and "
                    f"training_file {stored.id!r} {stored.checked.kind} rows; give one kind"
                )
            held_out = self._version(other)
        dataset = self._version(stored)
        given = {"kind": kind.value, "base": request.model, **request.recipe}
        usual_lr = make_recipe(given, place=OUR_RECIPE).train.lr
        recipe = recipe_of(request, kind, dataset=dataset, held_out=held_out, usual_lr=usual_lr)
        make_recipe(recipe, place=OUR_RECIPE)
        job = Job(
            id=f"ftjob-{secrets.token_hex(12)}",
            created_at=time.time(),
            model=request.model,
            kind=kind.value,
            method=request.method,
            run=f"run-{secrets.token_hex(6)}",
            dataset=dataset,
            training_file=stored.id,
            validation_file=request.validation_file,
            hyperparameters=_given(asdict(request.hyperparameters)),
            recipe=recipe,
            metadata=request.metadata,
            seed=request.seed or 0,
            suffix=request.suffix,
            by=by,
        )
        save_job(self.home, job)
        told = f"{stored.checked.num_rows:,} rows of {stored.name!r} are version {dataset[:8]}"
        add_event(self.home, job, told)
        if stored.checked.num_flags:
            flagged = f"{stored.checked.num_flags:,} findings of what looks private in the rows"
            add_event(self.home, job, flagged, level="warn")
        add_event(self.home, job, "The job waits for its turn")
        return job

    def wish(self, identity: str, wanted: Wish) -> tuple[Job, Progress]:
        """Say what is wanted of a job; return it as it stands.

        Raises:
            NotFound: there is none of this id.
            InputError: it has ended.
        """
        job = find_job(self.home, identity)
        progress = progress_of(self.home, job)
        if progress.status in FINAL:
            if wanted is Wish.CANCEL and progress.status is JobStatus.CANCELLED:
                return job, progress
            raise InputError(
                f"job {identity!r} has ended ({progress.status}); create a new one",
                code="job_ended",
            )
        wish(self.home, job, wanted)
        return job, progress

    def job_of_run(self, run: str) -> Job | None:
        """Return the job that a training run belongs to; None: it was begun by hand."""
        return next((job for job in jobs(self.home) if job.run == run), None)

    def wake(self) -> None:
        """Have the queue looked at now; from the event loop's thread."""
        self._wake.set()

    async def run(self) -> None:
        """Move the jobs on until cancelled; a child at work then goes on by itself."""
        try:
            while True:
                self._wake.clear()
                busy = await asyncio.to_thread(self._turn)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S if busy else IDLE_S):
                        await self._wake.wait()
        finally:
            self._runner.close()

    def _turn(self) -> bool:
        try:
            return self._runner.turn()
        except (SteelyardError, OSError) as error:  # a full disk must not end the queue
            log.error("tuning_queue_paused retry_s=%s reason=%s", IDLE_S, error)
            return False

    def _trainable(self, identity: str, field: str) -> StoredFile:
        stored = find_file(self.home, identity)
        if stored.purpose != FINE_TUNE:
            raise InputError(f"{field} {identity!r} was not uploaded with purpose {FINE_TUNE!r}")
        if stored.status is not FileStatus.PROCESSED:
            raise InputError(
                f"{field} {identity!r} cannot be trained on: {status_details(stored)}",
                code="invalid_file",
            )
        return stored

    def _version(self, stored: StoredFile) -> str:
        """Return the id of the version of training data that a file's rows are."""
        found = read_files([content_of(self.home, stored)])
        found.refuse_faults()
        kept = keep(
            self.home,
            found.rows,
            name=stored.id,
            recipe={"verb": "import", "origin": "", "licence": ""},
            sources={one.name: one.sha256 for one in found.files},
        )
        return kept.version.id

    def _done(self, job: Job) -> Ended:
        folder = run_folder(self.home, job.run)
        results = make_file(self.home, "step_metrics.csv", results_csv(read_curves(folder)))
        try:
            return Ended(self._register(job, folder), results.id)
        except SteelyardError as error:  # the training is done, and its artefact is there
            told = f"{error.message}; register {str(folder / ARTEFACT)!r} by hand"
            return Ended("", results.id, note=f"The result is not registered: {told}")


def status_details(stored: StoredFile) -> str:
    """Return what is wrong with a file, a line a fault with its place; "": nothing."""
    checked = stored.checked
    shown = list(checked.faults[:SHOWN_FAULTS])
    if checked.num_faults > len(shown):
        shown.append(f"and {checked.num_faults - len(shown):,} more")
    return "\n".join(shown)


def results_csv(curves: Curves) -> str:
    """Return a run's readings as OpenAI's result files have them: a line a step."""
    names = sorted({name for found in curves.evals.values() for name in found})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["step", "train_loss", "learning_rate", *names])
    for step in sorted({*curves.steps, *curves.evals}):
        row: Mapping[str, Any] = curves.steps.get(step, {})
        found = curves.evals.get(step, {})
        values = [row.get("loss", ""), row.get("lr", ""), *(found.get(name, "") for name in names)]
        writer.writerow([step, *values])
    return out.getvalue()


def _checked(path: Path) -> Checked:
    try:
        found: ReadRows = read_files([path])
    except InputError as error:  # no row, or none that any form fits
        return Checked(faults=(error.message,), num_faults=1)
    kind = next(iter(found.kinds), None)
    return Checked(
        form=found.files[0].form,
        kind=kind.value if kind else "",
        num_rows=len(found.rows),
        faults=found.faults[:KEPT_FAULTS],
        num_faults=found.num_faults,
        num_flags=len(found.flags),
        notes=found.notes[:SHOWN_FAULTS],
    )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
