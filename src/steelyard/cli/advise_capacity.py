"""What `steelyard advise capacity` prints."""

from rich.markup import escape

from steelyard.advise import Capacity, figures_table, limits_table
from steelyard.cli import show

_MARK = " !"  # on what is beyond one machine


def show_capacity(found: Capacity) -> None:
    header, *rows = figures_table(found)
    show.show_rows(header, rows)
    show.out.print()
    header, *parts = limits_table(found)
    show.show_rows(header[:-1], [row[:-1] for row in parts])
    show.out.print()
    for part, _, asked, *_, then in parts:
        if asked.endswith(_MARK):
            show.out.print(escape(f"! {part}: {then}"))
    for note in found.notes:
        show.out.print(escape(f"· {note}"), style="dim")
