"""`GET /v1/ab`: how the live comparison stands, for operators."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.arms.challenger import promotion
from steelyard.core.errors import NotFound
from steelyard.flows.ab import live_json, live_report
from steelyard.infra.concurrent import compute
from steelyard.server.live import live


async def standing(request: Request) -> Response:
    """How the live comparison of two bundles stands; `experiment` is null without one."""
    here = live(request)
    here.door.operator(request, to="see how the live comparison stands")
    name = request.query_params.get("name", "")
    running = here.challenger
    try:
        # A second of numbers in a long comparison: people who ask go first.
        report = await compute(here.app.workers.ingest, live_report, here.app.store, name)
    except NotFound as error:
        if name:
            raise
        return JSONResponse({"experiment": None, "reason": error.message})
    body = live_json(report)
    body["running"] = running is not None and running.name == report.experiment.name
    body["promote"] = promotion(report.experiment.options)
    return JSONResponse(body)
