"""The HTTP door: `build(app)` returns the ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from steelyard import ui
from steelyard.app import App
from steelyard.arms.challenger import read_challenger
from steelyard.core.errors import SetupError, SteelyardError
from steelyard.flows.fine_tuning import FineTuning
from steelyard.flows.registry import Draft
from steelyard.flows.sides import Challenge, Sides
from steelyard.flows.work import Ended
from steelyard.infra.batching import BatchSize
from steelyard.jobs import ARTEFACT, Job
from steelyard.server.admission import Admission, Load
from steelyard.server.auth import Door, LocalOnly, is_loopback
from steelyard.server.challenging import Challenging
from steelyard.server.errors import on_bug, on_http_error, on_steelyard_error
from steelyard.server.freshness import Edge
from steelyard.server.live import Live
from steelyard.server.metrics import Metrics
from steelyard.server.openapi import ENDPOINTS, openapi
from steelyard.server.operations import dumps
from steelyard.server.tracing import open_tracing
from steelyard.server.watch import Observed, watch_loop_lag

__all__ = ["build", "running", "told_of_challenger"]


def build(app: App, *, paths: Sequence[str] = ()) -> Starlette:
    """Return the ASGI application. Its lifespan is `running`: `paths` are ingested and watched.

    Raises:
        SetupError: it would listen beyond loopback and there is no API key, or an option about
            the edge or the challenger is wrong.
    """
    host = app.settings.serve.host
    local = is_loopback(host)
    required = not local or bool(app.store.list_keys())
    if not local and not app.store.list_keys():
        raise SetupError(
            f"{host} can be reached from other machines, and the home has no API key; "
            "run `steelyard keys add NAME --operator` first"
        )
    live = _live(app, keyed=required)
    server = Starlette(
        routes=[
            *(Route(e.path, e.handler, methods=[e.method]) for e in ENDPOINTS),
            Mount("/static", _Static(directory=ui.STATIC)),
        ],
        exception_handlers={
            SteelyardError: on_steelyard_error,
            HTTPException: on_http_error,
            Exception: on_bug,
        },
        middleware=[
            Middleware(LocalOnly, active=not required),
            Middleware(Observed, metrics=live.metrics),
            Middleware(
                Admission,
                load=live.load,
                max_computing=app.settings.serve.max_computing,
                max_open=app.settings.serve.max_open,
            ),
        ],
        lifespan=lambda server: running(server, paths),
    )
    server.state.live = live
    server.state.openapi = dumps(openapi())
    return server


def _live(app: App, *, keyed: bool) -> Live:
    metrics = Metrics()
    challenger = read_challenger(app)
    challenge = None
    if challenger is not None:
        challenge = Challenge(challenger.name, challenger.share, challenger.bundle)
    return Live(
        app=app,
        door=Door(app.store, required=keyed),
        metrics=metrics,
        load=Load(),
        edge=Edge(app, keyed=keyed),
        sides=Sides(
            app.serving.hold,
            challenge=challenge,
            pseudonym=app.pseudonyms.of,
            count=metrics.side,
        ),
        tuning=FineTuning(app.home, register=_registering(app)),
        challenger=challenger,
        tracing=open_tracing(),
    )


def _registering(app: App) -> Callable[[Job, Path], str]:
    """Return what makes a version of a job's artefact."""

    def register(job: Job, folder: Path) -> str:
        base = str(job.recipe.get("base", ""))
        draft = Draft(job.suffix or job.run, folder / ARTEFACT, base=base)
        kept = app.registry.register(draft, who=job.by, why=f"fine-tuning job {job.id}")
        return kept.version.id

    return register


def told_of_challenger(server: Starlette) -> str:
    """Return what an operator should know of a live comparison that has begun; "" without one."""
    live = server.state.live
    assert isinstance(live, Live)
    challenger = live.challenger
    if challenger is None:
        return ""
    text = (
        f"{challenger.share:.0%} of the users see {challenger.name!r} instead "
        f"({challenger.bundle.name}); `steelyard eval ab` compares"
    )
    if live.door.required:
        return f"{text}; who names no user counts as its API key"
    return (
        f"{text}. Without API keys only requests with a field `user` or X-User-Id take part; "
        "to all others the champion answers"
    )


class _Static(StaticFiles):
    """Checked at every use, so that an upgrade never mixes old and new modules."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


@asynccontextmanager
async def running(server: Starlette, paths: Sequence[str] = ()) -> AsyncIterator[None]:
    """Do what the server needs in the background, while the context lasts.

    Raises:
        SetupError: the model or the index cannot be loaded.
        InputError: a path does not exist.
    """
    live = server.state.live
    assert isinstance(live, Live)

    def count(ended: Ended) -> None:
        state = "unchanged" if ended.unchanged else ended.state.value
        live.metrics.ingested(state, ended.took_s)

    def batched(size: BatchSize) -> None:
        live.metrics.batch("questions", size.num_items, size.weight, size.waiting)

    live.app.work.listen(count)
    tasks = [asyncio.create_task(watch_loop_lag(live.metrics))]
    try:
        async with live.app.working(paths):
            live.app.questions.watch(batched)
            live.app.serving.listen(lambda _, after: after.space.questions.watch(batched))
            tasks.append(asyncio.create_task(live.edge.keep_told()))
            tasks.append(asyncio.create_task(live.tuning.run()))
            challenger = live.challenger
            if challenger is None:
                yield
                return
            async with Challenging(live.app, live.sides, challenger).running():
                yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        live.app.work.unlisten(count)
        if live.tracing is not None:
            await asyncio.to_thread(live.tracing.close)
