"""Advice on one page: an HTML file of its own, to print or to send to who decides."""

from collections.abc import Callable, Iterable, Sequence
from html import escape

from steelyard.advise.advice import Advice, Row
from steelyard.advise.drawn import curves_svg, key_html
from steelyard.advise.inputs import BY_KEY
from steelyard.advise.model import Option
from steelyard.advise.words import dollars, number, title_of, verdict_of

_STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #15202a; background: #fff; max-width: 900px;
  margin: 24px auto; padding: 0 16px; }
h1 { font-size: 1.5rem; margin: 0 0 4px; } h2 { font-size: 1.05rem; margin: 20px 0 6px; }
p { margin: 6px 0; } .muted { color: #52616d; } .verdict { font-size: 1.15rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 12.5px; }
th, td { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid #cfd7dd;
  vertical-align: top; font-weight: 400; overflow-wrap: anywhere; }
thead th { color: #52616d; overflow-wrap: normal; } .num { text-align: right; }
td.num { white-space: nowrap; }
tbody th { min-width: 15em; } tr.best th { font-weight: 650; }
svg { max-width: 100%; height: auto; }
ul { margin: 4px 0; padding-left: 18px; }
.key { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 18px;
  font-size: 12px; }
.notice { border-left: 3px solid #b0740c; padding: 4px 12px; background: #fbf0cd; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 0 28px; }
@media (max-width: 640px) { .two { display: block; } .wide { overflow-x: auto; } }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; } }
"""
_MOST_FLIPS = 5
_MOST_PRICES = 12


def one_page(advice: Advice) -> str:
    """Return an HTML document that loads nothing and runs nothing."""
    scenario = advice.question.scenario
    months = scenario.choices.months
    title = scenario.title or scenario.name
    banded = tuple(one for one in (advice.recommended, *advice.rivals) if one)[:2]
    body = [
        f"<h1>What answering costs: {escape(scenario.name)}</h1>",
        f'<p class="muted">{escape(title)}. Prices of {advice.question.prices.on}, '
        f"{months} months, {advice.draws:,} draws; measured: "
        f"{escape(advice.question.measured.source)}.</p>",
        f'<p class="verdict">{escape(verdict_of(advice))}</p>',
        _assumed(advice),
        _table(advice),
        "<h2>Cost by volume</h2>",
        curves_svg(advice.volumes, banded, months),
        key_html(tuple(row.option for row in advice.rows)),
        _breaks(advice, banded),
        f'<div class="two"><div>{_why(advice)}</div><div>{_flips(advice)}</div></div>',
        _given(advice),
        _sources(advice),
        _warned(advice),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Costs: {escape(scenario.name)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _assumed(advice: Advice) -> str:
    if not advice.question.measured.assumed:
        return ""
    command = next((one.measure for one in advice.to_measure if one.measure), "")
    told = f" <code>{escape(command)}</code> measures them." if command else ""
    return (
        '<p class="notice">Nothing was measured: quality and waiting are stated defaults, with '
        f"wide ranges.{told}</p>"
    )


def _table(advice: Advice) -> str:
    months = advice.question.scenario.choices.months
    heads = ["Way", "First month, USD", "Once, USD",
             f"{months} months, USD", "1,000 questions, USD", "Quality", "First word, p95 ms",
             "Chosen in draws"]  # fmt: skip
    rows = [_cells(row, best=row.option == advice.recommended) for row in advice.rows]
    head = "".join(
        f'<th scope="col"{" class=num" if place else ""}>{escape(name)}</th>'
        for place, name in enumerate(heads)
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="muted">◆ no other way is '
        "cheaper, better and quicker at once. Below a figure: between which values 90 of 100 "
        "draws lie; the figure itself is at the stated values.</p>"
    )


def _cells(row: Row, *, best: bool) -> str:
    figures = [
        dollars(row.monthly_usd),
        dollars(row.one_time_usd),
        _with_band(row.total_usd, dollars),
        dollars(row.per_1000_usd),
        _with_band(row.quality, "{:.3f}".format),
        _with_band(row.first_word_ms, "{:,.0f}".format),
        f"{100 * row.share:.0f} %",
    ]
    mark = (" ★" if best else "") + (" ◆" if row.on_frontier else "")
    small = f'<br><span class="muted">{escape(row.excluded)}</span>' if row.excluded else ""
    cells = "".join(f'<td class="num">{one}</td>' for one in figures)
    return (
        f'<tr{" class=best" if best else ""}><th scope="row">{escape(title_of(row.option))}{mark}'
        f"{small}</th>{cells}</tr>"
    )


def _with_band(band: tuple[float, float, float], written: Callable[[float], str]) -> str:
    value, low, high = (written(one) for one in band)
    return f'{value}<br><span class="muted">{low} – {high}</span>'


def _breaks(advice: Advice, banded: Sequence[Option]) -> str:
    found = [
        f"From {number(one.questions_per_day)} questions a day on "
        f"({number(one.low)} – {number(one.high)}), "
        f"{title_of(one.cheaper)} costs less than {title_of(one.dearer)}."
        for one in advice.volumes.breaks
        if one.cheaper in banded and one.dearer in banded
    ]
    if not found and len(banded) > 1:
        low, high = advice.volumes.questions_per_day[[0, -1]]
        found = [
            f"Between {number(low)} and {number(high)} questions a day, the same one costs less."
        ]
    return _list(found)


def _why(advice: Advice) -> str:
    return f"<h2>Why</h2>{_list(_titled(advice, one) for one in advice.reasons)}"


def _titled(advice: Advice, reason: str) -> str:
    """Return a reason with the option's name for people."""
    for row in advice.rows:
        if reason.startswith(f"{row.option}: "):
            return title_of(row.option) + reason.removeprefix(str(row.option))
    return reason


def _flips(advice: Advice) -> str:
    rows = [
        f"{_input_name(one.input)}: {number(one.now)} → {number(one.value)} leads to "
        f"{title_of(one.to)}"
        for one in advice.flips[:_MOST_FLIPS]
    ]
    about = "<p class=muted>Each alone, all else at its stated value.</p>"
    return f"<h2>What would change the choice</h2>{about}{_list(rows)}"


def _input_name(name: str) -> str:
    spec = BY_KEY.get(name)
    if spec is None:
        return name
    return spec.what if spec.unit == "1" else f"{spec.what} ({spec.unit})"


def _given(advice: Advice) -> str:
    scenario = advice.question.scenario
    given = [
        f"{_input_name(key)}: {number(value.value)}"
        for key, value in scenario.values.items()
        if not value.is_default
    ]
    choices = [
        f"{name}: {value}"
        for name in scenario.choices.__dataclass_fields__
        if (value := getattr(scenario.choices, name)) not in ("", False)
    ]
    return (
        f'<div class="two"><div><h2>What the scenario says</h2>{_list(given)}</div>'
        f"<div><h2>What is bought</h2>{_list(choices)}</div></div>"
    )


def _sources(advice: Advice) -> str:
    rows = [
        f'<tr><th scope="row">{escape(name.removeprefix("price of "))}</th>'
        f'<td class="num">{row["value"]:g} {escape(row["unit"])}</td>'
        f"<td>{escape(row['origin']['source'])}</td>"
        f'<td class="num">{escape(row["origin"]["seen"])}</td></tr>'
        for name, row in advice.formulas.items()
        if name.startswith("price of ") and "origin" in row
    ]
    return f"<h2>Prices used</h2><table>{''.join(rows[:_MOST_PRICES])}</table>" if rows else ""


def _warned(advice: Advice) -> str:
    return f"<h2>To know</h2>{_list(advice.warnings)}" if advice.warnings else ""


def _list(rows: Iterable[str]) -> str:
    found = "".join(f"<li>{escape(row)}</li>" for row in rows)
    return f"<ul>{found}</ul>" if found else '<p class="muted">none</p>'
