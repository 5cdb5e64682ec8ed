"""`steelyard registry`: versions of what is served, and which of them is."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli import registry_show, show
from steelyard.cli.options import Home, Json, Set, home_of, pairs_of
from steelyard.core.errors import NotFound
from steelyard.core.registry import Version
from steelyard.flows.lineage import difference, lineage, recipe_of, weighed
from steelyard.flows.registry import Draft, Registry
from steelyard.registry.export import export
from steelyard.settings import option_value
from steelyard.store import DATABASE, Store

registry = typer.Typer(
    help="Versions of what is served: registered, weighed, promoted, rolled back, exported.",
    no_args_is_help=True,
)

Named = Annotated[
    str, typer.Argument(help="an id or its beginning, a name, or an alias as reranker:champion")
]
Why = Annotated[str, typer.Option("--why", help="the reason, for the history")]


@contextmanager
def shelf(ctx: typer.Context, home: Path | None, *, make: bool = False) -> Iterator[Registry]:
    """Open a home's registry; `make`: the home too, if there is none."""
    path = home_of(ctx, home) / DATABASE
    if not path.exists() and not make:
        why = "keeps no version" if path.parent.is_dir() else "does not exist"
        raise NotFound(
            f"home {str(path.parent)!r} {why}: steelyard registry register FOLDER --name NAME, or "
            "name another home by --home"
        )
    with Store.open(path) as store:
        yield Registry(path.parent, store, option_value=option_value)


def who() -> str:
    """Return who sits at the command line, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"


@registry.command("register")
def register(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="what training made; none: options alone, by --set")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="a name for people")] = "",
    settings: Set = None,
    kind: Annotated[
        str, typer.Option("--kind", help="what a foreign adapter is, as reranker")
    ] = "",
    base: Annotated[
        str, typer.Option("--base", help="the model that it was trained on, if it tells none")
    ] = "",
    licence: Annotated[str, typer.Option("--licence", help="if the artefact tells none")] = "",
    why: Why = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Keep a trained artefact, or options alone, as a version that never changes.

    The folder is copied by content: the same one again is the same version.

    Examples:

        steelyard registry register .steelyard/tune/runs/run-1f/artefact --name support

        steelyard registry register --name wide --set retrieve.pool=100
    """
    draft = Draft(
        name=name or _name_of(folder),
        folder=folder,
        options=pairs_of(settings),
        kind=kind,
        base=base,
        licence=licence,
    )
    with shelf(ctx, home, make=True) as kept:
        found = kept.register(draft, who=who(), why=why)
        if as_json:
            show.emit_json({**version_json(kept, found.version), "known": found.known})
            return
        verb = "was registered before" if found.known else "is registered"
        show.out.print(f"{found.version.id} ({found.version.name}) {verb}", markup=False)


@registry.command("list")
def list_versions(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the versions, the newest first, with what is champion, challenger and previous."""
    with shelf(ctx, home) as kept:
        versions = kept.store.versions()
        if as_json:
            show.emit_json([version_json(kept, one) for one in versions])
        else:
            registry_show.show_versions(kept, versions)


@registry.command("show")
def show_version(
    ctx: typer.Context, version: Named = "champion", home: Home = None, as_json: Json = False
) -> None:
    """Show a version: its options, what it is bound to, how it did, what became of it."""
    with shelf(ctx, home) as kept:
        found = kept.find(version)
        if as_json:
            events = kept.store.registry_history(found.id)
            told = version_json(kept, found)
            show.emit_json({**told, "history": [asdict(event) for event in events]})
        else:
            registry_show.show_version(kept, found)


@registry.command("history")
def history(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="only of one version")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show who registered, weighed, promoted and rolled back what, when and why."""
    with shelf(ctx, home) as kept:
        of = kept.find(version).id if version else ""
        events = kept.store.registry_history(of, limit=limit)
        if as_json:
            show.emit_json([asdict(event) for event in events])
        else:
            registry_show.show_history(events)


@registry.command("compare")
def compare(
    ctx: typer.Context, one: Named, other: Named, home: Home = None, as_json: Json = False
) -> None:
    """Show in what two versions differ: options, lineage, and scores over the same questions.

    Example:

        steelyard registry compare reranker:champion reranker:challenger
    """
    with shelf(ctx, home) as kept:
        both = kept.find(one), kept.find(other)
        found = difference(*both)
        if as_json:
            scores = [[asdict(e) for e in weighed(kept, version)] for version in both]
            show.emit_json(
                {"versions": [one.id for one in both], **asdict(found), "evaluations": scores}
            )
        else:
            registry_show.show_difference(kept, both, found)


@registry.command("rollback")
def rollback(
    ctx: typer.Context,
    kind: Annotated[
        str, typer.Option("--kind", help="of which kind; default: what changed last")
    ] = "",
    why: Why = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Serve what was champion before; again, and it is as it was. Needs no gate.

    Example:

        steelyard registry rollback --why "slower than it was weighed"
    """
    with shelf(ctx, home) as kept:
        event = kept.roll_back(kind, who=who(), why=why)
        if as_json:
            show.emit_json(asdict(event))
        else:
            registry_show.show_event(event)


@registry.command("lineage")
def show_lineage(
    ctx: typer.Context, version: Named = "champion", home: Home = None, as_json: Json = False
) -> None:
    """Show what a version was made from: its run, the training data and their parents, its base."""
    with shelf(ctx, home) as kept:
        tree = lineage(kept, kept.find(version))
        if as_json:
            show.emit_json(tree.as_json())
        else:
            registry_show.show_lineage(tree)


@registry.command("export")
def export_version(
    ctx: typer.Context,
    version: Named,
    target: Annotated[Path, typer.Argument(help="a new folder, or a file that ends in .zip")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write the adapter, the merged int8 ONNX graph and a model card, for use elsewhere.

    Example:

        steelyard registry export reranker:champion support-reranker.zip
    """
    with shelf(ctx, home) as kept:
        found = kept.find(version)
        told, recipe = weighed(kept, found), recipe_of(kept, found)
        made = export(kept.home, found, target, evaluations=told, recipe=recipe)
    if as_json:
        show.emit_json({**asdict(made), "path": str(made.path)})
        return
    for name, what in made.files.items():
        show.out.print(f"{name}  {what}", markup=False)
    if made.without:
        show.note(f"note: {made.without}")
    show.out.print(f"wrote {made.path}", markup=False)


@registry.command("verify")
def verify(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Read every byte of every artefact and compare the bases; exit with 1 if anything is wrong."""
    with shelf(ctx, home) as kept:
        found, orphans = kept.verify(), kept.orphans()
    if as_json:
        rows = [{"id": v.version.id, "faults": v.faults, "notes": v.notes} for v in found]
        show.emit_json({"versions": rows, "orphans": orphans})
    else:
        registry_show.show_verified(found, orphans)
    raise typer.Exit(1 if any(one.faults for one in found) else 0)


def _name_of(folder: Path | None) -> str:
    """Return the run's name for `RUN/artefact`, else the folder's own."""
    if folder is None:
        return ""
    path = folder.absolute()
    return path.parent.name if path.name == "artefact" else path.name


def version_json(kept: Registry, version: Version) -> dict[str, Any]:
    """Return a version with the aliases that it has."""
    held = kept.store.aliases().get(version.kind, {})
    aliases = [alias.value for alias, identity in held.items() if identity == version.id]
    return {**asdict(version), "aliases": aliases}
