"""How rows that were made look in the terminal and as JSON."""

from rich.markup import escape

from steelyard.cli import show
from steelyard.cli.data_rows_show import show_flags, show_kept, version_json
from steelyard.datasets.training import Kept
from steelyard.flows.training_desk import MadeRows


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
    show_flags(flags)
    show_kept(kept, as_json=False)
