"""`steelyard registry deploy | merge`: a tuned language model to the server that runs it."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from steelyard.adapters import (
    SERVERS,
    Probe,
    deployed_name,
    open_server,
    read_adapter,
    read_probes,
    write_probes,
)
from steelyard.adapters.merging import find_converter, merge, to_gguf
from steelyard.adapters.probing import QUESTIONS, make_probes
from steelyard.cli import show
from steelyard.cli.endings import err
from steelyard.cli.options import Home, Json
from steelyard.cli.registry import Named, Why, shelf, who
from steelyard.cli.registry_promote import registry
from steelyard.core.errors import InputError
from steelyard.core.registry import Version
from steelyard.core.tuning import TuneKind
from steelyard.flows.deploy import Deployed, deploy
from steelyard.flows.registry import Draft, Registry
from steelyard.generate.openai import api_key
from steelyard.infra.binding import base_model, check_base
from steelyard.infra.concurrent import loop_factory
from steelyard.infra.models import find_model
from steelyard.registry import artefact_folder, check_artefact

__all__ = ["registry"]

Base = Annotated[
    str, typer.Option("--base", help="the base's folder here; default: as it was trained")
]


@registry.command("deploy")
def deploy_version(
    ctx: typer.Context,
    version: Named,
    url: Annotated[str, typer.Option("--url", help="the server, as http://127.0.0.1:8000/v1")],
    server: Annotated[
        str, typer.Option("--server", help=f"what runs there: {', '.join(SERVERS)}")
    ] = "vllm",
    as_path: Annotated[
        str, typer.Option("--as-path", help="the adapter's folder as the server sees it")
    ] = "",
    max_rank: Annotated[
        int, typer.Option("--max-rank", min=0, help="the rank that it was started with")
    ] = 0,
    base: Base = "",
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", help="a question of your own to prove it by")
    ] = None,
    why: Why = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Load an adapter into a running server under a name of its own, prove that it acts there as
    it did in training, and register what serves it. Promoting that version is the next step.

    Example:

        steelyard registry deploy support --url http://127.0.0.1:8000/v1 --max-rank 32
    """
    with shelf(ctx, home) as kept:
        found = _tuned(kept, version)
        folder = artefact_folder(kept.home, found.artefact)
        facts = read_adapter(folder)
        probes = _probes(kept, found, base=base, prompts=tuple(prompt or ()), quiet=as_json)
        client = open_server(server, url, key=api_key(url), max_rank=max_rank)

        async def run() -> Deployed:
            try:
                name = deployed_name(found.name, found.id)
                return await deploy(facts, probes, client, name=name, path=as_path, on_step=_say)
            finally:
                await client.aclose()

        def _say(line: str) -> None:
            if not as_json:
                err.print(f"[dim]{line}[/]")

        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            done = runner.run(run())
        options = {"llm.url": url, "llm.model": done.model, "llm.local": "", "llm.adapter": ""}
        draft = Draft(f"{found.name}@{server}", folder, options)
        served = kept.register(draft, who=who(), why=why or f"deployed to {url}").version
    if as_json:
        show.emit_json({**asdict(done), "version": served.id})
        return
    show.out.print(
        f"{done.model} acts on {done.server} as it was trained ({done.num_probes} probes, "
        f"{done.to_tuned:.2g} from the trainer, {done.to_base:.2g} from the base)"
        f"{'; it was loaded already' if done.was_there else ''}"
    )
    show.out.print(f"next: steelyard registry promote {served.id} --data QUESTIONS")


@registry.command("merge")
def merge_version(
    ctx: typer.Context,
    version: Named,
    target: Annotated[Path, typer.Argument(help="the folder to write")],
    base: Base = "",
    gguf: Annotated[
        bool, typer.Option("--gguf", help="a GGUF file beside it, by llama.cpp's converter")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a tuned language model as 16-bit weights of its own, for what loads no adapters.

    Example:

        steelyard registry merge support ./support-merged --gguf
    """
    if gguf:
        find_converter()
    with shelf(ctx, home) as kept:
        found = _tuned(kept, version)
        folder = artefact_folder(kept.home, found.artefact)
        made = merge(_base_of(found, base), folder, target.expanduser().absolute())
    file = to_gguf(made.folder, made.folder.with_suffix(".gguf")) if gguf else None
    if as_json:
        paths = {"folder": str(made.folder), "gguf": str(file) if file else None}
        show.emit_json({**paths, "away": made.away})
        return
    show.out.print(f"{made.folder}: merged, {made.away:.2g} from the adapter itself")
    if file:
        show.out.print(f"{file}: to serve it, set llm.gguf")


def _tuned(kept: Registry, named: str) -> Version:
    found = kept.find(named)
    if found.kind != TuneKind.LLM or not found.artefact:
        raise InputError(
            f"{found.id} ({found.name}) is no tuned language model but {found.kind}; it is served "
            "by this process: steelyard registry promote"
        )
    check_artefact(kept.home, found.artefact)
    return found


def _base_of(found: Version, base: str) -> Path:
    binding = found.binding
    name = base or (binding.base.name if binding else "")
    if not name:
        raise InputError("the adapter does not say what it was trained on; give --base")
    path = find_model(name)
    if binding:
        check_base(binding, base_model(path, name=name), artefact=found.name)
    return path


def _probes(
    kept: Registry, found: Version, *, base: str, prompts: tuple[str, ...], quiet: bool
) -> tuple[Probe, ...]:
    """Return the kept probes of a version, made once; those of own questions are not kept."""
    place = kept.home / "registry" / "deployed" / f"{found.id}.json"
    if not prompts and (known := read_probes(place)):
        return known
    if not quiet:
        err.print("[dim]running the base here once, with the adapter and without[/]")
    folder = artefact_folder(kept.home, found.artefact)
    made = make_probes(_base_of(found, base), folder, prompts or QUESTIONS)
    if not prompts:
        write_probes(place, made)
    return made
