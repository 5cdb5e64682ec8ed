"""How training rows look in the terminal and as JSON."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape

from steelyard.cli import show
from steelyard.core.training import TrainingRow
from steelyard.datasets.training import (
    Difference,
    Flag,
    Kept,
    ReadRows,
    Version,
    first_text,
    sha256_of,
)

SHOWN_FLAGS = 20
SHORT_ID = 8


def show_read(found: ReadRows, *, as_json: bool) -> None:
    """Show what files hold: the kind first of all, faults not."""
    if as_json:
        show.emit_json(read_json(found))
        return
    for file in found.files:
        what = f"rows of the form {file.form}" if file.form else "rows: no line is a JSON object"
        show.out.print(f"{escape(file.name)}: {file.num_rows:,} {what}")
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in found.kinds.items())
    show.out.print(f"sound: {kinds or 'none'}; faults: {found.num_faults:,}")
    for note in found.notes:
        show.out.print(f"[yellow]note:[/] {escape(note)}")
    show_flags(found.flags)


def show_flags(flags: Sequence[Flag], *, shown: int = SHOWN_FLAGS) -> None:
    for flag in flags[:shown]:
        show.out.print(f"[yellow]private:[/] {escape(str(flag))}")
    if len(flags) > shown:
        counted = Counter(flag.found.what for flag in flags)
        parts = ", ".join(f"{number:,} {what}" for what, number in counted.most_common())
        show.out.print(f"[yellow]private:[/] {len(flags):,} places in all: {parts}")


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


def show_kept(kept: Kept, *, as_json: bool, read: ReadRows | None = None) -> None:
    """Show a version that was kept; as JSON with what there was to say of the files read."""
    version = kept.version
    if as_json:
        told = read_json(read) if read else {}
        more = {name: told[name] for name in ("files", "flags", "notes") if name in told}
        show.emit_json(version_json(version) | {"known": kept.known} | more)
        return
    said = "was kept already" if kept.known else "kept"
    show.out.print(
        f"{said}: {escape(version.name)} {version.id[:SHORT_ID]}, "
        f"{version.num_rows:,} rows of {version.kind}{_parts(version)}"
    )


def show_versions(listed: Sequence[Version], *, as_json: bool) -> None:
    if as_json:
        show.emit_json({"versions": [version_json(one) for one in listed]})
    elif not listed:
        show.note("no version yet: make one by `steelyard data import FILE --name NAME`")
    else:
        names = ("id", "name", "kind", "rows", "splits", "made by", "of", "at")
        show.show_rows(names, [_version_cells(one) for one in listed])


def version_json(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "root": version.root,
        "name": version.name,
        "kind": version.kind.value,
        "rows": version.num_rows,
        "splits": dict(version.splits),
        "recipe": dict(version.recipe),
        "parents": list(version.parents),
        "sources": dict(version.sources),
        "created_at": version.created_at,
    }


def show_diff(
    found: Difference,
    *,
    limit: int,
    read_old: Callable[[], Sequence[TrainingRow]],
    read_new: Callable[[], Sequence[TrainingRow]],
    as_json: bool,
) -> None:
    """Show the counts, and the first rows of each side, which are read only then."""
    sides = {"added": found.added, "removed": found.removed, "moved": found.moved}
    if as_json:
        show.emit_json({"same": found.num_same, **{name: list(one) for name, one in sides.items()}})
        return
    counts = ", ".join(f"{len(hashes):,} {name}" for name, hashes in sides.items())
    show.out.print(f"{counts}, {found.num_same:,} the same")
    for name, hashes in sides.items():
        if not hashes or not limit:
            continue
        wanted = set(hashes[:limit])
        for row in (read_old if name == "removed" else read_new)():
            identity = sha256_of(row)
            if identity in wanted:
                line = show.short(" ".join(first_text(row.example).split()[:20]))
                show.out.print(f"{name} [dim]{identity[:SHORT_ID]}[/] {escape(line)}")
                wanted.discard(identity)


def _version_cells(version: Version) -> tuple[str, ...]:
    made = datetime.fromtimestamp(version.created_at, UTC)
    return (
        version.id[:SHORT_ID],
        version.name,
        version.kind.value,
        f"{version.num_rows:,}",
        _parts(version).removeprefix(": "),
        str(version.recipe.get("verb", "")),
        ", ".join(one[:SHORT_ID] for one in version.parents),
        f"{made:%m-%d %H:%M}",
    )


def _parts(version: Version) -> str:
    parts = ", ".join(f"{number:,} {name}" for name, number in version.splits.items())
    return f": {parts}" if parts else ""
