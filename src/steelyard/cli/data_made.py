"""`steelyard data`, the verbs that make questions and training rows of what a home has seen."""

import asyncio
import re
from typing import Annotated

import typer

from steelyard.app import App
from steelyard.cli import data_made_show, data_show
from steelyard.cli.data_made_show import RowProgress
from steelyard.cli.data_place import Place, desk_of, known_answers
from steelyard.cli.options import (
    Collection,
    Home,
    Json,
    Set,
    home_of,
    names_of,
    opened,
    pairs_of,
)
from steelyard.core.documents import DEFAULT_COLLECTION, PUBLIC_GROUP
from steelyard.core.errors import InputError
from steelyard.core.training import Kind
from steelyard.datasets import add_questions, set_folder
from steelyard.datasets.training import find_version, keep, read_index, read_kept
from steelyard.datasets.training.served import DRAWN_FROM_LOG
from steelyard.flows.mining import COSINE_MARGIN, RERANKED_MARGIN, MineWish, mine_negatives
from steelyard.flows.questions import questions_from_log
from steelyard.flows.raft import RaftWish, raft_rows
from steelyard.flows.training_desk import MadeRows
from steelyard.flows.training_log import LogWish, rows_from_log
from steelyard.generate import PROMPT_ID

QUESTIONS = "questions"
_PSEUDONYM = re.compile(r"[0-9a-f]{24}")
READERS = (QUESTIONS, *DRAWN_FROM_LOG)
Named = Annotated[str, typer.Argument(help="a version's name, or the beginning of its id")]
Over = Annotated[
    str, typer.Option("--over", help="search the documents of this set, not those of the home")
]
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


def mine(
    ctx: typer.Context,
    version: Named,
    home: Home = None,
    name: Annotated[str, typer.Option("--name", help="of the new version, if another")] = "",
    depth: Annotated[
        int, typer.Option("--depth", min=1, help="look at so many of the first hits")
    ] = MineWish().depth,
    negatives: Annotated[
        int, typer.Option("--negatives", min=1, help="take at most so many a row")
    ] = MineWish().negatives,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            min=0,
            max=1,
            help="the share of a positive's score from which a hit may be right; "
            f"{COSINE_MARGIN} of its cosine, with a reranker {RERANKED_MARGIN} of its probability",
        ),
    ] = None,
    over: Over = "",
    answers: Annotated[
        list[str] | None,
        typer.Option("--answers", help="a version of reader rows, or a set, with the answers"),
    ] = None,
    collection: Collection = DEFAULT_COLLECTION,
    groups: Readable = PUBLIC_GROUP,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Keep a version of retrieval rows with hard negatives: what a search finds, and is wrong.

    Not taken is what may be right after all: a hit of a positive's document, nearly a positive's
    text, right for an equal question or in another split, with an accepted answer's words, or
    with a score near the positive's. Tells how many hits were not taken, and why.

    Examples:

        steelyard data mine asked

        steelyard data mine pairs --over ./squad2 --answers ./squad2 --negatives 8
    """
    where = home_of(ctx, home)
    old = find_version(where, version)
    rows, index = read_kept(where, old), read_index(where, old)
    wish = MineWish(depth=depth, negatives=negatives, margin=margin)
    known = known_answers(where, [*(answers or ()), *([over] if over else ())])
    place = Place(
        where, over=over, collection=collection, groups=groups, settings=pairs_of(settings)
    )

    async def make() -> tuple[MadeRows, str]:
        with RowProgress("mining", len(rows), quiet=as_json) as progress:
            async with place.opened(progress.on_fill) as desk:
                made = await mine_negatives(
                    desk, rows, index, wish, answers=known, on_row=progress.on_row
                )
                return made, desk.name

    made, bundle = asyncio.run(make())
    recipe = {
        "verb": "mine",
        "depth": depth,
        "negatives": negatives,
        "margin": margin,
        "over": over,
        "answers": answers or [],
        "groups": sorted(names_of(groups)),
        "bundle": bundle,
    }
    kept = keep(
        where, made.rows, name=name or old.name, recipe=recipe, parents=[old.id],
        splits=made.splits,
    )  # fmt: skip
    data_made_show.show_made(kept, made, as_json=as_json)


def raft(
    ctx: typer.Context,
    version: Named,
    name: Annotated[str, typer.Argument(help="the name of the new version")],
    home: Home = None,
    passages: Annotated[
        int, typer.Option("--passages", min=2, help="in each prompt")
    ] = RaftWish().passages,
    bare: Annotated[
        float,
        typer.Option("--without-gold", min=0, max=1, help="the share that is asked without gold"),
    ] = RaftWish().without_gold,
    seed: Annotated[int, typer.Option("--seed", help="which rows, and in what order")] = 0,
    over: Over = "",
    collection: Collection = DEFAULT_COLLECTION,
    groups: Readable = PUBLIC_GROUP,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Keep conversations made of reader rows: the prompt that serving sends, a cited answer.

    The passage that answers stands among others that a search finds and that do not. A share is
    asked without it, and is refused; so are questions that their text does not answer.

    Example:

        steelyard data raft handbook-reading handbook-raft --passages 6
    """
    where = home_of(ctx, home)
    old = find_version(where, version)
    rows, index = read_kept(where, old), read_index(where, old)
    wish = RaftWish(passages=passages, without_gold=bare, seed=seed)
    place = Place(
        where, over=over, collection=collection, groups=groups, settings=pairs_of(settings)
    )

    async def make() -> tuple[MadeRows, str]:
        with RowProgress("searching", len(rows), quiet=as_json) as progress:
            async with place.opened(progress.on_fill) as desk:
                made = await raft_rows(desk, rows, index, wish, on_row=progress.on_row)
                return made, desk.name

    made, bundle = asyncio.run(make())
    recipe = {
        "verb": "raft",
        "passages": passages,
        "without_gold": bare,
        "seed": seed,
        "over": over,
        "groups": sorted(names_of(groups)),
        "bundle": bundle,
        "prompt": PROMPT_ID,
    }
    kept = keep(where, made.rows, name=name, recipe=recipe, parents=[old.id], splits=made.splits)
    data_made_show.show_made(kept, made, as_json=as_json)


def _pseudonym(app: App, user: str) -> str:
    """Return the pseudonym that a user has in the log, or that was given."""
    return user if _PSEUDONYM.fullmatch(user) else app.pseudonyms.of(user)


def add_made(data: typer.Typer) -> None:
    """Add the verbs to the group."""
    data.command("from-log")(from_log)
    data.command("from-logs", hidden=True)(from_log)
    data.command("mine")(mine)
    data.command("raft")(raft)
