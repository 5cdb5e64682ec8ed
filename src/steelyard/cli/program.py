"""The program: which verbs there are, each loaded only when it is the one that runs.

All verbs together bring everything that Steelyard has, which takes seconds to load.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from steelyard.version import __version__


class Verb(NamedTuple):
    """`name` in the module of this folder is a verb, or a group of them; `extras` add to it.

    `help` is what the program's own help says of it; a test compares it with the verb's own.
    """

    module: str
    name: str
    help: str
    extras: tuple[str, ...] = ()


VERBS: Mapping[str, Verb] = {
    "serve": Verb(
        "serving", "serve",
        "Ingest files and folders, keep watching them, and serve the page and the API.",
    ),
    "ingest": Verb(
        "commands", "ingest",
        "Read files and folders into the home; unchanged files cost nothing.",
    ),
    "ask": Verb("commands", "ask", "Answer a question from the documents, with citations."),
    "search": Verb("commands", "search", "Find passages."),
    "settings": Verb(
        "manage", "settings", "Print every option, its value, and where the value came from."
    ),
    "documents": Verb(
        "manage", "documents",
        "List documents with their states and the reasons of those that could not be read.",
    ),
    "keys": Verb("manage", "keys", "API keys: who may ask, and what they may read."),
    "data": Verb(
        "data", "data", "Question sets and training rows: made, checked, reviewed, kept, exported."
    ),
    "tune": Verb(
        "tune_promote", "tune",
        "Training: from a team's own examples to an adapter, killed and resumed at will.",
        extras=("tune_managed",),
    ),
    "cache": Verb("cache", "cache", "The answer cache: which questions one answer serves."),
    "bench": Verb(
        "bench", "bench",
        "Measure mean, p50, p95 and p99 of every stage, cold and warm, with and without caches.",
    ),
    "eval": Verb(
        "eval_replay", "evaluation",
        "Weigh arms over questions: quality, latency and cost, with honest statistics.",
    ),
    "advise": Verb(
        "advise", "advise",
        "RAG or fine-tuning or both: cost, break-even, and what would flip the advice.",
    ),
    "embedder": Verb(
        "embedder", "embedder", "Whose vectors the home is searched by, and changing that."
    ),
    "registry": Verb(
        "registry_deploy", "registry",
        "Versions of what is served: registered, weighed, promoted, rolled back, exported.",
    ),
    "prices": Verb(
        "prices", "prices",
        "What things cost: dated rows with sources, your own over them, and what was spent.",
    ),
}  # fmt: skip


class OnDemand(TyperGroup):
    """Shows every verb by its one line, and loads the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command if name is None else loaded(name), rest


program = typer.Typer(
    name="steelyard",
    cls=OnDemand,
    help="Ask your documents: cited answers from your own files, measured and fast.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@program.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="STEELYARD_HOME", help="the folder of the home")
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    ctx.obj = home
    if version:
        typer.echo(f"steelyard {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit


def _in_its_place() -> None:
    raise AssertionError("the verb itself is loaded before it runs")


for _name, _verb in VERBS.items():
    program.command(_name, help=_verb.help)(_in_its_place)


@cache
def loaded(name: str) -> Any:
    """Return a verb as the command or group that it is, with all that adds to it."""
    verb = VERBS[name]
    own = getattr(import_module(f"steelyard.cli.{verb.module}"), verb.name)
    for extra in verb.extras:
        import_module(f"steelyard.cli.{extra}").add_verbs(own)
    around = typer.Typer(add_completion=False)
    around.callback()(lambda: None)
    if isinstance(own, typer.Typer):
        around.add_typer(own, name=name)
    else:
        around.command(name)(own)
    commands: Mapping[str, Any] = getattr(typer.main.get_command(around), "commands")  # noqa: B009
    return commands[name]


def whole() -> Any:
    """Return the program with every verb loaded, for who describes it."""
    group: Any = typer.main.get_command(program)
    group.commands = {name: loaded(name) for name in VERBS}
    return group
