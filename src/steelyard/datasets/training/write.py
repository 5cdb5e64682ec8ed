"""Canonical rows → files in any usual form."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.training import Kind, Reading, TrainingRow
from steelyard.datasets.training.forms import FORMS, OWN, Form, form_named
from steelyard.datasets.training.versions import Version, read_kept
from steelyard.datasets.write import write_rows
from steelyard.infra.files import write_atomic


def write_training(path: Path, rows: Sequence[TrainingRow], *, form: str = OWN) -> Path:
    """Write rows as lines of a form; squad into a `.json` file is SQuAD's one object.

    Raises:
        InputError: no such form, or a row that it cannot hold.
    """
    fields = [_fields(row, form_named(form)) for row in rows]
    if form == "squad" and path.suffix == ".json":
        whole = {"version": "v2.0", "data": _articles(rows)}
        write_atomic(path, json.dumps(whole, ensure_ascii=False).encode("utf-8"))
        return path
    return write_rows(path, fields)


def export_version(
    home: Path, version: Version, folder: Path, *, form: str = OWN, split: str = ""
) -> list[Path]:
    """Write a version, or one split, into a new folder: a file a split, rows as they stood.

    Raises:
        InputError: no such form, a row that it cannot hold, or a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is not empty; give a new folder")
    ending = "json" if form == "squad" else "jsonl"
    written = {
        name or "rows": sorted(read_kept(home, version, split=name), key=_stood)
        for name in ([split] if split else list(version.splits) or [""])
    }
    for rows in written.values():
        for row in rows:  # all that fits is known before the first file is there
            _fields(row, form_named(form))
    return [
        write_training(folder / f"{name}.{ending}", rows, form=form)
        for name, rows in written.items()
    ]


def forms_of(kind: Kind) -> tuple[str, ...]:
    """Return the names of the forms that hold examples of a kind."""
    return tuple(form.name for form in FORMS if kind in form.kinds)


def _fields(row: TrainingRow, form: Form) -> Mapping[str, Any]:
    found = form.write(row) if row.kind in form.kinds else None
    if found is None:
        where = row.provenance
        raise InputError(
            f"the row from {where.file}:{where.line} ({row.kind}) does not fit the form "
            f"{form.name!r}; export it as one of {', '.join(forms_of(row.kind))}"
        )
    return found


def _stood(row: TrainingRow) -> tuple[str, int]:
    return row.provenance.file, row.provenance.line


def _articles(rows: Sequence[TrainingRow]) -> list[dict[str, Any]]:
    """Return SQuAD's articles, paragraphs and questions in the order of first appearance."""
    titles: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number, row in enumerate(rows, start=1):
        reading = row.example
        assert isinstance(reading, Reading)
        questions = titles.setdefault(reading.title, {}).setdefault(reading.context, [])
        questions.append(
            {
                "id": row.provenance.id or f"q{number}",
                "question": reading.question,
                "answers": [
                    {"text": span.text, "answer_start": span.start} for span in reading.answers
                ],
                "is_impossible": not reading.answers,
            }
        )
    return [
        {
            "title": title,
            "paragraphs": [{"context": context, "qas": qas} for context, qas in texts.items()],
        }
        for title, texts in titles.items()
    ]
