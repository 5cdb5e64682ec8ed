"""BERT-family encoders without torch: safetensors in, a fused ONNX session out."""

from steelyard.infra.bert.build import BuiltEncoder, ready_encoder, ready_reader, ready_scorer
from steelyard.infra.bert.config import ModelCard, read_card
from steelyard.infra.bert.pairs import Pair, PairTemplate
from steelyard.infra.bert.session import (
    EncoderSession,
    ReaderSession,
    ScorerSession,
    SessionOptions,
    open_reader,
    open_scorer,
    open_session,
)
from steelyard.infra.bert.tokenizer import BertTokenizer, open_tokenizer

__all__ = [
    "BertTokenizer",
    "BuiltEncoder",
    "EncoderSession",
    "ModelCard",
    "Pair",
    "PairTemplate",
    "ReaderSession",
    "ScorerSession",
    "SessionOptions",
    "open_reader",
    "open_scorer",
    "open_session",
    "open_tokenizer",
    "read_card",
    "ready_encoder",
    "ready_reader",
    "ready_scorer",
]
