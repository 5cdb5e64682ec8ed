"""How rows that were made look in the terminal and as JSON."""

from types import TracebackType

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steelyard.cli import show
from steelyard.cli.data_rows_show import show_flags, show_kept, version_json
from steelyard.cli.endings import err
from steelyard.datasets.training import Kept
from steelyard.flows.training_desk import MadeRows

SHOWN_FLAGS = 3


def show_made(kept: Kept, made: MadeRows, *, as_json: bool) -> None:
    """Show a version that was made, and all that did not come into it."""
    flags = made.flags
    if as_json:
        show.emit_json(
            version_json(kept.version)
            | {"known": kept.known, "read": made.num_read, "left_out": dict(made.left_out)}
            | {"private": len(flags), **made.facts}
        )
        return
    show.out.print(f"read: {made.num_read:,}")
    for name, value in made.facts.items():
        show.out.print(f"{name.replace('_', ' ')}: {value:,}")
    for why, number in made.left_out.items():
        show.out.print(f"[dim]left out:[/] {number:,} {escape(why)}")
    show_flags(flags, shown=SHOWN_FLAGS)
    show_kept(kept, as_json=False)


class RowProgress:
    """A bar on stderr for the documents of a set that are being ingested, then for rows."""

    def __init__(self, verb: str, total: int, *, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        )
        self._filling = self._bar.add_task("ingesting the set", total=None, visible=False)
        self._rows = self._bar.add_task(verb, total=total)

    def on_fill(self, done: int, total: int) -> None:
        self._bar.update(self._filling, completed=done, total=total, visible=done < total)

    def on_row(self, done: int) -> None:
        self._bar.update(self._rows, completed=done)

    def __enter__(self) -> "RowProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
