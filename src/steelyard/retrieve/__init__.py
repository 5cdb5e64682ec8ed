"""Search: dense and lexical legs at once, fused, read back from the truth, and reranked."""

from steelyard.retrieve.fuse import fuse_rrf
from steelyard.retrieve.questions import QuestionEmbedder
from steelyard.retrieve.reranking import Reranking
from steelyard.retrieve.search import RetrieveOptions, Retriever, check_query

__all__ = [
    "QuestionEmbedder",
    "Reranking",
    "RetrieveOptions",
    "Retriever",
    "check_query",
    "fuse_rrf",
]
