"""`steelyard data review`: one key a question in the terminal, options in scripts."""

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import click
import typer

from steelyard.cli import data_show, show
from steelyard.cli.data_review_rows import RowReview, review_rows
from steelyard.cli.endings import complain
from steelyard.cli.options import Home, Json, home_of
from steelyard.core.errors import InputError
from steelyard.datasets import Decision, ReviewItem, Verdict, decide, find_set, is_set, queue
from steelyard.datasets.training import KEEPS, find_version, is_version

ALL = "all"
KEYS = {"a": Verdict.ACCEPT, "r": Verdict.REJECT, "e": Verdict.EDIT}
PROMPT = "[bold]a[/]ccept  [bold]e[/]dit  [bold]r[/]eject  [bold]s[/]kip  [bold]q[/]uit"

Accept = Annotated[
    list[str] | None, typer.Option("--accept", help="accept this id; `all`: what is pending")
]


def review(
    ctx: typer.Context,
    place: Annotated[str, typer.Argument(help="a home's set, its folder, or a version of rows")],
    home: Home = None,
    accept: Accept = None,
    reject: Annotated[list[str] | None, typer.Option("--reject", help="reject this id")] = None,
    reopen: Annotated[
        list[str] | None, typer.Option("--reopen", help="take back what was decided on this id")
    ] = None,
    edit: Annotated[
        str | None, typer.Option("--edit", help="change this id by the options below")
    ] = None,
    question: Annotated[str | None, typer.Option("--question", help="the new question")] = None,
    answer: Annotated[list[str] | None, typer.Option("--answer", help="an accepted answer")] = None,
    unanswerable: Annotated[
        bool, typer.Option("--unanswerable", help="the documents do not answer it")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="list what is decided too")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="who decides")] = "",
    keep: Annotated[
        str,
        typer.Option("--keep", help=f"of rows: keep a version; one of {', '.join(KEEPS)}"),
    ] = "",
    as_json: Json = False,
) -> None:
    """Accept, edit or reject what was made for a set, or training rows: one key each, or options.

    Only what is accepted or edited is asked by an evaluation. Every decision is kept at once,
    so that a review may stop anywhere and go on later.

    Examples:

        steelyard data review handbook

        steelyard data review handbook --accept s-1f0c9a7b3e2d --reject s-90be1c4a7712

        steelyard data review handbook --edit s-1f0c9a7b3e2d --answer "21 days"

        steelyard data review support --reject flagged

        steelyard data review support --keep not-rejected
    """
    where, who = home_of(ctx, home), by or _login()
    if edit is None and (question or answer or unanswerable):
        raise InputError("--question, --answer and --unanswerable need --edit ID")
    change = None if edit is None else _edit(edit, who, question, answer, unanswerable)
    if not is_set(where, place) and is_version(where, place):
        by_verdict = {
            Verdict.ACCEPT: accept or (),
            Verdict.REJECT: reject or (),
            Verdict.PENDING: reopen or (),
        }
        review_rows(
            where,
            find_version(where, place),
            RowReview(by_verdict, change, keep, everything, who),
            as_json=as_json,
            interactive=_key if _at_a_terminal() else None,
        )
        return
    if keep:
        raise InputError("--keep is of training rows; a set asks what was accepted as it is")
    folder = _folder(find_set(where, place))
    given = _decisions(folder, who, accept, reject, reopen)
    if change is not None:
        given.append(change)
    if given:
        _show([decide(folder, one) for one in given], as_json=as_json)
        return
    items = queue(folder)
    pending = [item for item in items if item.verdict is Verdict.PENDING]
    if as_json or everything or not _at_a_terminal():
        _show(items if everything else pending, as_json=as_json)
    else:
        _interactive(folder, pending, who)


def _edit(
    identity: str,
    who: str,
    question: str | None,
    answer: Sequence[str] | None,
    unanswerable: bool,
) -> Decision:
    return Decision(
        identity,
        Verdict.EDIT,
        who,
        question=question,
        answers=tuple(answer) if answer else None,
        answerable=False if unanswerable else None,
    )


def _decisions(
    folder: Path,
    who: str,
    accept: Sequence[str] | None,
    reject: Sequence[str] | None,
    reopen: Sequence[str] | None,
) -> list[Decision]:
    given: list[Decision] = []
    for ids, verdict in (
        (accept, Verdict.ACCEPT),
        (reject, Verdict.REJECT),
        (reopen, Verdict.PENDING),
    ):
        for identity in ids or ():
            given += [Decision(one, verdict, who) for one in _named(folder, identity, verdict)]
    twice = {one.id for one in given if sum(one.id == other.id for other in given) > 1}
    if twice:
        raise InputError(f"{min(twice)!r} is decided on twice in one command; give it once")
    return given


def _named(folder: Path, identity: str, verdict: Verdict) -> list[str]:
    """Return an id, or those of all pending questions that can be accepted as they are."""
    if identity != ALL or verdict is not Verdict.ACCEPT:
        return [identity]
    return [item.id for item in queue(folder) if item.verdict is Verdict.PENDING and item.has_gold]


def _show(items: Sequence[ReviewItem], *, as_json: bool) -> None:
    if as_json:
        show.emit_json({"questions": [data_show.item_json(item) for item in items]})
        return
    for item in items:
        data_show.show_item(item)
    show.note(f"{len(items)} questions")


def _interactive(folder: Path, pending: Sequence[ReviewItem], who: str) -> None:
    """Go through what is pending; each key is a decision that is kept at once."""
    for number, item in enumerate(pending, start=1):
        data_show.show_item(item)
        show.out.print(f"[dim]{number} of {len(pending)}[/]  {PROMPT}")
        key = _key()
        if key == "q":
            break
        if key == "s":
            continue
        try:
            decide(folder, _edited(item, who) if key == "e" else Decision(item.id, KEYS[key], who))
        except InputError as error:
            complain(f"{error.message}; left as it was")
    left = sum(item.verdict is Verdict.PENDING for item in queue(folder))
    show.note(f"{left} questions are left to review")


def _key() -> str:
    """Wait for one of the keys; the end of input is `q`."""
    while True:
        try:
            pressed = click.getchar().lower()
        except (EOFError, KeyboardInterrupt):
            return "q"
        if pressed in (*KEYS, "s", "q"):
            return pressed
        if pressed in ("\x1b", "\x03", "\x04"):
            return "q"


def _edited(item: ReviewItem, who: str) -> Decision:
    question = typer.prompt("question", default=item.question)
    answer = typer.prompt("answer ('-': it cannot be answered)", default=" / ".join(item.answers))
    if answer.strip() == "-":
        return Decision(item.id, Verdict.EDIT, who, question=question, answerable=False)
    answers = tuple(part.strip() for part in answer.split(" / ") if part.strip())
    return Decision(item.id, Verdict.EDIT, who, question=question, answers=answers or None)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user's name
        return ""
