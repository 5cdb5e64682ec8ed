"""Before and while arms run: what the set can show, and how far each arm is."""

from collections.abc import Sequence
from math import isfinite
from types import TracebackType

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from steelyard.cli.endings import err
from steelyard.flows.compare import Planned
from steelyard.flows.evaluate import Progress as ArmProgress

SHOWN = 4  # measures; the others say much the same


def show_plan(rows: Sequence[Planned]) -> None:
    """Print, to stderr, the smallest difference that the run would show of each measure."""
    for row in rows[:SHOWN]:
        if not isfinite(row.found.mde):  # a single cluster
            err.print(f"[dim]{escape(row.measure)}: so few questions show no difference[/]")
            continue
        line = f"{row.measure}: shows differences from {row.found.mde:.3g} on (power .8)"
        if row.found.mde > row.min_effect:
            needed = row.found.n_needed
            take = f"{needed:,} questions" if needed else "more questions than can be asked"
            line += f"; {row.min_effect:.3g} would take {take}"
        err.print(f"[dim]{escape(line)}; by {escape(row.source)}[/]")


class EvaluateProgress:
    """A bar on stderr for the documents of a set, then one an arm."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=err,
            disable=not err.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def on_fill(self, done: int, total: int) -> None:
        self._update("ingest", done, total, "documents")

    def on_progress(self, progress: ArmProgress) -> None:
        told = f"{progress.reused} known" if progress.reused else ""
        if progress.failed:
            told += f" [red]{progress.failed} failed[/]"
        self._update(progress.arm, progress.done, progress.total, told.strip())

    def _update(self, name: str, done: int, total: int, told: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(escape(name), total=total, told=told)
        self._bars.update(self._tasks[name], completed=done, total=total, told=told)

    def __enter__(self) -> "EvaluateProgress":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
