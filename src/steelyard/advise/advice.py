"""The advice: the comparison, the choice with its reasons, how sure it is, and what flips it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steelyard.advise.breakeven import Volumes, volumes
from steelyard.advise.cells import Cell, constant, total, trace, walk
from steelyard.advise.choice import NONE, RULE_INPUTS, SURE, frontier, shares
from steelyard.advise.measured import Measured
from steelyard.advise.model import Option, Weighed
from steelyard.advise.rules import Check, checks
from steelyard.advise.sensitivity import Deciding, Flip, Swing, deciding, flips, tornado
from steelyard.advise.solve import Question, Solved, solve

DRAWS = 10_000
THOUSAND = constant("questions_per_thousand", 1_000, "question/kquestion", "a price is for 1,000")


@dataclass(frozen=True, slots=True)
class Row:
    """An option's figures at the point, and the 5th and 95th of 100 draws."""

    option: Option
    monthly_usd: float  # in the first month
    one_time_usd: float
    total_usd: tuple[float, float, float]
    per_1000_usd: float  # the horizon's total over its questions
    quality: tuple[float, float, float]
    first_word_ms: tuple[float, float, float]
    parts: Mapping[str, float]  # over the horizon, one-time amounts included
    share: float  # of the draws in which it is chosen
    on_frontier: bool
    excluded: str  # why it is not allowed whatever the figures; "" else
    gpus: float | None
    formulas: Mapping[str, str]  # a figure's name here, or a part's → its name in the trace


@dataclass(frozen=True, slots=True)
class Advice:
    """`recommended` None: no way meets the conditions. `at_point` is what the rule takes with
    every input at its stated value: what `flips` are changes of, and at times not what most draws
    choose. `tie`: fewer than 95 of 100 draws agree
    with it; `rivals` are the others that are chosen in 5 of 100 or more, `none_share` the draws in
    which nothing is allowed. `formulas` is every number by name: value, unit, formula or origin.
    """

    question: Question
    rows: tuple[Row, ...]
    recommended: Option | None
    at_point: Option | None
    probability: float
    tie: bool
    rivals: tuple[Option, ...]
    none_share: float
    reasons: tuple[str, ...]
    flips: tuple[Flip, ...]
    swings: tuple[Swing, ...]
    volumes: Volumes
    checks: tuple[Check, ...]
    to_measure: tuple[Deciding, ...]
    warnings: tuple[str, ...]
    draws: int
    formulas: Mapping[str, Mapping[str, Any]]


def advise(question: Question, *, draws: int = DRAWS) -> Advice:
    """Weigh the ways of a scenario.

    Raises:
        InputError: the scenario offers no way.
        NotFound: a price is missing; names it.
    """
    at_point = solve(question)
    drawn = solve(question, draws=draws)
    picked = np.broadcast_to(drawn.picked, (draws,))
    chosen = shares(picked, len(drawn.options))
    place = _recommended(at_point, chosen)
    recommended = None if place == NONE else at_point.options[place]
    probability = float(chosen[place]) if place != NONE else float(chosen[-1])
    on_frontier = set(frontier(at_point.table))
    rows = tuple(
        _row(at_point, drawn, one, float(chosen[one]), one in on_frontier)
        for one in range(len(at_point.options))
    )
    rivals = tuple(
        at_point.options[one]
        for one in np.argsort(-chosen[:-1])
        if one != place and chosen[one] >= 1 - SURE
    )
    picked_at_point = int(at_point.picked[0])
    swings = tornado(question, at_point, place if place != NONE else 0)
    return Advice(
        question, rows, recommended,
        None if picked_at_point == NONE else at_point.options[picked_at_point],
        probability,
        tie=probability < SURE,
        rivals=rivals,
        none_share=float(chosen[-1]),
        reasons=tuple(_reasons(at_point, place)),
        flips=tuple(flips(question, at_point)),
        swings=tuple(swings),
        volumes=volumes(question),
        checks=tuple(checks(at_point, recommended)),
        to_measure=tuple(deciding(drawn, place)),
        warnings=tuple(_warnings(at_point)),
        draws=draws,
        formulas=trace(
            [cell for one in at_point.weighed for cell in _shown(one)]
            + [at_point.inputs[key] for key in RULE_INPUTS]
        ),
    )  # fmt: skip


