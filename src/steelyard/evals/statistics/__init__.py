"""Statistics of paired, clustered values: intervals, comparisons, power, gates, live A/B."""

from steelyard.evals.statistics.gate import GateResult, Margin, Reason, gate, non_inferior
from steelyard.evals.statistics.intervals import Bounds, interval
from steelyard.evals.statistics.live import (
    LiveInterval,
    Users,
    by_user,
    confidence_sequence,
    ratio_mismatch,
    shown_after,
)
from steelyard.evals.statistics.power import DEFAULT_SPREAD, Plan, Spread, plan, spread
from steelyard.evals.statistics.reach import users_for
from steelyard.evals.statistics.significance import holm
from steelyard.evals.statistics.weighing import Weighed, weigh

__all__ = [
    "DEFAULT_SPREAD",
    "Bounds",
    "GateResult",
    "LiveInterval",
    "Margin",
    "Plan",
    "Reason",
    "Spread",
    "Users",
    "Weighed",
    "by_user",
    "confidence_sequence",
    "gate",
    "holm",
    "interval",
    "non_inferior",
    "plan",
    "ratio_mismatch",
    "shown_after",
    "spread",
    "users_for",
    "weigh",
]
