"""What the verbs of `steelyard eval` share: options, reading numbers, writing reports."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from steelyard.cli import show
from steelyard.cli.eval_show import show_report
from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.evaluation import Report
from steelyard.core.protocols import Measure
from steelyard.evals.measures import parse_measures
from steelyard.evals.records import Records, records_path
from steelyard.evals.report import report_json, report_markdown, write_page

MIN_EFFECT = 0.02

JsonFile = Annotated[
    str | None, typer.Option("--json", help="write all numbers to a file; - is stdout")
]
HtmlFile = Annotated[
    Path | None, typer.Option("--html", help="write one self-contained page to a file")
]
MarkdownFile = Annotated[Path | None, typer.Option("--markdown", help="write the tables to a file")]
OneArm = Annotated[
    list[str] | None, typer.Option("--arm", help="one more, as 'wide=rag k=20 retrieve.pool=100'")
]
ArmsFile = Annotated[
    Path | None, typer.Option("--arms-file", help="TOML: a table an arm, base = ...")
]
Tuned = Annotated[
    list[str] | None, typer.Option("--tuned", help="what a tuned arm is, as llm.model=NAME")
]
MinEffect = Annotated[
    str, typer.Option("--min-effect", help="what matters: .02, or nDCG@10=.01,F1=.03")
]
DeadlineMs = Annotated[float, typer.Option("--deadline-ms", min=1, help="of each search")]
TimeoutS = Annotated[float, typer.Option("--timeout-s", min=0.1, help="of an answer")]
JudgeUrl = Annotated[
    str, typer.Option("--judge-url", help="an OpenAI-compatible endpoint for judge:*")
]
JudgeModel = Annotated[str, typer.Option("--judge-model", help="the judge's model")]
Run = Annotated[str, typer.Argument(help="a run's id, the beginning of it, or `last`")]


def kept_runs(home: Path) -> Records:
    """Open what a home's runs left behind, to read it: nothing is made, and a home on a disk
    that cannot be written is read as it is.

    Raises:
        NotFound: there is no such home, or nothing was ever run in it.
    """
    path = records_path(home)
    if not path.exists():
        why = "no run was ever made there" if home.is_dir() else "there is no such folder"
        raise NotFound(
            f"home {str(home)!r} keeps no runs ({why}): steelyard eval run --data DIR --arms "
            "bm25,dense,hybrid, or name another home by --home"
        )
    return Records(path, readonly=not os.access(path.parent, os.W_OK))


def effects_for(text: str, measures: Sequence[Measure]) -> dict[str, float]:
    """Return the smallest difference that matters of each measure of quality."""
    told = effects_of(text)
    every = told.pop("", MIN_EFFECT)
    return {m.name: told.get(m.name, every) for m in measures if m.quality or m.name in told}


def effects_of(text: str) -> dict[str, float]:
    return _numbers(text.split(","), option="--min-effect")


def demands_of(pairs: Sequence[str]) -> dict[str, float]:
    found = _numbers(pairs, option="--min-delta")
    if "" in found:
        raise InputError("--min-delta needs a measure, as nDCG@10=0.01")
    return found


def _numbers(pairs: Sequence[str], *, option: str) -> dict[str, float]:
    """Return measure → number; "" → the number that stands alone."""
    found: dict[str, float] = {}
    for pair in pairs:
        name, equals, number = pair.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            raise InputError(f"{option} {pair!r} is no number; write nDCG@10=0.01") from None
        if not 0 <= value < float("inf"):
            raise InputError(f"{option} {pair!r} must be 0 or more")
        found[parse_measures(name)[0].name if equals else ""] = value
    return found


def check_places(json_file: str | None, *files: Path | None) -> None:
    """Complain before minutes of measuring, not after them."""
    named = [Path(json_file)] if json_file not in (None, "-") else []
    for path in (*named, *(file for file in files if file is not None)):
        if not path.absolute().parent.is_dir() or path.is_dir():
            raise InputError(f"{str(path)!r}: name a file, in a folder that exists")


def write_report(
    records: Records,
    report: Report,
    json_file: str | None,
    html_file: Path | None,
    markdown_file: Path | None,
) -> None:
    if json_file != "-":
        show_report(report)
    write_json(report, json_file)
    try:
        if html_file is not None:
            size = write_page(
                html_file, report, records.questions(report.id), records.outcomes(report.id)
            )
            show.note(f"wrote {html_file} ({size / 1e6:.1f} MB)")
        if markdown_file is not None:
            markdown_file.write_text(report_markdown(report), encoding="utf-8")
    except OSError as error:
        raise SetupError(f"cannot write the report: {error}; name another file") from error


def write_json(report: Report, json_file: str | None) -> None:
    if json_file == "-":
        show.emit_json(report_json(report))
    elif json_file is not None:
        try:
            text = json.dumps(report_json(report), allow_nan=False)
            Path(json_file).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise SetupError(f"cannot write {json_file}: {error}; name another file") from error
