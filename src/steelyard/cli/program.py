"""The program: which verbs there are."""

from typing import Annotated

import typer

from steelyard.cli import (
    bench,
    cache,
    commands,
    data,
    embedder,
    eval_replay,
    manage,
    registry_deploy,
    serving,
    tune_managed,
    tune_promote,
)
from steelyard.cli.options import Home
from steelyard.version import __version__

program = typer.Typer(
    name="steelyard",
    help="Ask your documents: cited answers from your own files, measured and fast.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
program.command()(serving.serve)
program.command()(commands.ingest)
program.command()(commands.ask)
program.command()(commands.search)
program.add_typer(manage.documents, name="documents")
program.add_typer(manage.keys, name="keys")
program.command()(manage.settings)
program.add_typer(data.data, name="data")
tune_managed.add_verbs(tune_promote.tune)
program.add_typer(tune_promote.tune, name="tune")
program.add_typer(cache.cache, name="cache")
program.add_typer(bench.bench, name="bench")
program.add_typer(eval_replay.evaluation, name="eval")
program.add_typer(embedder.embedder, name="embedder")
program.add_typer(registry_deploy.registry, name="registry")


@program.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    home: Home = None,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    ctx.obj = home
    if version:
        typer.echo(f"steelyard {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit
