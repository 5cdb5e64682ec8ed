"""A thread that does a slow job aside whenever it is due."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from steelyard.core.errors import SteelyardError

_log = logging.getLogger(__name__)

_NICE = 10  # at least; a process that was started nicer stays so


class Upkeep:
    """Runs `job` on a thread of its own when a `nudge` finds it `due`.

    The thread starts with the first job. A job that fails is logged and left until the next
    nudge: upkeep makes searches and starts faster, nothing depends on it.
    """

    def __init__(self, *, due: Callable[[], bool], job: Callable[[], None]) -> None:
        self._due = due
        self._job = job
        self._changed = threading.Condition()
        self._wanted = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def stopped(self) -> bool:
        """Whether a running job should break off."""
        return self._stopped.is_set()

    def nudge(self) -> None:
        with self._changed:
            if self._wanted or self._stopped.is_set() or not self._due():
                return
            self._wanted = True
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="steelyard-index", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def settle(self, *, timeout_s: float | None = None) -> bool:
        """Wait until no job is due or running; return whether that came to be in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._wanted, timeout_s)

    def stop(self) -> None:
        """End the thread, breaking off its job."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        with self._changed:
            self._wanted = False
            self._changed.notify_all()

    def _run(self) -> None:
        _be_nice()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stopped.is_set())
            if self._stopped.is_set():
                return
            done = self._try()
            with self._changed:
                self._wanted = done and self._due()
                self._changed.notify_all()

    def _try(self) -> bool:
        try:
            self._job()
        except SteelyardError as error:
            _log.warning("index_upkeep_failed reason=%s", error)
            return False
        except Exception:
            _log.exception("index_upkeep_failed")
            return False
        return True


def _be_nice() -> None:
    """Lower this thread's priority, so that upkeep yields the cores to questions."""
    with contextlib.suppress(AttributeError, OSError):  # not Linux, or not allowed
        thread = threading.get_native_id()
        nice = max(_NICE, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, nice)
