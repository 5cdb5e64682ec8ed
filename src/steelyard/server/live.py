"""What every route reaches: the app, the door and the metrics."""

from dataclasses import dataclass

from starlette.requests import Request

from steelyard.app import App
from steelyard.server.auth import Door
from steelyard.server.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Live:
    app: App
    door: Door
    metrics: Metrics


def live(request: Request) -> Live:
    found = request.app.state.live
    assert isinstance(found, Live)
    return found
