"""Finished answers that are served again, only where they are certainly right."""

from steelyard.cache.entry import Entry, Near
from steelyard.cache.memory import AnswerCache, CacheStats
from steelyard.cache.options import CacheOptions
from steelyard.cache.question import normalised

__all__ = ["AnswerCache", "CacheOptions", "CacheStats", "Entry", "Near", "normalised"]
