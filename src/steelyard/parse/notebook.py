"""Jupyter notebooks: prose as Markdown, code and what it printed."""

import json

from steelyard.core.documents import BlockKind
from steelyard.core.errors import ParseError
from steelyard.parse import markdown
from steelyard.parse.decode import clean
from steelyard.parse.draft import Composer, Draft, first_heading
from steelyard.parse.jsonlines import Json

_MAX_OUTPUT_CHARS = 2000  # of one cell: logs and arrays drown what was meant to be read
_KEPT_METADATA = ("kernelspec", "language_info")


def parse(text: str) -> Draft:
    """Return the cells in order, and last which kernel and language they are for.

    Raises:
        ParseError: not a notebook (`damaged`).
    """
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
        metadata = notebook.get("metadata") or {}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"not a Jupyter notebook: {error!r}", code="damaged") from None
    composer = Composer()
    for cell in cells if isinstance(cells, list) else []:
        if isinstance(cell, dict):
            _add_cell(composer, cell)
    title = metadata.get("title") if isinstance(metadata, dict) else None
    named = title if isinstance(title, str) else ""
    draft = composer.draft()
    named = named or first_heading(draft.text, draft.blocks)
    if draft.text and isinstance(metadata, dict):
        composer.add(BlockKind.PARAGRAPH, _kernel(metadata, notebook.get("nbformat")))
    return composer.draft(title=named)


def _add_cell(composer: Composer, cell: dict[str, Json]) -> None:
    source = clean(_joined(cell.get("source")))
    if cell.get("cell_type") == "markdown":
        composer.absorb(markdown.parse(source))
        return
    composer.add(BlockKind.CODE, source)
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        if isinstance(output, dict):
            _add_output(composer, output)


def _add_output(composer: Composer, output: dict[str, Json]) -> None:
    """Append what a reader sees below the cell: its text, not its pictures."""
    shown = output.get("data")
    plain = shown.get("text/plain") if isinstance(shown, dict) else output.get("text")
    printed = clean(_joined(plain))[:_MAX_OUTPUT_CHARS]
    name = output.get("name")
    if printed.strip():
        label = name if isinstance(name, str) else "output"
        composer.add(BlockKind.CODE, f"{label}:\n{printed}")


def _kernel(metadata: dict[str, Json], version: Json) -> str:
    lines = [f"nbformat: {version}"] if isinstance(version, int) else []
    for name in _KEPT_METADATA:
        fields = metadata.get(name)
        if isinstance(fields, dict):
            pairs = (f"{key} {value}" for key, value in fields.items() if isinstance(value, str))
            lines.append(f"{name}: {', '.join(pairs)}")
    return clean("\n".join(lines))


def _joined(source: Json) -> str:
    if isinstance(source, list):
        return "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""
