"""What every route reaches: the app, the door, the metrics and the traces."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from steelyard.app import App
from steelyard.arms.challenger import Challenger
from steelyard.flows.fine_tuning import FineTuning
from steelyard.flows.sides import Sides
from steelyard.server.admission import Load
from steelyard.server.auth import Door
from steelyard.server.freshness import Edge
from steelyard.server.metrics import Metrics
from steelyard.server.tracing import Tracing


@dataclass(frozen=True, slots=True)
class Live:
    app: App
    door: Door
    metrics: Metrics
    load: Load
    edge: Edge
    sides: Sides
    tuning: FineTuning
    challenger: Challenger | None = None
    tracing: Tracing | None = None
    weighing: asyncio.Lock = field(default_factory=asyncio.Lock)


def live(request: Request) -> Live:
    found = request.app.state.live
    assert isinstance(found, Live)
    return found
