"""`steelyard data review` of a version of training rows, and `steelyard data show`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import data_rows_show, show
from steelyard.cli.data_row_view import row_json, show_row
from steelyard.cli.endings import complain
from steelyard.cli.options import Home, Json, home_of
from steelyard.core.errors import InputError
from steelyard.core.words import fold
from steelyard.datasets import Decision, Verdict
from steelyard.datasets.training import (
    ReviewedRow,
    Version,
    decide_rows,
    find_version,
    flags_of,
    keep_reviewed,
    read_index,
    read_kept,
    row_queue,
    texts_of,
)

ALL, FLAGGED = "all", "flagged"


@dataclass(frozen=True, slots=True)
class RowReview:
    """What is to be done with rows: ids by verdict, an edit, and which are kept then."""

    by_verdict: Mapping[Verdict, Sequence[str]] = field(default_factory=dict)
    edit: Decision | None = None
    keep: str = ""
    everything: bool = False
    by: str = ""


def review_rows(
    home: Path,
    version: Version,
    wanted: RowReview,
    *,
    as_json: bool,
    interactive: Callable[[], str] | None,
) -> None:
    """Decide on rows, keep what is left of them, or list them; `interactive` waits for a key."""
    if wanted.keep:
        kept = keep_reviewed(home, version, wanted.keep)
        data_rows_show.show_kept(kept, as_json=as_json)
        return
    given = _decisions(home, version, wanted)
    if given:
        _list(decide_rows(home, version, given), as_json=as_json)
        return
    items = row_queue(home, version)
    pending = [one for one in items if one.verdict is Verdict.PENDING]
    if as_json or wanted.everything or interactive is None:
        _list(items if wanted.everything else pending, as_json=as_json)
    else:
        _go_through(home, version, pending, wanted.by, interactive)


def show_rows(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="a version's name, or the beginning of its id")],
    home: Home = None,
    split: Annotated[str, typer.Option("--split", help="only rows of this split")] = "",
    flagged: Annotated[
        bool, typer.Option("--flagged", help="only rows in which something is private")
    ] = False,
    having: Annotated[
        str, typer.Option("--with", help="only rows in which these words stand")
    ] = "",
    row: Annotated[str, typer.Option("--row", help="only rows whose hash begins so")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="show at most so many")] = 5,
    whole: Annotated[bool, typer.Option("--whole", help="do not shorten long texts")] = False,
    as_json: Json = False,
) -> None:
    """Show rows of a version: what is asked, what is learnt, and where each is from.

    Examples:

        steelyard data show support --limit 20

        steelyard data show support --split test --with "refund"

        steelyard data show support --flagged
    """
    place = home_of(ctx, home)
    found = find_version(place, version)
    if split and split not in found.splits:
        read_kept(place, found, split=split)  # says which splits there are
    rows = zip(read_index(place, found), read_kept(place, found), strict=True)
    wanted = fold(having)
    chosen = [
        (indexed, one)
        for indexed, one in rows
        if (not split or indexed.split == split)
        and indexed.sha256.startswith(row)
        and (not wanted or any(wanted in fold(text.text) for text in texts_of(one.example)))
        and (not flagged or flags_of(one))
    ]
    if as_json:
        shown = [row_json(ix.sha256, one, split=ix.split) for ix, one in chosen[:limit]]
        show.emit_json({"id": found.id, "found": len(chosen), "rows": shown})
        return
    for indexed, one in chosen[:limit]:
        show_row(indexed.sha256, one, split=indexed.split, whole=whole)
    show.note(f"{min(limit, len(chosen)):,} of {len(chosen):,} rows")


def _decisions(home: Path, version: Version, wanted: RowReview) -> list[Decision]:
    given = [
        Decision(identity, verdict, wanted.by)
        for verdict, ids in wanted.by_verdict.items()
        for named in ids
        for identity in _named(home, version, named, verdict)
    ]
    return [*given, wanted.edit] if wanted.edit else given


def _named(home: Path, version: Version, named: str, verdict: Verdict) -> list[str]:
    """Return a hash, or those of all pending rows, or of those in which something is private."""
    if named == FLAGGED and verdict is Verdict.REJECT:
        found = [one.sha256 for one in row_queue(home, version) if flags_of(one.row)]
    elif named == ALL and verdict is Verdict.ACCEPT:
        items = row_queue(home, version)
        found = [one.sha256 for one in items if one.verdict is Verdict.PENDING]
    else:
        return [named]
    if not found:
        raise InputError(f"no row of {version.name!r} is meant by {named!r}")
    return found


def _list(items: Sequence[ReviewedRow], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"verdict": one.verdict.value, "by": one.by}
            | row_json(one.sha256, one.row, split=one.split)
            for one in items
        ]
        show.emit_json({"rows": rows})
        return
    for one in items:
        show.out.print(f"{one.verdict}", end=" ")
        show_row(one.sha256, one.row, split=one.split)
    show.note(f"{len(items):,} rows")


def _go_through(
    home: Path, version: Version, pending: Sequence[ReviewedRow], by: str, key: Callable[[], str]
) -> None:
    """Go through what is pending; each key is a decision that is kept at once."""
    verdicts = {"a": Verdict.ACCEPT, "r": Verdict.REJECT}
    for number, one in enumerate(pending, start=1):
        show_row(one.sha256, one.row, split=one.split)
        show.out.print(f"[dim]{number} of {len(pending)}[/]  accept (a), edit (e), reject (r), "
                       "skip (s), quit (q)")  # fmt: skip
        pressed = key()
        if pressed == "q":
            break
        if pressed == "s":
            continue
        try:
            if pressed == "e":
                answer = typer.prompt("the right answer")
                decision = Decision(one.sha256, Verdict.EDIT, by, answers=(answer,))
            else:
                decision = Decision(one.sha256, verdicts[pressed], by)
            decide_rows(home, version, [decision])
        except InputError as error:
            complain(f"{error.message}; left as it was")
    show.note(f"keep what is left by `steelyard data review {version.name} --keep not-rejected`")
