"""A report as one HTML file: all that was asked, answered and measured; nothing is loaded.

What people read first (sentences, table, plots) is in the markup. The list of questions and the
answers lie behind it in blocks (`blocks.py`), which the page's own script opens when asked.
"""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

from steelyard.core.errors import InputError
from steelyard.core.evaluation import QuestionSet, Report
from steelyard.evals.report.blocks import Outcomes, block, data_blocks, index
from steelyard.evals.report.sections import (
    comparisons_section,
    details_section,
    figures_section,
    head_section,
    plots_section,
    questions_section,
    steps_section,
)

_STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("data.js", "scatter.js", "list.js", "detail.js", "report.js")


def report_page(report: Report, questions: QuestionSet, outcomes: Outcomes) -> Iterator[str]:
    """Yield the page in pieces; `outcomes` by the name of each of the report's arms.

    Raises:
        InputError: the report has no arm, or an arm's outcomes are not there.
    """
    missing = [arm.name for arm in report.arms if arm.name not in outcomes]
    if not report.arms or missing:
        faults = ", ".join(map(repr, missing)) or "any arm"
        raise InputError(f"report {report.id!r}: no outcomes of {faults}; run the evaluation again")
    return _pieces(report, questions, outcomes)


def write_page(path: Path, report: Report, questions: QuestionSet, outcomes: Outcomes) -> int:
    """Write the page as a whole or not at all; return its size in bytes."""
    pieces = report_page(report, questions, outcomes)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("w", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(pieces)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return path.stat().st_size


def page_policy() -> str:
    """Return the content security policy that the page carries, for a server's header."""
    script, style = _hash(page_script()), _hash(page_style())
    return (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; "
        "base-uri 'none'; form-action 'none'"
    )


def page_digest() -> str:
    """Return a short name of this version of the page: kept pages of another one are stale."""
    return hashlib.sha256((page_script() + page_style()).encode("utf-8")).hexdigest()[:8]


@cache
def page_script() -> str:
    parts = [(_STATIC / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


@cache
def page_style() -> str:
    return (_STATIC / "report.css").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()


def _pieces(report: Report, questions: QuestionSet, outcomes: Outcomes) -> Iterator[str]:
    title = f"{report.set_name}: {len(report.arms)} arms weighed"
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{page_policy()}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{page_style()}</style></head>\n<body>\n"
    )
    yield head_section(report, questions)
    yield figures_section(report)
    yield steps_section(report)
    yield plots_section(report)
    yield questions_section(report, questions)
    yield comparisons_section(report)
    yield details_section(report, questions)
    yield block("index", index(report, questions))
    yield f"<script>{page_script()}</script>\n"
    yield from data_blocks(report, questions, outcomes)
    yield "</body></html>\n"
