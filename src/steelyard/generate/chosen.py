"""Which weights the reader's options stand for."""

from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.core.tuning import TuneKind
from steelyard.generate.options import ReaderOptions
from steelyard.infra.binding import base_model, check_base, read_binding
from steelyard.infra.models import DEFAULT_MODEL, find_model

DEFAULT = "default"
SHIPPED = Path(__file__).parents[1] / "models" / "reader"
MAX_TOKENS = 144  # where neither options nor adapter say


@dataclass(frozen=True, slots=True)
class Chosen:
    """A base on this disk, its adapter if it has one, and how much is read at once."""

    base: Path
    adapter: Path | None
    max_tokens: int


def choose_reader(options: ReaderOptions, *, allow_download: bool = False) -> Chosen:
    """Return what `options` name, with what the adapter says where they say nothing.

    Raises:
        SetupError: the model or its adapter is missing, the adapter is no reader, or it was
            trained on another base.
    """
    shipped = options.model.strip() == DEFAULT
    name = DEFAULT_MODEL if shipped else options.model
    base = find_model(name, allow_download=allow_download)
    adapter = Path(options.adapter).expanduser() if options.adapter else None
    if adapter is None and shipped:
        adapter = SHIPPED
    binding = read_binding(adapter) if adapter else None
    if binding is not None:
        if binding.kind is not TuneKind.READER:
            raise SetupError(
                f"reader.adapter {str(adapter)!r} is a trained {binding.kind}, not a reader; "
                "give the artefact of a reader"
            )
        check_base(binding, base_model(base, name=name), artefact=str(adapter))
    trained = binding.max_tokens if binding else MAX_TOKENS
    return Chosen(base, adapter, options.max_tokens or trained)
