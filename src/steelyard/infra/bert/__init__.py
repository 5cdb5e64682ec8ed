"""BERT-family encoders without torch: safetensors in, a fused ONNX session out."""

from steelyard.infra.bert.build import BuiltEncoder, open_tokenizer, ready_encoder
from steelyard.infra.bert.config import ModelCard, read_card
from steelyard.infra.bert.session import EncoderSession, SessionOptions, open_session

__all__ = [
    "BuiltEncoder",
    "EncoderSession",
    "ModelCard",
    "SessionOptions",
    "open_session",
    "open_tokenizer",
    "read_card",
    "ready_encoder",
]
