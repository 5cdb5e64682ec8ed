"""How a run ends: signals heard, the last state written, whatever ended it."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from steelyard.core.errors import SetupError, SteelyardError
from steelyard.core.tuning import RunState
from steelyard.tune.folder import RunFolder

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # no error: it was asked for
    """A run ended before its time, as somebody asked; `state` is what its folder says now."""

    def __init__(self, state: RunState, run: RunFolder) -> None:
        super().__init__(state.value)
        self.state, self.run = state, run


@contextlib.contextmanager
def ending(run: RunFolder) -> Iterator[None]:
    """Write into the folder how the run ended, whatever ends it."""
    from steelyard.tune.stops import Stopped

    try:
        yield
        _end(run, RunState.DONE)
    except Stopped as stopped:
        state = RunState(stopped.reason)
        _end(run, state)
        raise Interrupted(state, run) from stopped
    except KeyboardInterrupt:
        _end(run, RunState.INTERRUPTED)
        raise Interrupted(RunState.INTERRUPTED, run) from None
    except SteelyardError as error:
        _end(run, RunState.FAILED, error.message)
        raise
    except BaseException as error:
        _end(run, RunState.FAILED, f"{type(error).__name__}: {error}")
        raise


def _end(run: RunFolder, state: RunState, error: str = "") -> None:
    """Write the last state; a disk too full even for that must not hide why the run failed."""
    with contextlib.suppress(SetupError, OSError):
        status = run.status()
        step = max((line["step"] for line in run.metrics()), default=status.step)
        ended = replace(status, state=state, step=step, error=error, pid=0, ended_at=time.time())
        run.write_status(ended)
        run.say(f"{state.value}{': ' if error else ''}{error}")


@contextlib.contextmanager
def stoppable(run: RunFolder) -> Iterator[Callable[[], str]]:
    """Yield what tells why the run should end; a second Ctrl-C ends it at once.

    Signals are heard in the main thread alone; a run in another thread is ended by its folder.
    """
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        if heard:
            raise KeyboardInterrupt
        heard.append(number)

    def stop() -> str:
        if heard:
            return RunState.INTERRUPTED.value
        return RunState.CANCELLED.value if run.asked_to_cancel() else ""

    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    import torch

    had = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(had)
