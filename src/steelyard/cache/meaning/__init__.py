"""Does one answer serve two questions? By rule: deterministic, no model, microseconds.

A question is cut into tokens, phrases of one meaning are written in one way, the frame ("how
do I", "what is the way to") is taken off, and what is left must be the same on both sides: the
same items, in the same relations. Whatever is not understood counts as a difference.
"""

from dataclasses import dataclass

from steelyard.cache.meaning.comparing import difference
from steelyard.cache.meaning.reading import read

__all__ = ["Meaning", "Verdict"]

LONGEST = 600  # characters; a longer text is not a question whose every word is understood


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` names the difference that was found; empty when there is none."""

    same: bool
    reason: str = ""


class Meaning:
    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def same(self, a: str, b: str, *, cosine: float) -> Verdict:
        """Tell whether an answer to `a` answers `b`; in doubt it does not."""
        if not cosine >= self.threshold:  # NaN is not
            return Verdict(False, "similarity")
        reason = guard(a, b)
        return Verdict(not reason, reason)


def guard(a: str, b: str) -> str:
    """Return what tells the questions apart, whatever their cosine; empty: nothing."""
    if a == b:
        return ""
    if max(len(a), len(b)) > LONGEST:
        return "length"
    first, second = read(a), read(b)
    if not first.items and not second.items:
        return "empty"
    return difference(first, second)
