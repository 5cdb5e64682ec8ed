"""A live comparison's challenger: read from a file, checked, and opened beside the champion."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.app import App
from steelyard.arms.specs import BUILT_IN, ArmSpec, read_arms
from steelyard.bundle import Bundle
from steelyard.core.errors import InputError, SetupError
from steelyard.infra.concurrent import compute

_REPAIR = "change the file, or remove serve.challenger"
_BASES = ("rag", "base")


@dataclass(frozen=True, slots=True)
class Challenger:
    """`options` are what its file changes, over the home's own settings."""

    name: str
    share: float
    options: Mapping[str, Any]
    bundle: Bundle


def read_challenger(app: App) -> Challenger | None:
    """Return the challenger that the settings name; None: they name none.

    Raises:
        SetupError: the file cannot be read, has not one arm, or one that cannot stand beside the
            champion; says why.
    """
    serve = app.settings.serve
    if not serve.challenger:
        return None
    path = Path(serve.challenger).expanduser()
    try:
        specs = read_arms("", file=path)
    except InputError as error:
        raise SetupError(f"serve.challenger: {error}; {_REPAIR}") from error
    if len(specs) != 1:
        names = ", ".join(spec.name for spec in specs)
        raise SetupError(f"serve.challenger: {path} has {len(specs)} arms ({names}); leave one")
    (spec,) = specs
    if fault := _fault(spec):
        raise SetupError(f"serve.challenger: {path}: [{spec.name}] {fault}; {_REPAIR}")
    try:
        bundle = app.variant(spec.options, live=True)
    except SetupError as error:
        raise SetupError(f"serve.challenger: {path}: [{spec.name}]: {error}") from error
    return Challenger(spec.name, serve.challenger_share, spec.options, bundle)


async def begun(app: App, challenger: Challenger) -> int:
    """Load what a first question would wait for; return the key of the comparison.

    Raises:
        SetupError: the challenger's parts cannot be loaded, or it is the champion under another
            name.
    """
    await compute(app.workers.query, _warm_up, challenger.bundle)
    if challenger.bundle.name == app.bundle:
        raise SetupError(
            f"serve.challenger: [{challenger.name}] answers exactly as the champion does; {_REPAIR}"
        )
    return await compute(
        app.workers.query,
        app.store.open_experiment,
        challenger.name,
        share=challenger.share,
        champion=app.bundle,
        challenger=challenger.bundle.name,
        options=challenger.options,
    )


def _warm_up(bundle: Bundle) -> None:
    _ = bundle.answering
    _ = bundle.name


def promotion(options: Mapping[str, Any]) -> str:
    """Return the lines of `settings.toml` that make a challenger the champion."""
    tables: dict[str, list[str]] = {}
    for key, value in sorted(options.items()):
        group, name = key.split(".", 1)
        tables.setdefault(group, []).append(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n\n".join(f"[{group}]\n" + "\n".join(lines) for group, lines in tables.items())


def _fault(spec: ArmSpec) -> str:
    """Return why an arm cannot be a challenger; "" if it can."""
    if not spec.answers or spec.gold:
        return f"does not answer as a server must; base it on {' or '.join(_BASES)}"
    if spec.home:
        return "has a home of its own; a challenger answers from this one"
    if spec.k != BUILT_IN["rag"].k:
        return "changes k, which each question brings along; weigh it by `steelyard eval replay`"
    for key in spec.options:
        if key.startswith("serve."):
            return f"changes {key}, which is the server's, not an answer's"
        if key.startswith("cache."):
            return f"changes {key}, but both sides share one cache"
    return ""
