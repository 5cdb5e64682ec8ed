"""Search: dense and lexical legs at once, fused, and read back from the truth."""

from steelyard.retrieve.fuse import fuse_rrf
from steelyard.retrieve.search import RetrieveOptions, Retriever, check_query

__all__ = ["RetrieveOptions", "Retriever", "check_query", "fuse_rrf"]
