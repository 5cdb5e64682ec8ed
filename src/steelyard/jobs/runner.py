"""The queue: one job at a time in a quiet child, found again by the next process of this home."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from steelyard.core.errors import NotFound, Overloaded, SetupError, SteelyardError
from steelyard.core.tuning import RunState
from steelyard.infra.files import FileLock
from steelyard.jobs.process import Child, Children
from steelyard.jobs.record import (
    FINAL,
    FOLDER,
    LOG_FILE,
    RECIPE_FILE,
    Job,
    JobStatus,
    Progress,
    Wish,
    add_event,
    job_folder,
    jobs,
    progress_of,
    save_progress,
    wish_of,
)
from steelyard.jobs.standing import RUNS, Standing, read_standing

log = logging.getLogger(__name__)

# Starts without one step forwards before a job is given up: what kills it will kill it again.
MAX_STARTS = 3
STOP_S = 120.0  # how long a checkpoint may take before a child is ended at once
OUR_CODES = frozenset((2, 3, 4))  # of the command line: refused in words, so not tried again
LOG_TAIL = 2_000  # characters
COMPLAINT = "steelyard: "  # what the command line begins its last words with

Command = Callable[[Job, Path, bool], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a job that succeeded left behind; `note` says what is amiss with it, "": nothing."""

    fine_tuned_model: str
    result_file: str = ""
    note: str = ""


