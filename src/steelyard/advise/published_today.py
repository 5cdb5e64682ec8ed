"""The published totals beside what the whole model gives of the two scenarios at the book's prices.

The model counts a server, which the article does not: totals are given without it too.
"""

from dataclasses import dataclass
from typing import Any

from steelyard.advise.measured import DEFAULTS, Arm
from steelyard.advise.model import Option, Runs, Weighed
from steelyard.advise.named import named_scenario
from steelyard.advise.paper import Paper
from steelyard.advise.published import Band, Verdict, compare, off_by
from steelyard.advise.solve import Question, solve
from steelyard.core.prices import Prices

_SAID = {
    ("published-support-bot", Arm.TUNED): "support_tuning",
    ("published-support-bot", Arm.RAG): "support_rag",
    ("published-internal-kb", Arm.TUNED): "kb_tuning",
    ("published-internal-kb", Arm.RAG): "kb_rag",
}


@dataclass(frozen=True, slots=True)
class Total:
    """A way's twelve months in USD; `verdict` is of what is left without the server."""

    scenario: str
    option: Option
    said: Band
    total_usd: float
    server_usd: float
    verdict: Verdict
    off_low: float | None
    off_high: float | None

    @property
    def without_usd(self) -> float:
        return self.total_usd - self.server_usd


def totals(prices: Prices) -> list[Total]:
    """Return the ways that the article has, of both scenarios.

    Raises:
        NotFound: the book lacks a price; names it.
    """
    found: list[Total] = []
    for name in dict.fromkeys(scenario for scenario, _ in _SAID):
        solved = solve(Question(named_scenario(name), DEFAULTS, prices))
        for one in solved.weighed:
            if (name, one.option.arm) in _SAID and one.option.runs is not Runs.SERVER:
                found.append(_total(name, one, prices))
    return found


def _total(name: str, one: Weighed, prices: Prices) -> Total:
    low, high = (
        Paper(prices, high=high).said(_SAID[name, one.option.arm]).point for high in (False, True)
    )
    said = Band(low, high, "USD")
    months = one.questions.value.shape[1]
    servers = one.parts["servers"].value[0]
    server = float(servers.sum() if len(servers) == months else servers[0] * months)
    whole = one.total.point
    left = Band(whole - server, whole - server, "USD")
    verdict = compare(left, said)
    return Total(name, one.option, said, whole, server, verdict, *off_by(left, said, verdict))


def totals_json(prices: Prices) -> list[dict[str, Any]]:
    """Return the same as JSON.

    Raises:
        NotFound: the book lacks a price; names it.
    """
    return [
        {
            "scenario": one.scenario,
            "option": str(one.option),
            "published": {"low": one.said.low, "high": one.said.high, "unit": one.said.unit},
            "total_usd": one.total_usd,
            "server_usd": one.server_usd,
            "without_server_usd": one.without_usd,
            "verdict": one.verdict.value,
            "off_low": one.off_low,
            "off_high": one.off_high,
        }
        for one in totals(prices)
    ]
