"""The verbs that look after a home: documents, keys, settings."""

import asyncio
from typing import Annotated

import typer

from steelyard.cli import show
from steelyard.cli.options import OWNER, Home, Json, Set, home_of, names_of, opened, pairs_of
from steelyard.core.documents import DEFAULT_COLLECTION, State
from steelyard.core.errors import InputError
from steelyard.server.bodies import document_json
from steelyard.settings import load_settings

documents = typer.Typer()
keys = typer.Typer(help="API keys: who may ask, and what they may read.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="a document's id, as `steelyard documents` lists it")]
In = Annotated[str, typer.Option("--collection", "-c", help="the collection")]


@documents.callback(invoke_without_command=True)
def list_documents(
    ctx: typer.Context,
    home: Home = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="only this collection")
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="queued, parsing, embedding, searchable, ...")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    as_json: Json = False,
) -> None:
    """List documents with their states and the reasons of those that could not be read.

    Examples:

        steelyard documents --state failed

        steelyard documents show d1f0c9a7b3e2d455

        steelyard documents delete d1f0c9a7b3e2d455
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = home or ctx.obj
        return
    if state is not None and state not in set(State):
        raise InputError(f"--state {state!r} is none of {', '.join(State)}")
    with opened(ctx, home, {}) as app:
        page = asyncio.run(
            app.library.documents(
                OWNER,
                collection=collection,
                state=None if state is None else State(state),
                after=None,
                limit=limit,
            )
        )
        if as_json:
            rows = [document_json(row) for row in page.rows]
            show.emit_json({"documents": rows, "next": page.next})
        else:
            show.show_documents(page.rows, more=page.next is not None)


@documents.command("show")
def show_document(
    ctx: typer.Context,
    identity: Id,
    home: Home = None,
    collection: In = DEFAULT_COLLECTION,
    as_json: Json = False,
) -> None:
    """Print a document's state and extracted text.

    Example:

        steelyard documents show d1f0c9a7b3e2d455 | less
    """
    with opened(ctx, home, {}) as app:
        found = asyncio.run(app.library.document(collection, identity, OWNER))
        row, text = found.row, found.text
        if as_json:
            show.emit_json({**document_json(row), "text": text})
        else:
            show.note(f"{row.uri}  {row.state}  {row.num_chunks} chunks  {row.error or ''}")
            show.out.print(text, markup=False)


@documents.command("delete")
def delete_documents(
    ctx: typer.Context,
    identities: Annotated[list[str], typer.Argument(help="ids of documents")],
    home: Home = None,
    collection: In = DEFAULT_COLLECTION,
    as_json: Json = False,
) -> None:
    """Delete documents; no later query sees them, on a running server neither.

    Example:

        steelyard documents delete d1f0c9a7b3e2d455 d90be1c4a7712f03
    """
    with opened(ctx, home, {}) as app:
        seq = asyncio.run(app.library.delete(identities, collection=collection, principal=OWNER))
        if as_json:
            show.emit_json({"deleted": identities, "snapshot": seq})
        else:
            show.note(f"deleted {len(identities)}")


@keys.command("add")
def add_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="who or what will use it")],
    home: Home = None,
    groups: Annotated[str, typer.Option("--groups", help="what it may read")] = "public",
    operator: Annotated[
        bool, typer.Option("--operator", help="may add and delete documents")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an API key; it is shown once and only its hash is kept.

    Example:

        steelyard keys add intranet --groups public,staff
    """
    with opened(ctx, home, {}) as app:
        secret = app.store.add_key(name, names_of(groups), operator=operator)
        if as_json:
            show.emit_json({"name": name, "key": secret})
        else:
            show.out.print(secret, markup=False)


@keys.command("list")
def list_keys(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the keys, without their secrets.

    Example:

        steelyard keys list
    """
    with opened(ctx, home, {}) as app:
        found = app.store.list_keys()
        if as_json:
            shown = [
                {"name": key.id, "groups": list(key.groups), "operator": key.operator}
                for key in found
            ]
            show.emit_json({"keys": shown})
        else:
            rows = [(key.id, ", ".join(key.groups), key.operator) for key in found]
            show.show_rows(("name", "groups", "operator"), rows)


@keys.command("remove")
def remove_key(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="the key's name")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Remove a key; the next request with it is refused.

    Example:

        steelyard keys remove intranet
    """
    with opened(ctx, home, {}) as app:
        app.store.remove_key(name)
        if as_json:
            show.emit_json({"removed": name})


def settings(
    ctx: typer.Context, home: Home = None, pairs: Set = None, as_json: Json = False
) -> None:
    """Print every option, its value, and where the value came from.

    Options are read from the home's settings.toml, from STEELYARD_* in the environment, and
    from --set, the later ones first; what was promoted in the registry comes after the file.

    Examples:

        steelyard settings

        STEELYARD_CHUNK_MAX_TOKENS=128 steelyard settings --json
    """
    loaded = load_settings(home_of(ctx, home), flags=pairs_of(pairs))
    if as_json:
        rows = {k: {"value": v, "origin": o} for k, v, o in loaded.rows()}
        where = str(home_of(ctx, home))
        show.emit_json({"home": where, "settings": rows, "notes": loaded.notes})
    else:
        show.show_rows(("option", "value", "origin"), loaded.rows())
        for note in loaded.notes:
            show.note(f"note: {note}")
