"""Scores of passages against a question.

`CrossEncoder` is in `steelyard.rerank.cross_encoder` and `LateInteraction` in
`steelyard.rerank.late`, apart, because their import loads the runtime.
"""

from steelyard.rerank.chosen import choose
from steelyard.rerank.endpoint import EndpointReranker, is_endpoint
from steelyard.rerank.options import RerankOptions

__all__ = ["EndpointReranker", "RerankOptions", "choose", "is_endpoint"]
