"""How duplicates, leaks and splits look in the terminal and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from steelyard.cli import show
from steelyard.cli.data_rows_show import show_kept, version_json
from steelyard.core.training import TrainingRow
from steelyard.datasets.training import Deduplicated, Kept, Leak, Splits, first_text, sha256_of

SHOWN = 10


def show_duplicates(found: Deduplicated, kept: Kept, *, as_json: bool) -> None:
    exact = sum(one.similarity == 1.0 for one in found.duplicates)
    near = len(found.duplicates) - exact
    if as_json:
        show.emit_json(
            version_json(kept.version)
            | {"known": kept.known, "exact": exact, "near": near}
            | {
                "duplicates": [
                    {
                        "row": sha256_of(one.row),
                        "of": sha256_of(one.of),
                        "similarity": round(one.similarity, 4),
                    }
                    for one in found.duplicates
                ],
                "conflicts": [[_place(row) for row in group] for group in found.conflicts],
            }
        )
        return
    show.out.print(f"left out: {exact:,} exact and {near:,} near duplicates")
    edited = [one for one in found.duplicates if one.similarity < 1.0]
    for one in sorted(edited, key=lambda one: one.similarity)[:SHOWN]:
        show.out.print(f"  {one.similarity:.2f}  {escape(_line(one.row))}")
        show.out.print(f"    of  {escape(_line(one.of))}")
    for group in found.conflicts[:SHOWN]:
        places = ", ".join(map(_place, group))
        show.out.print(f"[yellow]several labels:[/] {escape(places)}: {escape(_line(group[0]))}")
    if len(found.conflicts) > SHOWN:
        show.out.print(f"[yellow]several labels:[/] {len(found.conflicts):,} texts in all")
    show_kept(kept, as_json=False)


def show_leaks(
    found: Sequence[Leak], kept: Kept | None, *, num_questions: int, as_json: bool
) -> None:
    if as_json:
        show.emit_json(
            {
                "questions": num_questions,
                "leaks": [_leak_json(leak) for leak in found],
                "version": version_json(kept.version) if kept else None,
            }
        )
        return
    show.out.print(f"compared with {num_questions:,} questions: {len(found):,} rows leak")
    for leak in found[:SHOWN]:
        set_name, said = leak.question.set_name, show.short(leak.question.text, width=80)
        show.out.print(
            f"  {leak.similarity:.2f}  {escape(_place(leak.row))} {escape(leak.field)}: "
            f"{escape(set_name)} {escape(leak.question.id)} “{escape(said)}”"
        )
    if len(found) > SHOWN:
        show.out.print(f"  and {len(found) - SHOWN:,} more: --json lists them all")
    if kept:
        show_kept(kept, as_json=False)


def show_splits(found: Splits, kept: Kept) -> None:
    total = sum(found.num_rows.values())
    rows = [
        (name, f"{number:,}", f"{number / total:.1%}", f"{found.num_groups[name]:,}")
        for name, number in sorted(found.num_rows.items())
    ]
    show.show_rows(("split", "rows", "share", "groups"), rows)
    show_kept(kept, as_json=False)


def _leak_json(leak: Leak) -> dict[str, Any]:
    return {
        "row": sha256_of(leak.row),
        "file": leak.row.provenance.file,
        "line": leak.row.provenance.line,
        "field": leak.field,
        "set": leak.question.set_name,
        "question": leak.question.id,
        "similarity": round(leak.similarity, 4),
    }


def _place(row: TrainingRow) -> str:
    return f"{row.provenance.file}:{row.provenance.line}"


def _line(row: TrainingRow) -> str:
    return f"{_place(row)} {show.short(' '.join(first_text(row.example).split()[:20]), width=80)}"
