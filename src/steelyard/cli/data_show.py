"""How question sets look in the terminal and as JSON."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steelyard.cli import show
from steelyard.cli.endings import err
from steelyard.core.evaluation import QuestionSet
from steelyard.datasets import Added, ReviewItem, SetSummary, Verdict
from steelyard.flows.questions import MadeQuestions

VERDICT_STYLES = {
    Verdict.PENDING: "yellow",
    Verdict.ACCEPT: "green",
    Verdict.EDIT: "green",
    Verdict.REJECT: "red",
}


class AskProgress:
    """A bar on stderr while a model writes questions; it shows from the first reply on."""

    def __init__(self, limit: int, *, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("asking the model"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("questions from {task.fields[asked]} passages"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        )
        self._task = self._bar.add_task("asking", total=limit, asked=0, visible=False)

    def on_asked(self, asked: int, written: int) -> None:
        self._bar.update(self._task, completed=written, asked=asked, visible=True)

    def __enter__(self) -> "AskProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def show_added(added: Added, made: MadeQuestions, *, as_json: bool) -> None:
    kinds = Counter(one.question.type for one in made.questions)
    if as_json:
        show.emit_json(
            {
                "path": str(added.path),
                "added": added.num_added,
                "known": added.num_known,
                "documents": made.num_documents,
                "types": dict(kinds),
                "refused": dict(made.refused),
                "problem": made.problem,
            }
        )
        return
    parts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    known = f", {added.num_known} were there already" if added.num_known else ""
    show.note(f"{added.num_added} questions added to {added.path}{known}")
    if parts:
        show.note(f"from {made.num_documents} documents: {parts}")
    for reason, times in made.refused.items():
        show.note(f"{times} of the model's replies were refused: {reason}")
    if made.problem:
        show.note(f"the model was asked no further: {made.problem}")
    if added.num_added:
        show.note(f"now run `steelyard data review {added.path.name}`")


def show_sets(sets: Sequence[SetSummary], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"name": one.name, "path": str(one.path), "questions": one.num_questions}
            | {verdict.value: one.by_verdict[verdict] for verdict in Verdict}
            for one in sets
        ]
        show.emit_json({"sets": rows})
    elif not sets:
        show.note("no question set yet: make one by `steelyard data questions NAME`")
    else:
        names = ("set", "questions", *(verdict.value for verdict in Verdict))
        show.show_rows(
            names,
            [(one.name, one.num_questions, *(one.by_verdict[v] for v in Verdict)) for one in sets],
        )


def show_set(found: QuestionSet, numbers: NDArray[np.int64], *, as_json: bool) -> None:
    counts = set_json(found, numbers)
    if as_json:
        show.emit_json(counts)
        return
    show.show_rows(
        ("what", "number"),
        [(key, value) for key, value in counts.items() if isinstance(value, str | int)],
    )
    for name in ("types", "origins"):
        parts = ", ".join(f"{kind or '-'} {number}" for kind, number in counts[name].items())
        show.out.print(f"{name}: {escape(parts)}")
    for note in found.notes:
        show.out.print(f"[yellow]note:[/] {escape(note)}")


def set_json(found: QuestionSet, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """Return what a person wants to know of a set before running anything on it."""
    questions = found.questions
    return {
        "name": found.name,
        "id": found.id,
        "documents": len(found.documents),
        "questions": len(questions),
        "with_answers": sum(bool(one.answers) for one in questions),
        "unanswerable": sum(one.answerable is False for one in questions),
        "judged": sum(bool(one.relevant) for one in questions),
        "judgements": sum(len(one.relevant) for one in questions),
        "spans": sum(len(one.spans) for one in questions),
        "clusters": int(numbers.max()) + 1,
        "types": dict(Counter(one.type for one in questions).most_common()),
        "origins": dict(Counter(one.origin for one in questions).most_common()),
        "notes": list(found.notes),
    }


def show_files(identity: str, files: Sequence[Path], *, as_json: bool) -> None:
    if as_json:
        show.emit_json({"id": identity, "files": [str(file) for file in files]})
        return
    for file in files:
        show.out.print(escape(str(file)))


def item_json(item: ReviewItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "verdict": item.verdict.value,
        "question": item.question,
        "answers": list(item.answers),
        "answerable": item.answerable,
        "type": item.type,
        "origin": item.origin,
        "source": item.source,
        "quotes": list(item.quotes),
        "note": item.note,
        "by": item.by,
    }


def show_item(item: ReviewItem) -> None:
    style = VERDICT_STYLES[item.verdict]
    show.out.print(
        f"[{style}]{item.verdict}[/] [dim]{escape(item.id)} {escape(item.type)}[/]\n"
        f"  [bold]{escape(item.question)}[/]"
    )
    answer = " / ".join(item.answers) or (
        "cannot be answered" if item.answerable is False else "no answer given"
    )
    show.out.print(f"  {escape(answer)}")
    for quote in item.quotes:
        line = " ".join(quote.split())
        show.out.print(f"  [dim]“{escape(line[:300])}”[/]")
    for line in filter(None, (show.short(item.source) if item.source else "", item.note)):
        show.out.print(f"  [cyan]{escape(line)}[/]")
