"""What the terminal shows: tables, answers, progress, and errors in one line."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from steelyard.cli.endings import err
from steelyard.core.chat import Answer
from steelyard.core.documents import DocumentRow, State
from steelyard.core.ranking import SearchResult
from steelyard.flows.work import Ended

STATE_STYLES = {State.SEARCHABLE: "green", State.FAILED: "red", State.SKIPPED: "yellow"}

out = Console(highlight=False, soft_wrap=True)


def note(message: str) -> None:
    err.print(escape(message))


def emit_json(value: Any) -> None:
    """Write one JSON document to stdout and nothing else."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def short(uri: str, *, width: int = 60) -> str:
    """Return a uri as a person reads it, its end kept."""
    text = unquote(uri.removeprefix("file://"))
    return text if len(text) <= width else "…" + text[-(width - 1) :]


def show_hits(result: SearchResult) -> None:
    if not result.found:
        out.print("nothing found")
    for n, found in enumerate(result.found, start=1):
        chunk = found.chunk
        place = " › ".join(chunk.heading) or chunk.title
        page = f", page {chunk.page}" if chunk.page else ""
        out.print(f"[bold]{n}. {escape(place)}[/]  [dim]{found.score:.4f}[/]")
        out.print(f"   [cyan]{escape(short(chunk.uri))}[/]{page} [{chunk.start}:{chunk.end}]")
        out.print("   " + escape(_snippet(chunk.text)))
    _show_footer(result.degraded, result.timings_ms)


def show_citations(answer: Answer) -> None:
    pages = {source.n: source.page for source in answer.sources}
    for citation in answer.citations:
        page = f", page {pages[citation.n]}" if pages.get(citation.n) else ""
        out.print(f"\\[{citation.n}] [cyan]{escape(short(citation.uri))}[/]{page}")
        out.print(f"    [dim]“{escape(_snippet(citation.quote))}”[/]")
    if answer.unsupported:
        out.print(f"[yellow]{len(answer.unsupported)} sentence(s) without support[/]")
    _show_footer(answer.degraded, answer.usage.timings_ms)


def show_documents(rows: Sequence[DocumentRow], *, more: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("id", "state", "chunks", "document"):
        table.add_column(name, justify="right" if name == "chunks" else "left")
    for row in rows:
        style = STATE_STYLES.get(row.state, "blue")
        where = escape(short(row.uri))
        reason = f"\n[dim]{escape(row.error)}[/]" if row.error else ""
        table.add_row(row.id, f"[{style}]{row.state}[/]", str(row.num_chunks), where + reason)
    out.print(table)
    if more:
        out.print("[dim]more: --limit, or --state to narrow[/]")


def show_rows(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(table)


class IngestProgress:
    """A progress bar on stderr and a line for each file that could not be read."""

    def __init__(self, *, quiet: bool) -> None:
        self.ended: dict[str, int] = {}
        self.failures: list[Ended] = []
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[chunks]} chunks"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        )
        self._task = self._bar.add_task("ingesting", total=None, chunks=0)
        self._chunks = 0

    def __enter__(self) -> "IngestProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        self._bar.console.print(escape(line))

    def expect(self, total: int) -> None:
        self._bar.update(self._task, total=total)

    def on_end(self, ended: Ended) -> None:
        key = "unchanged" if ended.unchanged else str(ended.state)
        self.ended[key] = self.ended.get(key, 0) + 1
        self._chunks += ended.num_chunks
        if ended.state in (State.FAILED, State.SKIPPED):
            self.failures.append(ended)
            style = STATE_STYLES[ended.state]
            self._bar.console.print(
                f"[{style}]{ended.state}[/] {escape(short(ended.uri))}: {escape(ended.error or '')}"
            )
        self._bar.update(self._task, advance=1, chunks=self._chunks)


def _snippet(text: str, *, width: int = 240) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _show_footer(degraded: Sequence[str], timings_ms: Mapping[str, float]) -> None:
    if degraded:
        out.print(f"[yellow]degraded: {escape('; '.join(degraded))}[/]")
    stages = "  ".join(f"{stage} {took_ms:.1f}" for stage, took_ms in timings_ms.items())
    out.print(f"[dim]ms: {stages}[/]")
