"""Statistics of paired, clustered values: intervals, comparisons, power, gates, live A/B."""

from steelyard.evals.statistics.intervals import Bounds, interval
from steelyard.evals.statistics.power import DEFAULT_SPREAD, Plan, Spread, plan, spread
from steelyard.evals.statistics.significance import holm
from steelyard.evals.statistics.weighing import Weighed, weigh

__all__ = [
    "DEFAULT_SPREAD",
    "Bounds",
    "Plan",
    "Spread",
    "Weighed",
    "holm",
    "interval",
    "plan",
    "spread",
    "weigh",
]
