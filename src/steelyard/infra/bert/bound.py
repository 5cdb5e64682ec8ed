"""What an adapter's binding changes about its base: whether it fits, and how many layers count."""

from dataclasses import replace
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.infra.bert.config import ModelCard, read_card
from steelyard.infra.binding import base_model, check_base, read_binding


def bound_card(path: Path, *, adapter: Path | None = None) -> ModelCard:
    """Return a model directory's word on itself, with no more layers than the adapter uses.

    A foreign adapter, without `steelyard.json`, uses all of them, and is not checked here.

    Raises:
        SetupError: a file is missing or damaged, or the adapter was trained on another base.
    """
    card = read_card(path)
    binding = read_binding(adapter) if adapter else None
    if binding is None:
        return card
    check_base(binding, base_model(path, name=path.name), artefact=str(adapter))
    if not 0 <= binding.layers <= card.architecture.layers:
        raise SetupError(
            f"adapter {str(adapter)!r} is bound to {binding.layers} layers, but its base "
            f"{path.name!r} has {card.architecture.layers}; train it again"
        )
    if not binding.layers:
        return card
    return replace(card, architecture=replace(card.architecture, layers=binding.layers))