def _recommended(at_point: Solved, chosen: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """Return what most draws choose; of equals, what is chosen at the point."""
    best = int(chosen.argmax())
    at = int(at_point.picked[0])
    if chosen[at if at != NONE else len(chosen) - 1] >= chosen[best]:
        return at
    return best if best < len(chosen) - 1 else NONE


def _shown(one: Weighed) -> Sequence[Cell]:
    return [*_figures(one).values(), *one.parts.values(), *one.setup.values()]


def _figures(one: Weighed) -> dict[str, Cell]:
    """Return the cell of each figure of a row that has a formula or an origin."""
    asked = total(one.questions).named("questions over the horizon", "question")
    found = {
        "monthly_usd": one.monthly,
        "one_time_usd": one.one_time,
        "total_usd": one.total,
        "per_1000_usd": (one.total / asked * THOUSAND).named(
            f"{one.option} a thousand questions", "USD/kquestion"
        ),
        "quality": one.quality,
        "first_word_ms": one.first_word_ms,
    }
    return found if one.gpus is None else found | {"gpus": one.gpus}


def _row(at_point: Solved, drawn: Solved, place: int, share: float, on_frontier: bool) -> Row:
    one = at_point.weighed[place]
    months = at_point.inputs.scenario.choices.months
    parts = {name: _over(cell.value, months) for name, cell in one.parts.items()}
    for name, cell in one.setup.items():
        parts[f"{name}, once"] = float(cell.value[0, 0])
    cells = _figures(one)
    named = cells | one.parts | {f"{name}, once": cell for name, cell in one.setup.items()}
    point = at_point.table
    return Row(
        one.option,
        monthly_usd=float(one.monthly.value[0, 0]),
        one_time_usd=float(one.one_time.value[0, 0]),
        total_usd=_band(point.total_usd, drawn.table.total_usd, place),
        per_1000_usd=cells["per_1000_usd"].point,
        quality=_band(point.quality, drawn.table.quality, place),
        first_word_ms=_band(point.first_word_ms, drawn.table.first_word_ms, place),
        parts=parts,
        share=share,
        on_frontier=on_frontier,
        excluded=next((bar.reason for bar in at_point.barriers if bar.option == one.option), ""),
        gpus=None if one.gpus is None else float(one.gpus.value[0, 0]),
        formulas={name: cell.name for name, cell in named.items()},
    )


def _over(value: Any, months: int) -> float:
    row = value[0]
    return float(row.sum()) if len(row) == months else float(row[0]) * months


def _band(point: Any, drawn: Any, place: int) -> tuple[float, float, float]:
    low, high = np.percentile(drawn[:, place], [5, 95])
    return float(point[0, place]), float(low), float(high)


def _reasons(at_point: Solved, place: int) -> list[str]:
    """Return why the recommended way is chosen, and each other one is not, in sentences."""
    found, scenario = at_point.table, at_point.inputs.scenario
    target, lowest = scenario["latency_target_ms"].value, scenario["min_quality"].value
    worth, tolerance = scenario["worth_usd"].value, scenario["tolerance"].value
    shut = {bar.option: bar.reason for bar in at_point.barriers}
    told: list[str] = []
    if place == NONE:
        told.append("no way meets the conditions")
    for other, option in enumerate(at_point.options):
        cost, quality = found.total_usd[0, other], found.quality[0, other]
        wait = found.first_word_ms[0, other]
        if other == place != int(at_point.picked[0]):
            told.insert(
                0,
                f"{option}: chosen in more draws than any other, though not with every input at "
                f"its stated value; there it costs {cost:,.0f} USD, at a quality of {quality:.3f}",
            )
        elif option in shut:
            told.append(f"{option}: {shut[option]}")
        elif wait > target:
            told.append(f"{option}: the first word takes {wait:,.0f} ms, {target:,.0f} are allowed")
        elif quality < lowest:
            told.append(f"{option}: its quality is {quality:.3f}, {lowest:.3f} is asked for")
        elif other == place:
            told.insert(0, _why(option, cost, quality, worth=worth, tolerance=tolerance))
        elif place != NONE:
            times = cost / found.total_usd[0, place]
            gained = quality - found.quality[0, place]
            told.append(
                f"{option}: {times:,.2f} times the cost ({cost:,.0f} USD), quality {gained:+.3f}"
            )
    return told


def _why(option: Option, cost: float, quality: float, *, worth: float, tolerance: float) -> str:
    if worth > 0:
        return (
            f"{option}: its right answers are worth most after its cost of {cost:,.0f} USD, at a "
            f"quality of {quality:.3f}"
        )
    return (
        f"{option}: the cheapest ({cost:,.0f} USD) of those within {tolerance:g} of the best "
        f"quality that is allowed; its own is {quality:.3f}"
    )


def _warnings(at_point: Solved) -> list[str]:
    found: dict[str, None] = {}
    for one in at_point.weighed:
        for cell in walk([one.total]):
            for warning in cell.origin.warnings if cell.origin else ():
                found[f"{cell.name}: {warning}"] = None
    return [*found, *_unmeasured(at_point.inputs.measured)]


def _unmeasured(measured: Measured) -> Iterator[str]:
    """Yield what was not measured, and how it would be."""
    if measured.assumed:
        yield "nothing was measured: quality and waiting are stated defaults with wide ranges"
        return
    if any(arm.first_word_ms.assumed for arm in measured.arms.values()):
        yield (
            "waiting was not measured, stated defaults count: add p95_ttft_ms to --measures of "
            "`steelyard eval run`"
        )
    asked = [arm for arm in measured.arms.values() if arm.calls_model]
    if any(arm.prompt_tokens is None or arm.answer_tokens is None for arm in asked):
        yield (
            "tokens were not measured for every arm, stated ones count: add prompt_tokens and "
            "completion_tokens to --measures of `steelyard eval run`"
        )
