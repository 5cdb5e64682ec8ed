"""How training rows look in the terminal and as JSON."""

from collections import Counter
from typing import Any

from rich.markup import escape

from steelyard.cli import show
from steelyard.datasets.training import ReadRows

SHOWN_FLAGS = 20


def show_read(found: ReadRows, *, as_json: bool) -> None:
    """Show what files hold: the kind first of all, faults not."""
    if as_json:
        show.emit_json(read_json(found))
        return
    for file in found.files:
        show.out.print(f"{escape(file.name)}: {file.num_rows:,} rows of the form {file.form}")
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in found.kinds.items())
    show.out.print(f"sound: {kinds or 'none'}; faults: {found.num_faults:,}")
    for note in found.notes:
        show.out.print(f"[yellow]note:[/] {escape(note)}")
    for flag in found.flags[:SHOWN_FLAGS]:
        show.out.print(f"[yellow]private:[/] {escape(str(flag))}")
    if len(found.flags) > SHOWN_FLAGS:
        counted = Counter(flag.found.what for flag in found.flags)
        parts = ", ".join(f"{number:,} {what}" for what, number in counted.most_common())
        show.out.print(f"[yellow]private:[/] {len(found.flags):,} places in all: {parts}")


def read_json(found: ReadRows) -> dict[str, Any]:
    return {
        "files": [
            {"name": one.name, "form": one.form, "rows": one.num_rows, "sha256": one.sha256}
            for one in found.files
        ],
        "kinds": {kind.value: number for kind, number in found.kinds.items()},
        "sound": len(found.rows),
        "num_faults": found.num_faults,
        "faults": list(found.faults),
        "flags": [
            {
                "file": flag.place.file,
                "line": flag.place.number,
                "field": flag.field,
                "what": flag.found.what,
                "shown": flag.found.shown,
            }
            for flag in found.flags
        ],
        "notes": list(found.notes),
    }
