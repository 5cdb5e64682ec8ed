"""Question sets: read from any usual form, checked, made from a home, reviewed."""

from steelyard.datasets.clusters import clusters
from steelyard.datasets.read import read_set

__all__ = ["clusters", "read_set"]
