"""`steelyard data`: question sets, made from a home, reviewed, checked and exported."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from steelyard.app import App
from steelyard.cli import data_show
from steelyard.cli.data_made import add_made
from steelyard.cli.data_review import review
from steelyard.cli.data_rows import add_verbs
from steelyard.cli.options import (
    Collection,
    Home,
    Json,
    LlmGguf,
    LlmModel,
    LlmUrl,
    Set,
    home_of,
    opened,
)
from steelyard.core.documents import DEFAULT_COLLECTION
from steelyard.core.errors import InputError
from steelyard.core.protocols import Completer
from steelyard.datasets import (
    FORMS,
    add_questions,
    clusters,
    export_set,
    find_set,
    is_set,
    list_sets,
    read_set,
    set_folder,
    training,
    with_documents,
)
from steelyard.datasets.training import export_version, find_version, is_version
from steelyard.flows.questions import (
    MadeQuestions,
    make_questions,
    read_documents,
)

data = typer.Typer(
    help="Question sets and training rows: made, checked, reviewed, kept, exported.",
    no_args_is_help=True,
)
data.command("review")(review)
add_verbs(data)
add_made(data)

ROW_FORMS = ", ".join(form.name for form in training.FORMS)
Name = Annotated[str, typer.Argument(help="the set's name, a folder below questions/ of the home")]
Place = Annotated[str, typer.Argument(help="a folder, a file, or the name of a home's set")]
Part = Annotated[str, typer.Option("--part", help="only one part: a split, a type, a BEIR part")]
Unreviewed = Annotated[
    bool, typer.Option("--unreviewed", help="take questions that nobody has decided on too")
]


@data.command("questions")
def questions(
    ctx: typer.Context,
    name: Name,
    home: Home = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    per_document: Annotated[
        int, typer.Option("--per-document", min=1, help="at most so many by rule on one document")
    ] = 6,
    collection: Collection = DEFAULT_COLLECTION,
    rules_only: Annotated[
        bool, typer.Option("--rules-only", help="ask no language model, even if one is set")
    ] = False,
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    llm_gguf: LlmGguf = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Make a test set from the documents of a home; its questions then wait for review.

    Rules read headings, definitions, tables and quantities. A language model, if one is set,
    writes questions too; a reply counts only if its quote stands in the passage word for word.

    Examples:

        steelyard data questions handbook --limit 60

        steelyard data questions handbook --llm-url http://127.0.0.1:8000/v1
    """
    folder = set_folder(home_of(ctx, home), name)
    flags = {"llm.url": llm_url, "llm.model": llm_model, "llm.gguf": llm_gguf}
    with opened(ctx, home, flags, settings) as app:

        async def make() -> MadeQuestions:
            progress = data_show.AskProgress(limit, quiet=as_json)
            try:
                with progress:
                    return await make_questions(
                        app.store,
                        pool=app.workers.query,
                        collection=collection,
                        limit=limit,
                        per_document=per_document,
                        completer=None if rules_only else _completer(app),
                        on_asked=progress.on_asked,
                    )
            finally:
                await app.aclose()

        made = asyncio.run(make())
    added = add_questions(folder, made.questions)
    data_show.show_added(added, made, as_json=as_json)


@data.command("list")
def list_all(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the sets that the home keeps, and how far each is reviewed.

    Example:

        steelyard data list
    """
    data_show.show_sets(list_sets(home_of(ctx, home)), as_json=as_json)


@data.command("check")
def check(
    ctx: typer.Context,
    place: Place,
    home: Home = None,
    part: Part = "",
    unreviewed: Unreviewed = False,
    as_json: Json = False,
) -> None:
    """Read a question set as an evaluation would, and say what is in it and what is wrong.

    Examples:

        steelyard data check ./beir/nfcorpus --part test

        steelyard data check handbook --json
    """
    found = read_set(find_set(home_of(ctx, home), place), part=part, unreviewed=unreviewed)
    data_show.show_set(found, clusters(found), as_json=as_json)


@data.command("export")
def export(
    ctx: typer.Context,
    place: Place,
    folder: Annotated[Path, typer.Argument(help="a new folder to write to")],
    home: Home = None,
    form: Annotated[
        str, typer.Option("--form", help=f"one of {', '.join(FORMS)}; of rows: {ROW_FORMS}")
    ] = FORMS[0],
    part: Part = "",
    unreviewed: Unreviewed = False,
    documents: Annotated[
        bool, typer.Option("--with-documents", help="with the texts of the home's documents")
    ] = False,
    collection: Collection = DEFAULT_COLLECTION,
    as_json: Json = False,
) -> None:
    """Write a question set in our own form, BEIR's or TREC's; or a version of training rows.

    A version is named as in `steelyard data versions`, and written in any form of its kind, one
    file a split; --part takes one of them.

    Examples:

        steelyard data export handbook ./handbook-set

        steelyard data export handbook ./handbook-beir --form beir --with-documents

        steelyard data export support ./support-rows --form openai-chat
    """
    where = home_of(ctx, home)
    if not is_set(where, place) and is_version(where, place):
        version = find_version(where, place)
        if unreviewed or documents:
            raise InputError(
                f"{place!r} is a version of training rows: --unreviewed and --with-documents are "
                "of question sets"
            )
        files = export_version(where, version, folder, form=form, split=part)
        data_show.show_files(version.id, files, as_json=as_json)
        return
    found = read_set(find_set(where, place), part=part, unreviewed=unreviewed)
    if documents:
        with opened(ctx, home, {}) as app:
            found = with_documents(found, read_documents(app.store, collection))
    files = export_set(folder, found, form=form)
    data_show.show_files(found.id, files, as_json=as_json)


def _completer(app: App) -> Completer | None:
    """Return the configured language model; None: there is none, answers are quoted."""
    return app.generator if isinstance(app.generator, Completer) else None
