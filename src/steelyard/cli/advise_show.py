"""What `steelyard advise` prints: the verdict first, then what it rests on."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from rich.markup import escape
from rich.table import Table

from steelyard.advise import Advice
from steelyard.cli.show import out
from steelyard.core.errors import NotFound

_MOST_FLIPS, _MOST_SWINGS, _MOST_BREAKS, _MOST_ASSUMED = 6, 6, 6, 5
_SMALL = 0.01


def show_advice(found: Advice) -> None:
    scenario = found.question.scenario
    out.print(f"[bold]{escape(scenario.title or scenario.name)}[/]")
    out.print(escape(_basis(found)), style="dim")
    out.print()
    out.print(_verdict(found))
    for reason in found.reasons:
        out.print(f"  · {escape(reason)}")
    out.print()
    out.print(_options(found))
    for title, lines in (
        ("What would flip it (the smallest change first)", _flips(found)),
        ("What moves its cost most", _swings(found)),
        ("Break-even", _breaks(found)),
        ("Published rules of thumb", _checks(found)),
        ("Measure first (by how much of the draws it moves the choice)", _to_measure(found)),
        ("Know that", iter(found.warnings)),
    ):
        _section(title, list(lines))


def show_formula(found: Advice, name: str) -> None:
    """Print how a number came about, down to every source.

    Raises:
        NotFound: there is no such number; names those that are near.
    """
    known = found.formulas
    if name not in known:
        near = get_close_matches(name, known, n=4, cutoff=0.3)
        raise NotFound(
            f"there is no number {name!r}; near it: {', '.join(near) or list(known)[:4]}"
        )
    for line in _lines(known, name, depth=0, told=set()):
        out.print(line)


def short(amount: float) -> str:
    """Return an amount as a person reads it: cents below ten, 3 digits above 100,000."""
    for over, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(amount) >= over:
            return f"{amount / (over if unit != 'k' else 1e3):.3g}{unit}"
    return f"{amount:,.2f}" if abs(amount) < 10 else f"{amount:,.0f}"


def _basis(found: Advice) -> str:
    measured = found.question.measured
    return (
        f"{measured.measure}: {measured.source}; prices of {found.question.prices.on}; "
        f"{found.question.scenario.choices.months} months; {found.draws:,} draws"
    )


def _verdict(found: Advice) -> str:
    if found.recommended is None:
        return (
            f"[bold red]Nothing meets the conditions[/] (in {found.probability:.0%} of the draws)"
        )
    name = escape(str(found.recommended))
    if not found.tie:
        return f"[bold green]Take {name}[/]: right in {found.probability:.0%} of the draws"
    rivals = [f"{escape(str(one))} ({_share(found, one):.0%})" for one in found.rivals]
    if found.none_share >= 1 - 0.95:
        rivals.append(f"nothing allowed ({found.none_share:.0%})")
    against = ", ".join(rivals) or "all others together"
    return f"[bold yellow]A tie[/]: {name} ({found.probability:.0%}) against {against}"


def _share(found: Advice, option: object) -> float:
    return next(row.share for row in found.rows if row.option == option)


def _options(found: Advice) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name in ("way", "a month", "once", "in all", "5–95 %", "per k", "quality", "wait ms",
                 "chosen"):  # fmt: skip
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=True)
    for row in found.rows:
        name = f"{row.option}{' *' if row.on_frontier else ''}"
        style = "dim" if row.excluded else "bold" if row.option == found.recommended else ""
        value, low, high = row.total_usd
        table.add_row(
            name,
            short(row.monthly_usd),
            short(row.one_time_usd),
            short(value),
            f"{short(low)}–{short(high)}",
            short(row.per_1000_usd),
            f"{row.quality[0]:.3f}",
            f"{row.first_word_ms[0]:,.0f}",
            "–" if row.excluded else f"{row.share:.0%}",
            style=style,
        )
    table.caption = (
        "US dollars, per k: a thousand questions; wait: p95 of the first word; "
        "* no other way is cheaper, better and quicker"
    )
    table.caption_justify = "left"
    return table


def _section(title: str, lines: list[str]) -> None:
    if not lines:
        return
    out.print()
    out.print(f"[bold]{title}[/]")
    for line in lines:
        out.print(f"  · {escape(line)}")


def _flips(found: Advice) -> Iterator[str]:
    for flip in found.flips[:_MOST_FLIPS]:
        to = "nothing is allowed" if flip.to is None else f"{flip.to}"
        yield f"{flip.input} {_number(flip.now)} → {_number(flip.value)}: {to}"


def _swings(found: Advice) -> Iterator[str]:
    for one in found.swings[:_MOST_SWINGS]:
        yield (
            f"{one.input} from {_number(one.low)} to {_number(one.high)}: "
            f"{short(one.total_at_low)} to {short(one.total_at_high)}"
        )


def _breaks(found: Advice) -> Iterator[str]:
    for one in found.volumes.breaks[:_MOST_BREAKS]:
        yield (
            f"from {short(one.questions_per_day)} questions a day on ({short(one.low)} to "
            f"{short(one.high)}) {one.cheaper} costs less than {one.dearer}"
        )


def _checks(found: Advice) -> Iterator[str]:
    for one in found.checks:
        if one.applies:
            mark = "agrees" if one.agrees else "the figures disagree"
            yield f"{one.rule}: {mark}"


def _to_measure(found: Advice) -> Iterator[str]:
    by_command: dict[str, list[str]] = {}
    for one in found.to_measure[:_MOST_ASSUMED]:
        if one.gap >= _SMALL:
            by_command.setdefault(one.measure, []).append(f"{one.input} ({one.gap:.0%})")
    for command, inputs in by_command.items():
        how = f": {command}" if command else ": yours to know"
        yield f"{', '.join(inputs)}{how}"


def _number(value: float) -> str:
    return short(value) if abs(value) >= 1_000 else f"{value:.3g}"


def _lines(
    known: Mapping[str, Mapping[str, Any]], name: str, *, depth: int, told: set[str]
) -> Iterator[str]:
    row, indent = known[name], "  " * depth
    value = row["value"]
    shown = (
        f"{_exact(value[0])} … {_exact(value[-1])}" if isinstance(value, list) else _exact(value)
    )
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    again = name in told
    told.add(name)
    if "origin" in row:
        origin = row["origin"]
        seen = ", ".join(filter(None, (origin["source"], origin["mark"], origin["seen"])))
        yield f"{indent}[bold]{escape(name)}[/] = {shown}{escape(unit)}  [dim]{escape(seen)}[/]"
        return
    yield f"{indent}[bold]{escape(name)}[/] = {shown}{escape(unit)} = {escape(row['formula'])}"
    if not again:
        for one in row["inputs"]:
            yield from _lines(known, one, depth=depth + 1, told=told)


def _exact(value: float) -> str:
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.6g}"
