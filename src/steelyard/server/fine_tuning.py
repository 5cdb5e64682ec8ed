"""`/v1/fine_tuning/jobs` in OpenAI's shapes, and `/v1/tune/runs` in ours."""

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.core.errors import InputError
from steelyard.flows.training_runs import cancel_run, list_runs, run_details, run_metrics
from steelyard.infra.concurrent import compute
from steelyard.jobs import (
    FINAL,
    Job,
    JobStatus,
    Wish,
    checkpoints_of,
    find_job,
    job_events,
    jobs,
    page_of,
    progress_of,
    read_curves,
    read_standing,
    run_path,
)
from steelyard.server.live import Live
from steelyard.server.requests import query_int, read_json
from steelyard.server.tuning_bodies import (
    FineTuningBody,
    checkpoint_json,
    details_json,
    event_json,
    job_json,
    list_json,
    run_json,
)
from steelyard.server.uploads import operators

P = ParamSpec("P")
T = TypeVar("T")

# How long a wish may wait for its answer: a queued job is cancelled at once, a running one
# writes its checkpoint first.
WISH_S = 2.0
_LOOK_S = 0.05


async def create_job(request: Request) -> Response:
    """Queue a fine-tuning job: supervised or dpo, or one of our kinds by `steelyard.kind`."""
    here = operators(request)
    principal = here.door.operator(request)
    body = await read_json(request, FineTuningBody)
    job = await _read(here, here.tuning.create, body.to_request(), by=principal.id)
    here.tuning.wake()
    return JSONResponse(await _read(here, _told, here, job))


async def list_jobs(request: Request) -> Response:
    """List the fine-tuning jobs, the newest first; `metadata[KEY]=VALUE` narrows."""
    here = operators(request)
    found = await _read(here, jobs, here.app.home)
    for key, value in request.query_params.items():
        if key.startswith("metadata[") and key.endswith("]"):
            found = [job for job in found if job.metadata.get(key[9:-1]) == value]
    page = page_of(found, **_paged(request), key=lambda job: job.id)
    told = [await _read(here, _told, here, job) for job in page.rows]
    return JSONResponse(list_json(page, told))


async def read_job(request: Request) -> Response:
    """Return one fine-tuning job."""
    here = operators(request)
    return JSONResponse(await _read(here, _told, here, await _job(here, request)))


async def cancel_job(request: Request) -> Response:
    """Cancel a job; one that trains writes a checkpoint first."""
    return await _wished(request, Wish.CANCEL)


async def pause_job(request: Request) -> Response:
    """Pause a job: it writes a checkpoint and gives its place to the next."""
    return await _wished(request, Wish.PAUSE)


async def resume_job(request: Request) -> Response:
    """Have a paused job go on where it was, when its turn comes."""
    return await _wished(request, Wish.RUN)


async def list_events(request: Request) -> Response:
    """List what happened to a job, the newest first: messages, and metrics by step."""
    here = operators(request)
    job = await _job(here, request)
    found = await _read(here, job_events, here.app.home, job)
    told = [event_json(job, event) for event in reversed(found)]
    page = page_of(told, **_paged(request), key=lambda event: str(event["id"]))
    return JSONResponse(list_json(page, list(page.rows)))


async def list_checkpoints(request: Request) -> Response:
    """List the checkpoints of a job that are there, the newest first, with what they scored."""
    here = operators(request)
    job = await _job(here, request)
    found = await _read(here, checkpoints_of, here.app.home, job)
    told = [checkpoint_json(job, one) for one in found]
    page = page_of(told, **_paged(request), key=lambda one: str(one["id"]))
    return JSONResponse(list_json(page, list(page.rows)))


async def training_runs(request: Request) -> Response:
    """List the training runs of the home, also those begun by hand, the newest first."""
    here = operators(request)
    found = await _read(here, list_runs, here.app.home)
    by_run = {job.run: job for job in await _read(here, jobs, here.app.home)}
    return JSONResponse({"runs": [run_json(run, s, by_run.get(run)) for run, s in found]})


async def training_run(request: Request) -> Response:
    """Return one training run: standing, plan, what became of every token, recipe."""
    here = operators(request)
    identity = request.path_params["id"]
    found = await _read(here, run_details, here.app.home, identity)
    job = await _read(here, here.tuning.job_of_run, identity)
    return JSONResponse(details_json(found, job))


async def training_metrics(request: Request) -> Response:
    """Return a run's readings from `after` on; `next` is the `after` of the next request."""
    here = operators(request)
    after = query_int(request, "after", 0, low=0, high=2**53)
    identity = request.path_params["id"]
    found = await _read(here, run_metrics, here.app.home, identity, after=after)
    return JSONResponse({"rows": list(found.rows), "next": found.next, "again": found.again})


async def cancel_training(request: Request) -> Response:
    """Cancel a training run, whoever began it, after it has written a checkpoint."""
    here = operators(request)
    identity = request.path_params["id"]
    job = await _read(here, here.tuning.job_of_run, identity)
    if job is not None:
        await _wish(here, job.id, Wish.CANCEL)
    else:
        await _read(here, cancel_run, here.app.home, identity)
    found = await _read(here, run_details, here.app.home, identity)
    return JSONResponse(details_json(found, job))


async def _wished(request: Request, wanted: Wish) -> Response:
    here = operators(request)
    job = await _wish(here, request.path_params["id"], wanted)
    return JSONResponse(await _read(here, _told, here, job))


async def _wish(here: Live, identity: str, wanted: Wish) -> Job:
    """Say what is wanted, and give the queue a moment to see to it."""
    job, before = await _read(here, here.tuning.wish, identity, wanted)
    here.tuning.wake()
    if wanted is Wish.RUN and before.status is not JobStatus.PAUSED:
        return job
    try:
        async with asyncio.timeout(WISH_S):
            while await _read(here, progress_of, here.app.home, job) == before:
                if before.status in FINAL:
                    break
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        pass  # it is on its way: the job is told as it stands
    return job


async def _job(here: Live, request: Request) -> Job:
    return await _read(here, find_job, here.app.home, request.path_params["id"])


def _told(here: Live, job: Job) -> dict[str, Any]:
    folder = run_path(here.app.home, job)
    progress = progress_of(here.app.home, job)
    return job_json(job, progress, read_standing(folder), read_curves(folder))


def _paged(request: Request) -> dict[str, Any]:
    after = request.query_params.get("after", "")
    if len(after) > 200:
        raise InputError("after is no id of this list; start again without it")
    return {"after": after, "limit": query_int(request, "limit", 20, low=1, high=1000)}


async def _read(here: Live, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what reads files behind the questions that people wait for."""
    return await compute(here.app.workers.ingest, function, *args, **kwargs)
