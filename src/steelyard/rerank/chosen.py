"""Which weights and numbers the options of this room stand for."""

import math
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.core.late import LateScoring
from steelyard.core.tuning import Binding, TuneKind
from steelyard.infra.binding import BINDING_FILE, read_binding
from steelyard.infra.models import DEFAULT_MODEL, find_model
from steelyard.rerank.options import MAX_TOKENS, RerankOptions

DEFAULT = "default"
SHIPPED = Path(__file__).parents[1] / "models" / "reranker"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A base on this disk, its adapter if it has one, and how pairs are made and scores used."""

    base: Path
    adapter: Path | None
    max_tokens: int
    first_stage: float
    late: LateScoring | None = None  # None: pairs are scored by a cross-encoder


def choose(options: RerankOptions, *, allow_download: bool = False) -> Chosen:
    """Return what `options` name, with what the adapter says where they say nothing.

    Raises:
        SetupError: the model or its adapter is missing, is no reranker, or both are named.
    """
    shipped = options.model.strip() == DEFAULT
    if shipped and options.adapter:
        raise SetupError(
            f"rerank.model {DEFAULT!r} has its own adapter; to use {options.adapter!r}, set "
            f"rerank.model to the base that it was trained on, such as {DEFAULT_MODEL}"
        )
    name = DEFAULT_MODEL if shipped else options.model
    base = find_model(name, allow_download=allow_download)
    adapter = Path(options.adapter).expanduser() if options.adapter else None
    adapter = SHIPPED if shipped else adapter
    binding = read_binding(adapter) if adapter else None
    if binding is not None and binding.kind is not TuneKind.RERANKER:
        raise SetupError(
            f"rerank.adapter {str(adapter)!r} is a trained {binding.kind}, not a reranker; "
            "give the artefact of a reranker"
        )
    return Chosen(
        base=base,
        adapter=adapter,
        max_tokens=options.max_tokens or (binding.max_tokens if binding else MAX_TOKENS),
        first_stage=_first_stage(options, binding),
        late=_late(binding),
    )


def check_length(chosen: Chosen, options: RerankOptions, *, least: int, most: int) -> None:
    """Raise SetupError for a `rerank.max_tokens` that the model cannot have."""
    if not least <= chosen.max_tokens <= most:
        raise SetupError(
            f"rerank.max_tokens {chosen.max_tokens} does not suit model {options.model!r}; set "
            f"{least} to {most}"
        )


def _first_stage(options: RerankOptions, binding: Binding | None) -> float:
    told = options.first_stage
    return _number(binding, "first_stage") if told is None else told


def _late(binding: Binding | None) -> LateScoring | None:
    """Return how late interaction scores by an adapter; None: it was not trained for it."""
    if not (scale := _number(binding, "scale")):
        return None
    return LateScoring(
        scale=scale,
        window=max(1, int(_number(binding, "window"))),
        window_scale=_number(binding, "window_scale"),
        exact=_number(binding, "exact"),
        adjacent=_number(binding, "adjacent"),
    )


def _number(binding: Binding | None, name: str) -> float:
    """Return a number that belongs to an adapter's weights, 0 if it has none.

    Raises:
        SetupError: it is no number from 0 on.
    """
    value = binding.settings.get(name, 0.0) if binding else 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise SetupError(
            f"the adapter's {BINDING_FILE} has settings.{name} = {value!r}, where a number from 0 "
            "on is needed; train it again"
        )
    return float(value)
