"""A child process that outlives its parent: started, found again, asked to stop."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.infra.files import explained, make_folder

_STATE, _STARTED = 0, 19  # of the fields of /proc/PID/stat after the command's name
_DEAD = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Child:
    """A process; `started` (ticks since boot) tells it from a later one of the same number."""

    pid: int
    started: int


@dataclass(slots=True)
class Children:
    """The children that this process began; others of a queue are only watched."""

    _own: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _codes: dict[Child, int] = field(default_factory=dict)

    def start(self, command: Sequence[str], *, log: Path) -> Child:
        """Start a command with low priority, in a session of its own; its output goes to `log`.

        Raises:
            SetupError: it cannot be started.
        """
        quiet = [sys.executable, "-m", "steelyard.infra.quiet", *command]
        make_folder(log.parent)
        with explained(log), log.open("ab") as out:
            try:
                started = subprocess.Popen(
                    quiet, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
                )
            except OSError as error:
                raise SetupError(
                    f"{command[0]!r} cannot be started ({error.strerror}); check the installation"
                ) from error
        self._own[started.pid] = started
        return Child(started.pid, _stat(started.pid)[1])

    def let_go(self) -> None:
        """Leave the children to themselves: they are not waited for, nor complained about."""
        for started in self._own.values():
            if started.poll() is None:
                started.returncode = 0
        self._own.clear()

    def alive(self, child: Child) -> bool:
        """Tell whether a child still runs, whoever started it."""
        own = self._own.get(child.pid)
        if own is not None:
            if own.poll() is None:
                return True
            del self._own[child.pid]  # reaped
            self._codes[child] = own.returncode
            return False
        state, started = _stat(child.pid)
        return bool(state) and state not in _DEAD and started == child.started

    def code(self, child: Child) -> int | None:
        """Return a dead child's exit status; None: it was not this process's."""
        return self._codes.get(child)

    def stop(self, child: Child, *, at_once: bool = False) -> None:
        """Ask a child to end (it may write a checkpoint first), or end it and what it began."""
        if not self.alive(child):
            return
        with suppress(ProcessLookupError, PermissionError):
            if at_once:
                os.killpg(child.pid, signal.SIGKILL)
            else:
                os.kill(child.pid, signal.SIGTERM)


def _stat(pid: int) -> tuple[str, int]:
    """Return a process's state letter and start; ("", 0): there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return "", 0
    fields = text[text.rfind(")") + 1 :].split()
    return fields[_STATE], int(fields[_STARTED])
