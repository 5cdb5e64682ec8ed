"""`steelyard embedder`: another embedder for a home that goes on answering."""

import asyncio
import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steelyard.app import App
from steelyard.cli import show
from steelyard.cli.endings import err
from steelyard.cli.options import Home, Json, database_of, opened
from steelyard.core.errors import InputError, Overloaded
from steelyard.flows.switching import Progress as Embedded
from steelyard.store import HeldEmbedder, Store

embedder = typer.Typer(help="Whose vectors the home is searched by, and changing that.")

PROBE_CHUNKS = 32
FOLLOW_S = 1.0
_BYTES_A_NUMBER = 2 * 3  # float16 in the truth, in the index's rows and in its graph


@embedder.command("status")
def status(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Say whose vectors the home holds, and how far a second embedder is.

    Example:

        steelyard embedder status
    """
    with Store.open(database_of(ctx, home)) as store:
        told = _standing(store)
    if as_json:
        show.emit_json(told)
        return
    show.out.print(f"home: {_named(told['home'])}", markup=False)
    if told["other"] is None:
        return
    if told["state"] == "kept":
        line = "before it, kept in step for going back; `steelyard embedder confirm` lets it go"
    else:
        line = f"to follow it; {told['missing']} of {told['num_chunks']} chunks lack its vector"
    show.out.print(f"second: {_named(told['other'])}: {line}", markup=False)


@embedder.command("plan")
def plan(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Say what a switch to the configured embedder would take, after a short probe.

    Example:

        STEELYARD_EMBED_MODEL=/models/bge-small steelyard embedder plan
    """
    database_of(ctx, home)
    with opened(ctx, home, {}) as app:
        planned = _planned(app)
    if as_json:
        show.emit_json(planned)
    elif planned["is_home"]:
        show.out.print(f"the home is {planned['fingerprint']}'s already", markup=False)
    else:
        show.out.print(
            f"{planned['missing']} of {planned['num_chunks']} chunks to embed, about "
            f"{planned['seconds']:.0f} s, and {planned['bytes'] / 2**20:.0f} MiB beside what is "
            "there",
            markup=False,
        )


@embedder.command("switch")
def switch(
    ctx: typer.Context,
    home: Home = None,
    as_json: Json = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="let the former embedder go at once")
    ] = False,
) -> None:
    """Give the home to the configured embedder, beside whatever answers questions meanwhile.

    The new index is built beside the old one; documents that come meanwhile get both vectors.
    Chunks must find themselves in it before the home is flipped. Interrupt it and run it again to
    go on. A running server follows by itself.

    Example:

        steelyard embedder switch
    """
    database_of(ctx, home)
    with opened(ctx, home, {}) as app:
        asyncio.run(_switched(app, quiet=as_json, confirm=confirm))
        told = _standing(app.store)
    if as_json:
        show.emit_json(told)
    else:
        show.out.print(f"home: {_named(told['home'])}", markup=False)
        if told["other"] is not None:
            show.note("the one before is kept in step: `steelyard embedder confirm` lets it go")


@embedder.command("confirm")
def confirm(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Let the former embedder's vectors and index go: there is no warm way back then.

    Example:

        steelyard embedder confirm
    """
    _end(ctx, home, as_json=as_json, flipped=True)


@embedder.command("cancel")
def cancel(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Stop a switch that is under way, and drop what was built for it.

    Example:

        steelyard embedder cancel
    """
    _end(ctx, home, as_json=as_json, flipped=False)


def _end(ctx: typer.Context, home: Any, *, as_json: bool, flipped: bool) -> None:
    database_of(ctx, home)
    with opened(ctx, home, {}) as app:
        standing = app.store.switch()
        if standing is None or standing.flipped != flipped:
            other = "cancel" if flipped else "confirm"
            hint = "there is one embedder" if standing is None else f"did you mean `{other}`?"
            raise InputError(
                f"nothing to {'confirm' if flipped else 'cancel'}: {hint}", code="no_switch"
            )
        gone = asyncio.run(app.promotions.switch.end())
    if as_json:
        show.emit_json({"let_go": None if gone is None else gone.fingerprint})
    elif gone is not None:
        show.note(f"let {gone.fingerprint} go")


async def _switched(app: App, *, quiet: bool, confirm: bool) -> None:
    """Build, or follow the process that is at it, until the home is flipped."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, transient=True, disable=quiet or not err.is_terminal,
    )  # fmt: skip
    task = bar.add_task("embedding", total=None)

    def told(progress: Embedded) -> None:
        bar.update(task, completed=progress.done, total=progress.total)

    with bar:
        while True:
            try:
                await app.promotions.switch.build(app.settings, serves=False, told=told)
                break
            except Overloaded as error:
                if error.code != "locked":
                    raise
            standing = app.store.switch()
            if standing is not None and not standing.flipped:
                missing = app.store.num_unembedded(standing.other.fingerprint)
                bar.update(task, description=f"another process embeds; {missing} chunks left")
            await asyncio.sleep(FOLLOW_S)
    if confirm:
        await app.promotions.switch.end()


def _planned(app: App) -> dict[str, Any]:
    space = app.spaces.made(app.settings, claims=False)
    try:
        made = space.embedder
        owner = app.store.home_embedder()
        _, live = app.store.live_chunk_ids()
        missing = app.store.num_unembedded(made.fingerprint)
        sample = app.store.unembedded(made.fingerprint, after=-1, limit=PROBE_CHUNKS)
        started = time.perf_counter()
        if sample:
            made.embed_passages([chunk.text for chunk in sample])
        took_s = time.perf_counter() - started
        return {
            "fingerprint": made.fingerprint,
            "is_home": owner is not None and owner.fingerprint == made.fingerprint,
            "num_chunks": len(live),
            "missing": missing,
            "seconds": round(took_s / max(1, len(sample)) * missing, 1),
            "bytes": len(live) * made.dim * _BYTES_A_NUMBER,
        }
    finally:
        space.close()


def _standing(store: Store) -> dict[str, Any]:
    home, standing = store.home_embedder(), store.switch()
    other = None if standing is None else standing.other
    _, live = store.live_chunk_ids()
    return {
        "home": None if home is None else _json(home),
        "other": None if other is None else _json(other),
        "state": "one" if standing is None else "kept" if standing.flipped else "building",
        "missing": 0 if other is None else store.num_unembedded(other.fingerprint),
        "num_chunks": len(live),
    }


def _json(held: HeldEmbedder) -> dict[str, Any]:
    options = dict(held.options or {})
    return {
        "fingerprint": held.fingerprint,
        "dim": held.dim,
        "model": options.get("model"),
        "adapter": options.get("adapter"),
        "place": held.place,
    }


def _named(held: dict[str, Any] | None) -> str:
    if held is None:
        return "holds no vectors yet"
    model = held["model"] or "not known"
    adapter = f" with {held['adapter']}" if held["adapter"] else ""
    return f"{held['fingerprint']} ({model}{adapter}, {held['dim']} dimensions)"
