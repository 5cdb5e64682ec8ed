"""Measures: values that print as they parse. Retrieval, answers, citations, effort, judges."""

from steelyard.evals.measures.measure import Meaning
from steelyard.evals.measures.names import (
    known_measures,
    parse_measure,
    parse_measures,
    values_of,
)

__all__ = ["Meaning", "known_measures", "parse_measure", "parse_measures", "values_of"]
