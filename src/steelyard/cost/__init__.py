"""What things cost: the price book, and what was used in dollars."""

from steelyard.cost.book import Book

__all__ = ["Book"]
