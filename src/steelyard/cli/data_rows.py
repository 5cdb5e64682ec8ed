"""`steelyard data`, the verbs for training rows: checked, kept as versions, compared."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import data_rows_show
from steelyard.cli.data_refine import dedup, leaks, split
from steelyard.cli.data_review_rows import show_rows
from steelyard.cli.options import Home, Json, home_of
from steelyard.datasets.training import (
    FORMS,
    diff,
    find_version,
    keep,
    read_files,
    read_index,
    read_kept,
    versions,
)

Files = Annotated[list[Path], typer.Argument(help="files of rows, plain or gzip, all of one kind")]
AsForm = Annotated[
    str,
    typer.Option(
        "--form", help=f"one of {', '.join(form.name for form in FORMS)}; told from the rows if not"
    ),
]

Named = Annotated[str, typer.Argument(help="a version's name, or the beginning of its id")]


def import_rows(
    ctx: typer.Context,
    files: Files,
    name: Annotated[str, typer.Option("--name", help="the version's name")],
    home: Home = None,
    form: AsForm = "",
    origin: Annotated[
        str, typer.Option("--origin", help="where rows are from that do not say it")
    ] = "",
    licence: Annotated[
        str, typer.Option("--licence", help="the licence of rows that do not say it")
    ] = "",
    as_json: Json = False,
) -> None:
    """Keep files of training rows as a version, if no row has a fault.

    A version never changes. The same rows in any order, imported in the same way, have one id.

    Example:

        steelyard data import support.jsonl --name support --licence "our own"
    """
    found = read_files(files, form=form, origin=origin, licence=licence)
    if not as_json:
        data_rows_show.show_read(found, as_json=False)
    found.refuse_faults()
    kept = keep(
        home_of(ctx, home),
        found.rows,
        name=name,
        recipe={"verb": "import", "origin": origin, "licence": licence},
        sources={one.name: one.sha256 for one in found.files},
    )
    data_rows_show.show_kept(kept, as_json=as_json, read=found)


def list_versions(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the versions of training data that the home keeps, the newest first.

    Example:

        steelyard data versions
    """
    data_rows_show.show_versions(versions(home_of(ctx, home)), as_json=as_json)


def compare(
    ctx: typer.Context,
    old: Named,
    new: Named,
    home: Home = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="show at most so many rows of each kind")
    ] = 5,
    as_json: Json = False,
) -> None:
    """Tell which rows one version has and another has not, and which changed their split.

    Example:

        steelyard data diff 3fb1 9c20 --limit 20
    """
    place = home_of(ctx, home)
    before, after = (find_version(place, named) for named in (old, new))
    found = diff(read_index(place, before), read_index(place, after))
    data_rows_show.show_diff(
        found,
        limit=limit,
        read_old=lambda: read_kept(place, before),
        read_new=lambda: read_kept(place, after),
        as_json=as_json,
    )


def validate(files: Files, form: AsForm = "", as_json: Json = False) -> None:
    """Check files of training rows: kind, faults by file, line and field, private data.

    Exits with 2 if there is a fault. Secrets and personal data are flagged, never printed.

    Examples:

        steelyard data validate support.jsonl

        steelyard data validate train.jsonl.gz --form openai-chat --json
    """
    found = read_files(files, form=form)
    data_rows_show.show_read(found, as_json=as_json)
    if not as_json:
        found.refuse_faults()
    elif found.num_faults:
        raise typer.Exit(2)


def add_verbs(data: typer.Typer) -> None:
    """Add the verbs of training rows to the group."""
    data.command("import")(import_rows)
    data.command("validate")(validate)
    data.command("dedup")(dedup)
    data.command("leaks")(leaks)
    data.command("split")(split)
    data.command("versions")(list_versions)
    data.command("diff")(compare)
    data.command("show")(show_rows)