@dataclass(slots=True)
class Runner:
    """Moves a home's jobs on, one `turn` after another.

    `command` returns what trains a job: (job, its recipe's file, whether the run is to be
    resumed). `on_done` is told of a run that ended well, and says what is to be told of it.
    """

    home: Path
    command: Command
    on_done: Callable[[Job], Ended]
    _children: Children = field(default_factory=Children)
    _lock: FileLock | None = None

    def turn(self) -> bool:
        """Do what is to be done now; return whether a job is open here, to be looked after soon.

        Another process that holds the home's queue does it instead.

        Raises:
            SetupError: the home cannot be written.
        """
        found = jobs(self.home)
        if not found or not self._leads():
            return bool(found)
        open_now = []
        for job in reversed(found):  # the oldest first
            progress = progress_of(self.home, job)
            if progress.status not in FINAL:
                open_now.append((job, progress))
        open_now = [(job, self._wished(job, progress)) for job, progress in open_now]
        running = [pair for pair in open_now if pair[1].status is JobStatus.RUNNING]
        for job, progress in running:
            self._watch(job, progress)
        if not running:
            queued = (pair for pair in open_now if pair[1].status is JobStatus.QUEUED)
            if (first := next(queued, None)) is not None:
                self._start(*first)
        return any(progress.status not in FINAL for _, progress in open_now)

    def close(self) -> None:
        """Leave the queue to another process; a child at work goes on."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._children.let_go()

    def _leads(self) -> bool:
        if self._lock is None:
            lock = FileLock(self.home / FOLDER / "lock")
            try:
                lock.acquire()
            except Overloaded:
                return False
            self._lock = lock
        return True

    def _wished(self, job: Job, progress: Progress) -> Progress:
        """Do what can be done at once of what a job's owner wishes; return how far it is."""
        wanted = wish_of(self.home, job)
        idle = progress.status in (JobStatus.QUEUED, JobStatus.PAUSED)
        if wanted is Wish.CANCEL and idle:
            return self._end(job, progress, JobStatus.CANCELLED, "The job was cancelled")
        if wanted is Wish.PAUSE and progress.status is JobStatus.QUEUED:
            return self._told(job, replace(progress, status=JobStatus.PAUSED), "The job is paused")
        if wanted is Wish.RUN and progress.status is JobStatus.PAUSED:
            waiting = replace(progress, status=JobStatus.QUEUED, starts=0, stopping_at=0.0)
            return self._told(job, waiting, "The job waits for its turn again")
        return progress

    def _start(self, job: Job, progress: Progress) -> None:
        standing = read_standing(self.home / RUNS / job.run)
        resume = standing is not None
        step = standing.step if standing else 0
        folder = job_folder(self.home, job.id)
        try:
            command = self.command(job, folder / RECIPE_FILE, resume)
            child = self._children.start(command, log=folder / LOG_FILE)
        except (SetupError, NotFound) as error:
            self._fail(job, progress, error.message, code=error.code)
            return
        now = replace(
            progress,
            status=JobStatus.RUNNING,
            pid=child.pid,
            pid_started=child.started,
            starts=progress.starts + 1,
            step=step,
            stopping_at=0.0,
            started_at=progress.started_at or time.time(),
        )
        at = f" at step {step}" if resume else ""
        self._told(job, now, f"Training {'goes on' if resume else 'begins'}{at}: run {job.run}")

    def _watch(self, job: Job, progress: Progress) -> None:
        child = Child(progress.pid, progress.pid_started)
        wanted = wish_of(self.home, job)
        if self._children.alive(child):
            if wanted is not Wish.RUN:
                self._stop(job, progress, child)
            return
        standing = read_standing(self.home / RUNS / job.run)
        state = standing.state if standing else None
        if state is RunState.DONE:
            self._succeed(job, progress)
        elif wanted is Wish.CANCEL or state is RunState.CANCELLED:
            self._end(job, progress, JobStatus.CANCELLED, "The job was cancelled")
        elif self._children.code(child) in OUR_CODES and state is not RunState.INTERRUPTED:
            told = standing.error if standing else ""
            self._fail(job, progress, told or self._log_tail(job))
        elif standing is not None and state is RunState.FAILED:
            self._fail(job, progress, standing.error or self._log_tail(job))
        elif wanted is Wish.PAUSE:
            paused = replace(progress, status=JobStatus.PAUSED, pid=0, pid_started=0)
            self._told(job, paused, f"The job is paused at step {standing.step if standing else 0}")
        else:
            self._again(job, progress, standing)

    def _stop(self, job: Job, progress: Progress, child: Child) -> None:
        now = time.time()
        if not progress.stopping_at:
            self._children.stop(child)
            self._told(job, replace(progress, stopping_at=now), "Training is asked to stop")
        elif now - progress.stopping_at > STOP_S:
            self._children.stop(child, at_once=True)

    def _again(self, job: Job, progress: Progress, standing: Standing | None) -> None:
        """Go on with a run that ended without a word: killed, out of memory, the machine gone."""
        step = standing.step if standing else 0
        starts = 0 if step > progress.step else progress.starts
        if starts >= MAX_STARTS:
            tail = self._log_tail(job)
            told = f"training ended {starts} times at step {step} without a word; {tail}"
            self._fail(job, progress, told, code="child_died")
            return
        add_event(self.home, job, f"Training ended early at step {step}", level="warn")
        self._start(job, replace(progress, starts=starts))

    def _succeed(self, job: Job, progress: Progress) -> None:
        try:
            ended = self.on_done(job)
        except SteelyardError as error:
            self._fail(job, progress, error.message, code=error.code)
            return
        done = replace(
            progress,
            fine_tuned_model=ended.fine_tuned_model,
            result_file=ended.result_file,
        )
        if ended.note:
            add_event(self.home, job, ended.note, level="warn")
        told = f"The job has ended well: {ended.fine_tuned_model or job.run}"
        self._end(job, done, JobStatus.SUCCEEDED, told)

    def _fail(self, job: Job, progress: Progress, error: str, *, code: str = "failed") -> None:
        failed = replace(progress, error=error, error_code=code)
        self._end(job, failed, JobStatus.FAILED, f"The job has failed: {error}", level="error")

    def _end(
        self, job: Job, progress: Progress, status: JobStatus, message: str, *, level: str = "info"
    ) -> Progress:
        ended = replace(progress, status=status, finished_at=time.time(), pid=0, pid_started=0)
        return self._told(job, ended, message, level=level)

    def _told(self, job: Job, progress: Progress, message: str, *, level: str = "info") -> Progress:
        save_progress(self.home, job, progress)
        add_event(self.home, job, message, level=level)
        log.info("tuning_job id=%s status=%s", job.id, progress.status)
        return progress

    def _log_tail(self, job: Job) -> str:
        """Return the last thing that the child said."""
        path = job_folder(self.home, job.id) / LOG_FILE
        try:
            text = path.read_text("utf-8", errors="replace")[-LOG_TAIL:]
        except OSError:
            text = ""
        said = text[text.rfind(COMPLAINT) :].removeprefix(COMPLAINT) if COMPLAINT in text else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return said.strip() or (lines[-1] if lines else f"its log {str(path)!r} is empty")
