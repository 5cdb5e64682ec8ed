"""The published comparison as rows of text and as JSON."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from steelyard.advise.paper import article_title
from steelyard.advise.published import Band, Compared, published, shown
from steelyard.advise.published_today import Total, totals_json
from steelyard.core.errors import NotFound
from steelyard.core.prices import Prices

COLUMNS = ("figure", "published", "its inputs give", "stands")


def published_table(prices: Prices) -> list[tuple[str, ...]]:
    """Return `COLUMNS` and a row a line, as text.

    Raises:
        NotFound: the book lacks a price; names it.
    """
    return [COLUMNS, *(_row(one) for one in published(prices))]


def _row(one: Compared) -> tuple[str, ...]:
    stands = f"{one.verdict.value} {off_text(one)}".strip()
    return (one.line.key, in_unit(one.said), str(one.gives), stands)


def in_unit(band: Band) -> str:
    return str(band) if band.unit == "1" else f"{band} {band.unit}"


def off_text(one: Compared | Total) -> str:
    """Return by how much a figure is missed, as `+12%` or `-5% to +74%`; "" where it is not."""
    if one.verdict.reproduced:
        return ""
    ends = (one.off_low, one.off_high)
    return " to ".join(dict.fromkeys("–" if off is None else f"{off:+.0%}" for off in ends))


def published_line(prices: Prices, key: str) -> list[str]:
    """Return what is said of one figure, and every number behind it, a line each.

    Raises:
        NotFound: there is no such figure; or the book lacks a price.
    """
    found = {one.line.key: one for one in published(prices)}
    if key not in found:
        near = get_close_matches(key, found, n=3, cutoff=0.3) or list(found)
        raise NotFound(f"there is no published figure {key!r}; near it: {', '.join(near)}")
    one = found[key]
    stands = f"{one.verdict.value} {off_text(one)}".strip()
    return [
        one.what,
        f"read as: {one.line.reading}",
        f"published: {in_unit(one.said)}",
        f"its inputs give: {in_unit(one.gives)} ({stands})",
        one.why,
        *(_number(name, row) for name, row in one.formulas.items()),
    ]


def _number(name: str, row: Mapping[str, Any]) -> str:
    ends = row["value"] if isinstance(row["value"], list) else [row["value"]]
    value = " to ".join(shown(end) for end in ends)
    if "formula" in row:
        return f"{name} = {row['formula']} = {value} {row['unit']}"
    origin = row["origin"]
    dated = f", {origin['seen']}" if origin["seen"] else ""
    return f"{name}: {value} {row['unit']} ({origin['source']}{dated})"


def published_json(prices: Prices) -> dict[str, Any]:
    """Return the table with every formula and origin, and both scenarios at the book's prices.

    Raises:
        NotFound: the book lacks a price; names it.
    """
    return {
        "article": article_title(),
        "prices_on": prices.on.isoformat(),
        "lines": [_json(one) for one in published(prices)],
        "scenarios": totals_json(prices),
    }


def _json(one: Compared) -> dict[str, Any]:
    def band(found: Band) -> dict[str, Any]:
        return {"low": found.low, "high": found.high, "unit": found.unit}

    return {
        "key": one.line.key,
        "section": one.line.section,
        "what": one.what,
        "reading": one.line.reading,
        "published": band(one.said),
        "gives": band(one.gives),
        "verdict": one.verdict.value,
        "reproduced": one.verdict.reproduced,
        "off_low": one.off_low,
        "off_high": one.off_high,
        "why": one.why,
        "implied": {name: band(found) for name, found in one.implied.items()},
        "formulas": dict(one.formulas),
    }
