"""`GET /v1/spend`: what questions and training runs cost, for operators."""

import time
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from steelyard.flows.spend import since_of, spend, spend_json
from steelyard.infra.concurrent import compute
from steelyard.server.live import live


async def spent(request: Request) -> Response:
    """What questions and training runs cost, by the query log and the prices of each day.

    `since` is a span as 30d or a day, `by` a grouping, `machine` an item in dollars an hour that
    pays for models of one's own.
    """
    here = live(request)
    here.door.operator(request, to="see what was spent")
    asked = request.query_params
    counting = partial(
        spend,
        here.app.home,
        here.app.store,
        by=asked.get("by", "collection"),
        since=since_of(asked.get("since", ""), now=time.time()),
        machine=asked.get("machine", ""),
    )
    # Seconds of numbers over a long log: people who ask go first.
    return JSONResponse(spend_json(await compute(here.app.workers.ingest, counting)))
