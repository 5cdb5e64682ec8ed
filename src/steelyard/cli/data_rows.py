"""`steelyard data`, the verbs for training rows: checked, kept as versions, compared."""

from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import data_rows_show
from steelyard.cli.options import Json
from steelyard.datasets.training import FORMS, read_files

Files = Annotated[list[Path], typer.Argument(help="files of rows, plain or gzip, all of one kind")]
AsForm = Annotated[
    str,
    typer.Option(
        "--form", help=f"one of {', '.join(form.name for form in FORMS)}; told from the rows if not"
    ),
]


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
    data.command("validate")(validate)
