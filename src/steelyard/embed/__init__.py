"""Texts to unit vectors.

`BertEmbedder` is in `steelyard.embed.bert`, apart, because its import loads the runtime.
"""

from steelyard.embed.hashing import HashingEmbedder
from steelyard.embed.options import EmbedOptions

__all__ = ["EmbedOptions", "HashingEmbedder"]
