"""`steelyard tune`, the verbs beyond this machine's own runs: MLflow, and jobs at a host."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.app import open_app
from steelyard.cli.options import OWNER, Home, Json, home_of
from steelyard.cli.show import emit_json, note, out, show_rows
from steelyard.core.errors import UpstreamError
from steelyard.flows import hosted, tracking
from steelyard.hosted import KEY_NAME, HostedClient, Submitted, find_submitted, submitted
from steelyard.jobs import run_folder
from steelyard.track import STORE

log = logging.getLogger(__name__)

JobName = Annotated[
    str, typer.Argument(help="a job's id, or the beginning of it; the newest if left out")
]


def track(
    ctx: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(help="runs; all if none is named")] = None,
    home: Home = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="make the store again from all runs' folders")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write runs into MLflow's store: parameters, metrics by step, data, environment, artefact.

    The runs' own folders are the truth, so the store can be removed and made again.

    Examples:

        steelyard tune track

        mlflow ui --backend-store-uri sqlite:///.steelyard/tune/mlflow.db
    """
    where = home_of(ctx, home)
    chosen = tracking.track(where, runs or (), rebuild=rebuild)
    place = f"sqlite:///{(where / STORE).resolve()}"
    if as_json:
        emit_json({"runs": chosen, "store": place})
        return
    out.print(f"{len(chosen)} runs are in {place}")
    note(f"look at them by: mlflow ui --backend-store-uri {place}")


def track_quietly(home: Path, run: str) -> None:
    """Write an ended run into the store; what fails is a note, for the run is done all the same."""
    try:
        tracking.note_environment(run_folder(home, run))
        tracking.track(home, [run])
    except Exception as error:  # MLflow's and its libraries' own, of which there are many
        log.warning("tracking_failed run=%s", run, exc_info=error)
        first = str(error).strip().splitlines() or [type(error).__name__]
        note(f"the run is done, but not in MLflow's store ({first[0]}); try `steelyard tune track`")


def submit(
    ctx: typer.Context,
    train: Annotated[str, typer.Argument(help="a version of training data, or NAME@SPLIT")],
    to: Annotated[str, typer.Option("--to", help="an OpenAI-shaped host, as https://HOST/v1")],
    model: Annotated[str, typer.Option("--model", help="what is trained, in the host's words")],
    home: Home = None,
    validation: Annotated[
        str, typer.Option("--validation", help="what is measured on, likewise")
    ] = "",
    epochs: Annotated[int | None, typer.Option("--epochs", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1)] = None,
    lr_multiplier: Annotated[float | None, typer.Option("--lr-multiplier")] = None,
    beta: Annotated[float | None, typer.Option("--beta", help="of preferences (DPO)")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0)] = None,
    suffix: Annotated[str, typer.Option("--suffix", help="a part of the result's name")] = "",
    kind: Annotated[
        str, typer.Option("--kind", help="for another Steelyard: embedder, reranker, ...")
    ] = "",
    as_json: Json = False,
) -> None:
    """Have a host fine-tune on a kept version: send its rows and ask for a job.

    Chats are learnt by supervision, preferences by DPO. The key is in STEELYARD_HOSTED_KEY.

    Example:

        steelyard tune submit support --to https://api.together.xyz/v1 --model MODEL --epochs 3
    """
    given = {
        "n_epochs": epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": lr_multiplier,
        "beta": beta,
    }
    order = hosted.Order(
        train=train,
        model=model,
        validation=validation,
        hyperparameters={name: value for name, value in given.items() if value is not None},
        seed=seed,
        suffix=suffix,
        kind=kind,
    )

    async def send() -> Submitted:
        async with _client(to) as client:
            return await hosted.submit(home_of(ctx, home), client, order)

    job = asyncio.run(send())
    if as_json:
        emit_json(_fields(job))
        return
    out.print(f"{job.id} is {job.status} at {job.url}")
    note(f"follow it by: steelyard tune poll {job.id}")


def poll(
    ctx: typer.Context,
    job: JobName = "",
    home: Home = None,
    once: Annotated[bool, typer.Option("--once", help="ask once, do not wait for the end")] = False,
    every_s: Annotated[float, typer.Option("--every-s", min=0.05)] = hosted.POLL_S,
    as_json: Json = False,
) -> None:
    """Follow a job at a host until it has ended; stopped and begun again, it goes on.

    Example:

        steelyard tune poll
    """
    where = home_of(ctx, home)
    known = find_submitted(where, job)

    def told(of: Submitted, message: str) -> None:
        if not as_json:
            out.print(f"[dim]{of.id}[/] {message}", markup=True)

    async def ask() -> Submitted:
        async with _client(known.url) as client:
            if once:
                return await hosted.look(where, client, known, told=told)
            return await hosted.follow(where, client, known, told=told, every_s=every_s)

    found = asyncio.run(ask())
    if as_json:
        emit_json(_fields(found))
    else:
        out.print(f"{found.id} is {found.status}{f': {found.error}' if found.error else ''}")
    if found.status == "failed":
        raise UpstreamError(f"job {found.id!r} failed at {found.url}: {found.error}")
    if found.status == "succeeded" and not as_json:
        note(f"serve it after: steelyard tune import {found.id}")


def import_hosted(
    ctx: typer.Context,
    job: JobName = "",
    home: Home = None,
    name: Annotated[str, typer.Option("--name", help="the version's name")] = "",
    as_json: Json = False,
) -> None:
    """Register a hosted model as a version, which `steelyard registry promote` then serves.

    Example:

        steelyard tune import ftjob-3fb1 --name support-llm
    """
    where = home_of(ctx, home)
    known = find_submitted(where, job)
    app = open_app(where)
    try:
        version = hosted.take_over(where, app.registry, known, name=name, who=OWNER.id)
    finally:
        app.close()
    if as_json:
        emit_json({"id": version.id, "name": version.name, "options": dict(version.options)})
        return
    out.print(f"{version.id} ({version.name}) is {known.fine_tuned_model} at {known.url}")
    note(f"weigh and serve it by: steelyard registry promote {version.id} --data SET")


def hosted_jobs(ctx: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """List the jobs that were sent to hosts, the newest first, as they were last told.

    Example:

        steelyard tune hosted
    """
    found = submitted(home_of(ctx, home))
    if as_json:
        emit_json({"jobs": [_fields(job) for job in found]})
        return
    rows = [(job.id, job.status, job.model, job.fine_tuned_model, job.url) for job in found]
    show_rows(("job", "status", "base", "result", "host"), rows)


def add_verbs(tune: typer.Typer) -> None:
    """Add the verbs of hosts and trackers to the group."""
    tune.command("track")(track)
    tune.command("submit")(submit)
    tune.command("poll")(poll)
    tune.command("import")(import_hosted)
    tune.command("hosted")(hosted_jobs)


def _client(url: str) -> HostedClient:
    return HostedClient(url, key=os.environ.get(KEY_NAME, ""))


def _fields(job: Submitted) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "url": job.url,
        "model": job.model,
        "dataset": job.dataset,
        "fine_tuned_model": job.fine_tuned_model,
        "error": job.error,
        "version": job.version,
    }
