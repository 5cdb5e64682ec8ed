"""BERT-family encoders without torch: safetensors in, a fused ONNX session out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steelyard.infra.bert.build import (
        BuiltEncoder,
        ready_encoder,
        ready_reader,
        ready_scorer,
        ready_tokens,
    )
    from steelyard.infra.bert.config import ModelCard, read_card
    from steelyard.infra.bert.pairs import Pair, PairTemplate
    from steelyard.infra.bert.session import (
        EncoderSession,
        ReaderSession,
        ScorerSession,
        SessionOptions,
        TokenSession,
        open_reader,
        open_scorer,
        open_session,
        open_tokens,
    )
    from steelyard.infra.bert.tokenizer import BertTokenizer, PlacedTokens, open_tokenizer

__all__ = [
    "BertTokenizer",
    "BuiltEncoder",
    "EncoderSession",
    "ModelCard",
    "Pair",
    "PairTemplate",
    "PlacedTokens",
    "ReaderSession",
    "ScorerSession",
    "SessionOptions",
    "TokenSession",
    "open_reader",
    "open_scorer",
    "open_session",
    "open_tokenizer",
    "open_tokens",
    "read_card",
    "ready_encoder",
    "ready_reader",
    "ready_scorer",
    "ready_tokens",
]

_HOMES = {
    "build": ("BuiltEncoder", "ready_encoder", "ready_reader", "ready_scorer", "ready_tokens"),
    "config": ("ModelCard", "read_card"),
    "pairs": ("Pair", "PairTemplate"),
    "session": (
        "EncoderSession",
        "ReaderSession",
        "ScorerSession",
        "SessionOptions",
        "TokenSession",
        "open_reader",
        "open_scorer",
        "open_session",
        "open_tokens",
    ),
    "tokenizer": ("BertTokenizer", "PlacedTokens", "open_tokenizer"),
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: training reads cards and tokens without ONNX Runtime."""
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
