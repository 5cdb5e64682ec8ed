"""Scores of passages against a question.

`CrossEncoder` is in `steelyard.rerank.cross_encoder`, apart, because its import loads the runtime.
"""

from steelyard.rerank.endpoint import EndpointReranker, is_endpoint
from steelyard.rerank.options import RerankOptions

__all__ = ["EndpointReranker", "RerankOptions", "is_endpoint"]
