"""Search: dense and lexical legs at once, fused, read back from the truth, and reranked; then
what a generator is given of it."""

from steelyard.retrieve.context import Context, ContextBuilder, ContextOptions
from steelyard.retrieve.fuse import fuse_convex, fuse_rrf
from steelyard.retrieve.questions import QuestionEmbedder
from steelyard.retrieve.reranking import Reranking
from steelyard.retrieve.search import RetrieveOptions, Retriever, check_query

__all__ = [
    "Context",
    "ContextBuilder",
    "ContextOptions",
    "QuestionEmbedder",
    "Reranking",
    "RetrieveOptions",
    "Retriever",
    "check_query",
    "fuse_convex",
    "fuse_rrf",
]
