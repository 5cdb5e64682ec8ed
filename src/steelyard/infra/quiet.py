"""`python -m steelyard.infra.quiet COMMAND ...`: run a command that gives way to everything else.

The priorities are taken before the command replaces this process, so that the threads that it
makes have them too, and so that a server need run nothing between fork and exec.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS, _IDLE_CLASS, _CLASS_SHIFT = 1, 3, 13


def give_way() -> None:
    """Run only when no other process wants the core or the disk, and die first when memory ends.

    What the system does not allow is left as it is: `nice` alone is always allowed.
    """
    os.nice(19)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        idle = _IDLE_CLASS << _CLASS_SHIFT
        ctypes.CDLL(None).syscall(number, _IOPRIO_WHO_PROCESS, 0, idle)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def main(command: Sequence[str]) -> None:
    """Replace this process by the command, quietly."""
    give_way()
    os.environ.update(ONE_THREAD)
    os.execvp(command[0], list(command))


if __name__ == "__main__":
    main(sys.argv[1:])
