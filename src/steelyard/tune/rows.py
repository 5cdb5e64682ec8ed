"""Rows from the files that `steelyard data export` writes, for a machine that has no home."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.core.errors import InputError
from steelyard.core.training import (
    Example,
    Kind,
    Labelled,
    Provenance,
    Reading,
    Retrieval,
    Span,
    TrainingRow,
)
from steelyard.core.tuning import LEARNS_FROM
from steelyard.tune.recipe import Recipe

_HOME = "import them into a home (`steelyard data import`) and use `steelyard tune run`"


def read_places(places: Sequence[str], recipe: Recipe, *, beside: Path) -> list[TrainingRow]:
    """Return the rows of JSONL files, whose places may be relative to the recipe's folder.

    Raises:
        InputError: a file is not there, or a line is no row of the recipe's kind.
    """
    reader = _READERS.get(LEARNS_FROM[recipe.kind][0])
    if reader is None:
        raise InputError(f"rows of a {recipe.kind.value} cannot be read without a home; {_HOME}")
    rows: list[TrainingRow] = []
    for place in places:
        rows += _read(beside / place, reader)
    return rows


def _read(path: Path, reader: Callable[[Mapping[str, Any]], Example]) -> list[TrainingRow]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}); {_HOME}") from error
    rows: list[TrainingRow] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            given = fields.get("provenance") or {}
            where = Provenance(
                file=path.name,
                line=number,
                licence=str(given.get("licence", "")),
                documents=tuple(given.get("documents", ())),
            )
            rows.append(TrainingRow(reader(fields), where))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path.name}:{number}: lacks or garbles {error}; check the file by `steelyard "
                "data validate`"
            ) from error
    return rows


def _retrieval(fields: Mapping[str, Any]) -> Example:
    return Retrieval(
        query=str(fields["query"]),
        positives=tuple(map(str, fields["positives"])),
        negatives=tuple(map(str, fields.get("negatives", ()))),
    )


def _reading(fields: Mapping[str, Any]) -> Example:
    context, answers = str(fields["context"]), fields.get("answers") or {"text": ()}
    spans = tuple(
        Span(str(text), int(start))
        for text, start in zip(answers["text"], answers.get("answer_start", ()), strict=True)
    )
    wrong = next((s for s in spans if context[s.start : s.start + len(s.text)] != s.text), None)
    if wrong is not None:
        raise ValueError(f"answer {wrong.text!r}, which does not stand at {wrong.start}")
    return Reading(str(fields["question"]), context, spans, str(fields.get("title", "")))


def _labelled(fields: Mapping[str, Any]) -> Example:
    return Labelled(str(fields["text"]), str(fields["label"]))


_READERS: Mapping[Kind, Callable[[Mapping[str, Any]], Example]] = {
    Kind.RETRIEVAL: _retrieval,
    Kind.READER: _reading,
    Kind.LABELLED: _labelled,
}
