"""The verbs that ask and answer; every one takes `--home` and `--json`."""

import asyncio
from typing import Annotated

import typer

from steelyard.app import App
from steelyard.cli import show
from steelyard.cli.options import (
    Collection,
    Filter,
    Groups,
    Home,
    Json,
    LlmGguf,
    LlmModel,
    LlmUrl,
    Set,
    names_of,
    opened,
    query_of,
)
from steelyard.core.chat import Done, Failed, Sources, Token
from steelyard.core.documents import DEFAULT_COLLECTION
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.ranking import Query
from steelyard.flows.work import Ended
from steelyard.server.bodies import answer_json, search_json


def ingest(
    ctx: typer.Context,
    paths: Annotated[list[str] | None, typer.Argument(help="files and folders")] = None,
    home: Home = None,
    collection: Collection = DEFAULT_COLLECTION,
    groups: Groups = "public",
    reembed: Annotated[
        bool, typer.Option("--reembed", help="embed everything again with the current model")
    ] = False,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Read files and folders into the home; unchanged files cost nothing.

    Files that vanished from a given folder are removed. Interrupt it and run it again to go on.

    Examples:

        steelyard ingest docs/ handbook.pdf

        steelyard ingest --collection legal --groups legal,board contracts/

        steelyard ingest --reembed --set embed.model=/models/bge-small
    """
    if not paths and not reembed:
        raise InputError("nothing to ingest: name files or folders, as `steelyard ingest docs/`")
    with opened(ctx, home, {}, settings) as app:
        with show.IngestProgress(quiet=as_json) as progress:
            if reembed:
                progress.say(f"embedded {app.reembed()} chunks again")

            def on_end(ended: Ended) -> None:
                progress.expect(app.work.num_submitted)
                progress.on_end(ended)

            synced = asyncio.run(
                app.ingest_once(
                    paths or [], collection=collection, groups=names_of(groups), on_end=on_end
                )
            )
        counts = dict(sorted(progress.ended.items()))
        if as_json:
            failures = [
                {"uri": end.uri, "state": end.state.value, "error": end.error}
                for end in progress.failures
            ]
            show.emit_json({"ended": counts, "removed": synced.removed, "problems": failures})
        else:
            parts = [f"{number} {state}" for state, number in counts.items()]
            parts += [f"{synced.removed} removed"] if synced.removed else []
            show.note("; ".join(parts) or "nothing to ingest")


def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="the question")],
    home: Home = None,
    k: Annotated[int, typer.Option("-k", help="sources to answer from")] = 8,
    collection: Collection = DEFAULT_COLLECTION,
    groups: Groups = "",
    filter_json: Filter = "",
    llm_url: LlmUrl = None,
    llm_model: LlmModel = None,
    llm_gguf: LlmGguf = None,
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Answer a question from the documents, with citations.

    Examples:

        steelyard ask "How many days of parental leave are there in Norway?"

        steelyard ask --llm-url http://127.0.0.1:11434 --llm-model llama3.2 "Who signs invoices?"
    """
    query = query_of(question, k, collection, groups, filter_json)
    flags = {"llm.url": llm_url, "llm.model": llm_model, "llm.gguf": llm_gguf}
    with opened(ctx, home, flags, settings) as app:
        asyncio.run(_ask(app, query, as_json=as_json))


async def _ask(app: App, query: Query, *, as_json: bool) -> None:
    try:
        if as_json:
            show.emit_json(answer_json(await app.answering.answer(query)))
        else:
            await _show_stream(app, query)
    finally:
        await app.aclose()


async def _show_stream(app: App, query: Query) -> None:
    async for event in app.answering.stream(query):
        match event:
            case Sources():
                continue
            case Token(text):
                show.out.print(text, end="", markup=False)
            case Done(answer):
                show.out.print("\n")
                show.show_citations(answer)
            case Failed(code, message, retry_after_s):
                show.out.print("")
                raise UpstreamError(message, code=code, retry_after_s=retry_after_s)


def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="words or a question")],
    home: Home = None,
    k: Annotated[int, typer.Option("-k", help="how many hits")] = 10,
    collection: Collection = DEFAULT_COLLECTION,
    groups: Groups = "",
    filter_json: Filter = "",
    settings: Set = None,
    as_json: Json = False,
) -> None:
    """Find passages.

    Examples:

        steelyard search "calibration tolerance HB-40"

        steelyard search --filter '{"uri": "*/hr/*"}' "notice period" --json
    """
    asked = query_of(query, k, collection, groups, filter_json)
    with opened(ctx, home, {}, settings) as app:
        result = asyncio.run(app.retriever.search(asked))
        if as_json:
            show.emit_json(search_json(result))
        else:
            show.show_hits(result)
