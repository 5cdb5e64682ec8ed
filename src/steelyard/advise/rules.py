"""The published rules of thumb, as checks beside what was computed.

Source of the rules: "Fine-Tuning vs RAG: Which Is More Cost-Effective in 2026?", March 2026.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steelyard.advise.measured import Arm
from steelyard.advise.model import Option
from steelyard.advise.solve import Solved

_MONTH_DAYS = 365 / 12


@dataclass(frozen=True, slots=True)
class Check:
    """A rule: whether it applies here, what it leans to, and whether the choice agrees.

    `agrees` None: it does not apply, or nothing is allowed.
    """

    rule: str
    condition: str
    applies: bool
    leans_to: tuple[Arm, ...]
    agrees: bool | None


@dataclass(frozen=True, slots=True)
class _Rule:
    rule: str
    condition: str
    applies: Callable[[Solved], bool]
    leans_to: tuple[Arm, ...]


_RETRIEVING = (Arm.RAG, Arm.BOTH)
FREQUENT_CHURN = 0.2  # a fifth of the documents a month; the article gives no number
SMALL_BUDGET_USD = 10_000.0  # over the horizon; the article gives no number


def _value(solved: Solved, key: str) -> float:
    return solved.inputs.scenario[key].value


def _both_is_better(solved: Solved) -> bool:
    arms = solved.inputs.measured.arms
    if not {Arm.RAG, Arm.TUNED, Arm.BOTH} <= set(arms):
        return False
    alone = max(arms[Arm.RAG].quality.value, arms[Arm.TUNED].quality.value)
    return arms[Arm.BOTH].quality.value > alone + _value(solved, "tolerance")


_RULES = (
    _Rule(
        "Over 100,000 questions a day: lean to fine-tuning",
        "questions_per_day > 100,000",
        lambda solved: _value(solved, "questions_per_day") > 100_000,
        (Arm.TUNED,),
    ),
    _Rule(
        "Frequently changing knowledge: retrieval",
        f"churn ≥ {FREQUENT_CHURN:g} a month (the article gives no number)",
        lambda solved: _value(solved, "churn") >= FREQUENT_CHURN,
        _RETRIEVING,
    ),
    _Rule(
        "Citations needed: retrieval is required",
        "citations",
        lambda solved: solved.inputs.scenario.choices.citations,
        _RETRIEVING,
    ),
    _Rule(
        "A small budget: retrieval first, fine-tune later",
        f"the cheapest way costs under {SMALL_BUDGET_USD:,.0f} USD (the article gives no number)",
        lambda solved: float(np.min(solved.table.total_usd[0])) < SMALL_BUDGET_USD,
        (Arm.RAG,),
    ),
    _Rule(
        "Under about 50,000 questions a month: retrieval's overhead is cheap",
        "questions a month < 50,000",
        lambda solved: _value(solved, "questions_per_day") * _MONTH_DAYS < 50_000,
        _RETRIEVING,
    ),
    _Rule(
        "Compliance and traceability: retrieval",
        "citations and private",
        lambda solved: (
            solved.inputs.scenario.choices.citations and solved.inputs.scenario.choices.private
        ),
        _RETRIEVING,
    ),
    _Rule(
        "Both: tune for style and domain, retrieve for facts",
        "tuned+rag is better than either alone by more than the tolerance",
        _both_is_better,
        (Arm.BOTH,),
    ),
)


def checks(solved: Solved, recommended: Option | None) -> list[Check]:
    """Return every rule with its mark; of a solution at the point."""
    found: list[Check] = []
    for rule in _RULES:
        applies = rule.applies(solved)
        agrees = recommended.arm in rule.leans_to if applies and recommended else None
        found.append(Check(rule.rule, rule.condition, applies, rule.leans_to, agrees))
    return found
