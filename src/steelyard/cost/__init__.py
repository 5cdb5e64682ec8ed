"""What things cost: the price book, and what was used in dollars."""

from steelyard.cost.book import Book
from steelyard.cost.meter import (
    Bill,
    ModelPrices,
    Part,
    Rates,
    Used,
    answer_bill,
    machine_bill,
    training_bill,
    used_by,
)

__all__ = [
    "Bill",
    "Book",
    "ModelPrices",
    "Part",
    "Rates",
    "Used",
    "answer_bill",
    "machine_bill",
    "training_bill",
    "used_by",
]
