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
from steelyard.cost.repeats import New, expected_new
from steelyard.cost.rows import price_json

__all__ = [
    "Bill",
    "Book",
    "ModelPrices",
    "New",
    "Part",
    "Rates",
    "Used",
    "answer_bill",
    "expected_new",
    "machine_bill",
    "price_json",
    "training_bill",
    "used_by",
]
