"""Advice as JSON: what the command line prints with `--json`, the server sends, and the page draws.

Every number is finite. Names of numbers (`formula` and `formulas` of a row, `input` of a swing)
are keys of `formulas`.
"""

from typing import Any

from steelyard.advise.advice import Advice, Row
from steelyard.advise.breakeven import Volumes
from steelyard.advise.inputs import SPECS
from steelyard.advise.model import Option
from steelyard.advise.scenario import Scenario
from steelyard.advise.words import title_of, verdict_of


def advice_json(advice: Advice) -> dict[str, Any]:
    """Return everything: scenario, options, choice, reasons, flips, plots' data and formulas."""
    question = advice.question
    return {
        "scenario": scenario_json(question.scenario),
        "measured": {
            "source": question.measured.source,
            "measure": question.measured.measure,
            "assumed": question.measured.assumed,
        },
        "prices_on": question.prices.on.isoformat(),
        "options": [_row(row) for row in advice.rows],
        "recommended": _name(advice.recommended),
        "at_point": _name(advice.at_point),
        "verdict": verdict_of(advice),
        "probability": advice.probability,
        "tie": advice.tie,
        "rivals": [str(one) for one in advice.rivals],
        "none_share": advice.none_share,
        "reasons": list(advice.reasons),
        "flips": [
            {"input": one.input, "now": one.now, "value": one.value, "to": _name(one.to)}
            for one in advice.flips
        ],
        "tornado": [
            {
                "input": one.input,
                "low": one.low,
                "high": one.high,
                "total_at_low": one.total_at_low,
                "total_at_high": one.total_at_high,
            }
            for one in advice.swings
        ],
        "volumes": _volumes(advice.volumes),
        "checks": [
            {
                "rule": one.rule,
                "condition": one.condition,
                "applies": one.applies,
                "leans_to": list(one.leans_to),
                "agrees": one.agrees,
            }
            for one in advice.checks
        ],
        "to_measure": [
            {"input": one.input, "gap": one.gap, "measure": one.measure}
            for one in advice.to_measure
        ],
        "warnings": list(advice.warnings),
        "draws": advice.draws,
        "formulas": dict(advice.formulas),
    }


def scenario_json(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario's inputs with their ranges and sources, and its choices."""
    choices = scenario.choices
    return {
        "name": scenario.name,
        "title": scenario.title,
        "inputs": {
            key: {
                "value": value.value,
                "low": value.low,
                "high": value.high,
                "source": value.source,
                "default": value.is_default,
            }
            for key, value in scenario.values.items()
        },
        "choices": {name: getattr(choices, name) for name in choices.__dataclass_fields__},
        "throughput": [
            {
                "tokens_in": one.tokens_in,
                "tokens_out": one.tokens_out,
                "questions_per_s": one.questions_per_s,
            }
            for one in scenario.throughput
        ],
    }


def specs_json() -> list[dict[str, Any]]:
    """Return every input that a scenario may say: what a page needs for its sliders."""
    return [
        {
            "key": one.key,
            "group": one.group,
            "default": one.default,
            "low": one.low,
            "high": one.high,
            "unit": one.unit,
            "what": one.what,
            "log": one.log,
            "measure": one.measure,
        }
        for one in SPECS
    ]


def _row(row: Row) -> dict[str, Any]:
    return {
        "option": str(row.option),
        "arm": row.option.arm,
        "runs": row.option.runs,
        "title": title_of(row.option),
        "monthly_usd": row.monthly_usd,
        "one_time_usd": row.one_time_usd,
        "total_usd": _band(row.total_usd),
        "per_1000_usd": row.per_1000_usd,
        "quality": _band(row.quality),
        "first_word_ms": _band(row.first_word_ms),
        "parts": dict(row.parts),
        "share": row.share,
        "on_frontier": row.on_frontier,
        "excluded": row.excluded,
        "gpus": row.gpus,
        "formula": f"{row.option} total",
        "formulas": dict(row.formulas),
    }


def _volumes(found: Volumes) -> dict[str, Any]:
    return {
        "questions_per_day": found.questions_per_day.tolist(),
        "curves": [
            {
                "option": str(one.option),
                "usd": one.usd.tolist(),
                "low_usd": one.low_usd.tolist(),
                "high_usd": one.high_usd.tolist(),
            }
            for one in found.curves
        ],
        "breaks": [
            {
                "questions_per_day": one.questions_per_day,
                "low": one.low,
                "high": one.high,
                "cheaper": str(one.cheaper),
                "dearer": str(one.dearer),
                "share": one.share,
            }
            for one in found.breaks
        ],
    }


def _band(band: tuple[float, float, float]) -> dict[str, float]:
    """Return a figure with the 5th and 95th of 100 draws."""
    value, low, high = band
    return {"value": value, "low": low, "high": high}


def _name(option: Option | None) -> str | None:
    return None if option is None else str(option)
