"""A training run's folder: its recipe, state, metrics and what it made; readable while it runs."""

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError, NotFound, Overloaded, SetupError
from steelyard.core.tuning import RunState, TuneKind
from steelyard.infra.files import FileLock, explained, make_folder, write_atomic

RUNS = Path("tune", "runs")
RECIPE, STATE, METRICS = "recipe.yaml", "state.json", "metrics.jsonl"
PLAN, ACCOUNTING, INPUTS = "plan.json", "accounting.json", "inputs.json"
SUMMARY, LOG = "summary.json", "log.txt"
ARTEFACT, CHECKPOINTS = "artefact", "checkpoints"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCK, _CANCEL = "lock", "cancel"
_LEAST_PREFIX = 4
_KILLED = "its process ended without a word (killed, or out of memory)"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a run stands. Times are in seconds since 1970, 0.0: not yet; `pid` 0: no process."""

    state: RunState
    kind: TuneKind
    step: int = 0
    num_steps: int = 0
    started_at: float = 0.0
    updated_at: float = 0.0
    ended_at: float = 0.0
    error: str = ""
    pid: int = 0
    dataset: str = ""


class RunFolder:
    """One run below `HOME/tune/runs/`, or wherever `python -m steelyard.tune --out` put it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / _LOCK)

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def artefact(self) -> Path:
        return self.path / ARTEFACT

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def recipe(self) -> Path:
        return self.path / RECIPE

    def status(self) -> RunStatus:
        """Return where the run stands; one whose process died while running is `interrupted`.

        Raises:
            SetupError: the state cannot be read.
        """
        try:
            content = json.loads((self.path / STATE).read_bytes())
            content["state"] = RunState(content["state"])
            content["kind"] = TuneKind(content["kind"])
            told = RunStatus(**content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SetupError(
                f"{str(self.path / STATE)!r} lacks or garbles {error}; remove that folder and run "
                "the recipe again"
            ) from error
        if told.state is RunState.RUNNING and not self.alive():
            return replace(told, state=RunState.INTERRUPTED, error=_KILLED, pid=0)
        return told

    def write_status(self, status: RunStatus) -> None:
        content = asdict(replace(status, updated_at=time.time()))
        write_atomic(self.path / STATE, json.dumps(content, indent=1).encode() + b"\n")

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the run's JSON files, whole or not at all."""
        text = json.dumps(content, indent=1, ensure_ascii=False)
        write_atomic(self.path / name, text.encode() + b"\n")

    def read(self, name: str) -> dict[str, Any]:
        """Return one of the run's JSON files; empty while it is not there.

        Raises:
            SetupError: it is damaged.
        """
        try:
            content = json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SetupError(
                f"{str(self.path / name)!r} cannot be read ({error}); run the recipe again"
            ) from error
        return dict(content)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        with explained(self.path), (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the metrics so far, in order; a line that is still being written is left out."""
        with contextlib.suppress(FileNotFoundError), (self.path / METRICS).open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    def trim_metrics(self, step: int) -> None:
        """Forget what was measured after `step`: a resumed run will measure it again."""
        kept = [one for one in self.metrics() if one["step"] <= step]
        text = "".join(json.dumps(one) + "\n" for one in kept)
        write_atomic(self.path / METRICS, text.encode())

    def say(self, line: str) -> None:
        """Add a line with its time to the run's log."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with explained(self.path), self.log.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {line}\n")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run while it trains: nobody else may.

        Raises:
            Overloaded: another process trains it.
        """
        try:
            self._lock.acquire()
        except Overloaded as error:
            raise Overloaded(
                f"run {self.id!r} is being trained by process {self._lock.holder()}; follow it by "
                f"`steelyard tune show {self.id}`",
                code="locked",
            ) from error
        try:
            yield
        finally:
            self._lock.release()

    def alive(self) -> bool:
        """Tell whether a process trains the run now."""
        if not (self.path / _LOCK).exists():
            return False
        probe = FileLock(self.path / _LOCK)
        try:
            probe.acquire()
        except Overloaded:
            return True
        probe.release()
        return False

    def ask_to_cancel(self) -> None:
        """Ask the process that trains the run to end after its step."""
        write_atomic(self.path / _CANCEL, f"{os.getpid()}\n".encode())

    def asked_to_cancel(self) -> bool:
        return (self.path / _CANCEL).exists()

    def forget_cancel(self) -> None:
        (self.path / _CANCEL).unlink(missing_ok=True)


def new_run(root: Path, *, name: str = "") -> RunFolder:
    """Make the folder of a new run below `root`, under a name or `run-` and 12 hex digits.

    Raises:
        InputError: the name is taken, or is none.
    """
    if name and not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a run: use up to 64 letters, digits, '.', '_' or '-'"
        )
    path = root / (name or f"run-{secrets.token_hex(6)}")
    make_folder(root)
    try:
        with explained(path):
            path.mkdir()
    except FileExistsError:
        raise InputError(
            f"run {path.name!r} is there already: give another --run, or go on with "
            f"`steelyard tune resume {path.name}`"
        ) from None
    return RunFolder(path)


def discard(run: RunFolder) -> None:
    """Remove a run that never began."""
    shutil.rmtree(run.path, ignore_errors=True)


def runs(root: Path) -> tuple[RunFolder, ...]:
    """Return the runs below `root`, the newest first; folders that hold no run are left out."""
    found = [RunFolder(path.parent) for path in root.glob(f"*/{STATE}")]
    return tuple(sorted(found, key=lambda one: (-_begun(one), one.id)))


def find_run(root: Path, named: str) -> RunFolder:
    """Return a run by its name, or by the beginning of its id.

    Raises:
        NotFound: there is none; names those that there are.
        InputError: several begin so.
    """
    there = runs(root)
    prefixes = (named, f"run-{named}") if len(named) >= _LEAST_PREFIX else ()
    fitting = [one for one in there if one.id == named] or [
        one for one in there if prefixes and one.id.startswith(prefixes)
    ]
    if len(fitting) > 1:
        raise InputError(f"{named!r} begins the names of {len(fitting)} runs: write more of it")
    if not fitting:
        listed = ", ".join(one.id for one in there[:10]) or "none"
        raise NotFound(f"no run {named!r}; this home has {listed}")
    return fitting[0]


def _begun(run: RunFolder) -> float:
    try:
        return (run.path / RECIPE).stat().st_mtime
    except OSError:
        return 0.0
