"""`steelyard data`, the verbs that make questions and training rows of what a home has seen."""

import asyncio
import re
from typing import Annotated

import typer

from steelyard.app import App
from steelyard.bundle import Bundle
from steelyard.cli import data_made_show, data_show
from steelyard.cli.options import Collection, Home, Json, Set, home_of, names_of, opened
from steelyard.core.documents import DEFAULT_COLLECTION, PUBLIC_GROUP
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal
from steelyard.core.training import Kind
from steelyard.datasets import add_questions, set_folder
from steelyard.datasets.training import keep
from steelyard.datasets.training.served import DRAWN_FROM_LOG
from steelyard.flows.questions import questions_from_log
from steelyard.flows.training_desk import Desk, MadeRows
from steelyard.flows.training_log import LogWish, rows_from_log

QUESTIONS = "questions"
_PSEUDONYM = re.compile(r"[0-9a-f]{24}")
READERS = (QUESTIONS, *DRAWN_FROM_LOG)
Readable = Annotated[
    str, typer.Option("--groups", help="only documents that one of these groups may read")
]


def from_log(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="the name of the set, or of the version of rows")],
    home: Home = None,
    made_for: Annotated[
        str, typer.Option("--for", help=f"one of {', '.join(READERS)}")
    ] = QUESTIONS,
    unrated: Annotated[
        bool, typer.Option("--unrated", help="take answers that nobody rated too, if all is cited")
    ] = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="leave out what this user asked")
    ] = None,
    closed_book: Annotated[
        bool, typer.Option("--closed-book", help="conversations as they are sent without sources")
    ] = False,
    collection: Collection = DEFAULT_COLLECTION,
    groups: Readable = PUBLIC_GROUP,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Make a test set, or training rows, from the query log and what people thought of it.

    `--for questions`: an answer rated up is gold, with what it cites; one rated down comes
    without an answer; all wait for review. Else a version of training rows is kept. `retrieval`
    and `reader`: the question with what a good answer cites. `chat`: what a model is sent, and
    the good or the corrected answer. `preference`: the corrected answer before what was said.

    Users are named by pseudonyms only.

    Examples:

        steelyard data from-log feedback

        steelyard data from-log asked --for retrieval --unrated --without ana@example.org

        steelyard data from-log edits --for preference
    """
    where = home_of(ctx, home)
    if made_for not in READERS:
        raise InputError(f"--for {made_for!r} is not one of {', '.join(READERS)}")
    if made_for == QUESTIONS:
        folder = set_folder(where, name)
        with opened(ctx, home, {}, settings) as app:
            questions = asyncio.run(
                questions_from_log(app.store, pool=app.workers.query, collection=collection)
            )
        data_show.show_added(add_questions(folder, questions.questions), questions, as_json=as_json)
        return
    kind = Kind(made_for)
    with opened(ctx, home, {}, settings) as app:
        left_out = sorted({_pseudonym(app, one) for one in without or ()})
        wish = LogWish(kind, unrated=unrated, without=left_out, closed_book=closed_book)

        async def make() -> MadeRows:
            try:
                desk = desk_of(app, app.champion, collection=collection, groups=groups)
                return await rows_from_log(desk, wish)
            finally:
                await app.aclose()

        made = asyncio.run(make())
    recipe = {
        "verb": "from-log",
        "for": made_for,
        "unrated": unrated,
        "without": left_out,
        "closed_book": closed_book,
        "collection": collection,
        "groups": sorted(names_of(groups)),
    }
    kept = keep(where, made.rows, name=name, recipe=recipe)
    data_made_show.show_made(kept, made, as_json=as_json)


def _pseudonym(app: App, user: str) -> str:
    """Return the pseudonym that a user has in the log, or that was given."""
    return user if _PSEUDONYM.fullmatch(user) else app.pseudonyms.of(user)


def desk_of(app: App, bundle: Bundle, *, collection: str, groups: str) -> Desk:
    """Return the parts of a home with which rows are made, for those who may read `groups`."""
    return Desk(
        store=app.store,
        pool=app.workers.query,
        retriever=bundle.retriever,
        context=bundle.context,
        embedder=bundle.space.embedder,
        index=bundle.space.index,
        reranker=bundle.reranker,
        principal=Principal("training", frozenset(names_of(groups))),
        collection=collection,
        instructions=bundle.settings.llm.instructions,
    )


def add_made(data: typer.Typer) -> None:
    """Add the verbs to the group."""
    data.command("from-log")(from_log)
    data.command("from-logs", hidden=True)(from_log)
