"""Arms: ways to serve, named in words, opened over a home as production opens it."""

from steelyard.arms.laboratory import Laboratory, Opened
from steelyard.arms.specs import ANSWERING, BUILT_IN, ArmSpec, read_arms

__all__ = [
    "ANSWERING",
    "BUILT_IN",
    "ArmSpec",
    "Laboratory",
    "Opened",
    "read_arms",
]
