"""Late interaction: how much each comparison of a question's tokens with a passage's counts.

Every token of the question has a weight; weights add up to 1. A passage's score is the sum of
`scale` times the weighted mean of each token's best cosine in the whole passage (Khattab & Zaharia,
ColBERT, SIGIR 2020), `window_scale` times the same within the best stretch of `window` tokens,
`exact` times the weighted mean of n / (n + 1.2), n being how often the passage has the token itself
(BM25's saturation at its usual k1, Robertson & Zaragoza 2009), and `adjacent` times the share of
the question's neighbouring tokens that are neighbours in the passage, each pair counting as the
root of its weights' product.

Stretches begin at every sixth token and end `window` later or with the passage.
"""

from dataclasses import dataclass

WINDOW_STEP = 6
SATURATION = 1.2


@dataclass(frozen=True, slots=True)
class LateScoring:
    """`window` is in tokens."""

    scale: float
    window: int = 24
    window_scale: float = 0.0
    exact: float = 0.0
    adjacent: float = 0.0

    @property
    def mix(self) -> tuple[float, float, float, float]:
        """Return how much each comparison counts, in the order of this module's text."""
        return self.scale, self.window_scale, self.exact, self.adjacent

    @property
    def least(self) -> float:
        """Return the score of a passage with nothing to compare: all cosines -1, no token equal."""
        return -self.scale - self.window_scale
