"""`steelyard data`, the verbs that make one version of training rows from another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli import data_refine_show, data_rows_show
from steelyard.cli.options import Home, Json, home_of
from steelyard.core.errors import InputError
from steelyard.core.training import TrainingRow
from steelyard.datasets.training import (
    BY,
    THRESHOLD,
    Kept,
    Shares,
    Version,
    deduplicate,
    digest_of,
    evaluation_questions,
    find_leaks,
    find_version,
    keep,
    read_index,
    read_kept,
    sha256_of,
    split_rows,
)

Named = Annotated[str, typer.Argument(help="a version's name, or the beginning of its id")]


def dedup(
    ctx: typer.Context,
    version: Named,
    home: Home = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", min=0.5, max=1.0, help="rows that share so much are one; 1: exact only"
        ),
    ] = THRESHOLD,
    as_json: Json = False,
) -> None:
    """Keep a version without rows that say the same as another, exactly or nearly.

    Labels, roles and weights must be the same too. One text with two labels is told, and stays.

    Example:

        steelyard data dedup support --threshold 0.9
    """
    place = home_of(ctx, home)
    old = find_version(place, version)
    found = deduplicate(read_kept(place, old), threshold=threshold)
    kept = _derived(place, old, found.rows, {"verb": "dedup", "threshold": threshold})
    data_refine_show.show_duplicates(found, kept, as_json=as_json)


def leaks(
    ctx: typer.Context,
    version: Named,
    home: Home = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", help="a question set besides the home's: a folder or a file"),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="keep a version without the rows that leak")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look for evaluation questions in training rows: exact ones, and lightly edited ones.

    Compares with every set of the home, and with those given. Exits with 2 if a row leaks.

    Examples:

        steelyard data leaks support --against ./eval/questions.jsonl

        steelyard data leaks support --remove
    """
    place = home_of(ctx, home)
    old = find_version(place, version)
    questions = evaluation_questions(place, against or ())
    rows = read_kept(place, old)
    found = list(find_leaks(rows, questions))
    leaking = {sha256_of(leak.row) for leak in found}
    kept = None
    if found and remove:
        clean = [row for row in rows if sha256_of(row) not in leaking]
        kept = _derived(place, old, clean, {"verb": "leaks", "against": digest_of(questions)})
    data_refine_show.show_leaks(found, kept, num_questions=len(questions), as_json=as_json)
    if not found or kept:
        return
    if as_json:
        raise typer.Exit(2)
    raise InputError(
        f"{len(found):,} of {len(rows):,} rows hold a question of an evaluation: leave them out "
        "by --remove"
    )


def split(
    ctx: typer.Context,
    version: Named,
    home: Home = None,
    by: Annotated[str, typer.Option("--by", help=f"one of {', '.join(BY)}")] = BY[0],
    validation: Annotated[float, typer.Option("--validation", help="its share of the rows")] = 0.1,
    test: Annotated[float, typer.Option("--test", help="its share of the rows")] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="which groups go where")] = 0,
    as_json: Json = False,
) -> None:
    """Keep a version with train, validation and test; no document is on both sides.

    Rows that share a document, a conversation or their text stay together; by `user` those of
    one user too. By `time` the newest are tested.

    Example:

        steelyard data split support --by user --test 0.2
    """
    place = home_of(ctx, home)
    old = find_version(place, version)
    rows = read_kept(place, old)
    found = split_rows(rows, Shares(validation, test), by=by, seed=seed)
    recipe = {"verb": "split", "by": by, "validation": validation, "test": test, "seed": seed}
    kept = keep(place, rows, name=old.name, recipe=recipe, parents=[old.id], splits=found.of)
    if as_json:
        data_rows_show.show_kept(kept, as_json=True)
    else:
        data_refine_show.show_splits(found, kept)


def _derived(
    home: Path, old: Version, rows: Sequence[TrainingRow], recipe: Mapping[str, Any]
) -> Kept:
    """Keep rows of a version in the splits in which they were."""
    splits = {one.sha256: one.split for one in read_index(home, old) if one.split}
    return keep(home, rows, name=old.name, recipe=recipe, parents=[old.id], splits=splits)
