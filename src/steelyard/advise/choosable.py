"""What a price book offers for each choice of a scenario."""

from typing import Any

from steelyard.core.prices import Mark, Prices

# Choice → the items' beginning, and the unit that the formulas need.
_ITEMS = {
    "gpu": ("gpu/", "USD/hour"),
    "training": ("tuning/", "USD/Mtoken"),
    "embedding": ("embedding/", "USD/Mtoken"),
    "server": ("server/", "USD/month"),
    "disk": ("storage/", "USD/GB-month"),
    "person": ("person/", "USD/hour"),
}
_PER_TOKEN = "USD/Mtoken"


def choosable(prices: Prices) -> dict[str, list[dict[str, Any]]]:
    """Return the items that each choice may name, with what they cost; ours before list prices.

    `model` is for both choices of a model.
    """
    found = {"model": _models(prices), "vector_db": _databases(prices)}
    for choice, (beginning, unit) in _ITEMS.items():
        rows = [prices.price(item) for item in prices.items(beginning)]
        found[choice] = [
            {"item": row.item, "costs": f"{row.usd:g} {row.unit}"}
            for row in rows
            if row.unit == unit
        ]
    return found


def _models(prices: Prices) -> list[dict[str, Any]]:
    """Return the models that are sold by tokens read and written."""
    items = prices.items("llm/")
    known = set(items)
    found: list[tuple[bool, str, dict[str, Any]]] = []
    for item in items:
        name = item.removeprefix("llm/").removesuffix("/in")
        if not item.endswith("/in") or f"llm/{name}/out" not in known:
            continue
        read, written = prices.price(item, prompt_tokens=1), prices.price(f"llm/{name}/out")
        if {read.unit, written.unit} == {_PER_TOKEN}:
            costs = f"{read.usd:g} in, {written.usd:g} out, {_PER_TOKEN}"
            row = {"item": name, "costs": costs}
            found.append((read.mark is Mark.REPOSITORY, name, row))
    return [row for *_, row in sorted(found, key=lambda one: one[:2])]


def _databases(prices: Prices) -> list[dict[str, Any]]:
    """Return the vector databases with a price by the gigabyte and a least price a month."""
    items = prices.items("vectordb/")
    found = []
    for item in items:
        name = item.removesuffix("/minimum")
        if name == item or f"{name}/storage" not in items:
            continue
        least, stored = prices.price(item), prices.price(f"{name}/storage")
        if (least.unit, stored.unit) == ("USD/month", "USD/GB-month"):
            costs = f"{stored.usd:g} {stored.unit}, at least {least.usd:g} {least.unit}"
            found.append({"item": name, "costs": costs})
    return found
