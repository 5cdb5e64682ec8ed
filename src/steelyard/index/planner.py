"""How to answer a filtered question: through the graph with oversampling, or by a scan.

usearch cannot filter while it walks, and filtering afterwards loses answers: at 100,000
vectors a 1 % filter left recall@10 at .40. So a walk asks for enough candidates, and counts
only if (a little over) k of them are allowed: then they are the k best allowed ones, for everything
that the walk left out is farther away. Otherwise the question moves on to the exact scan.
"""

from math import cbrt, ceil

# Measured at 100,000 rows of 384 dimensions on two busy cores (bench/index_100k.py, costs_us):
# an exact scan takes .3 to .5 µs a row, with or without copying it together, and a walk 9 to
# 13 µs a candidate. Only their ratio counts.
SCAN_US_PER_ROW = 0.4
WALK_US_PER_CANDIDATE = 10.0
# A filter that is independent of the vectors leaves k allowed among k / share candidates on
# average; with this factor and this margin nearly always.
_SURPLUS = 1.5
_MARGIN = 16
_WIDENING = 4
_WIDTH = 3.0  # candidates for each unit of the cube root of the rows
LEXICAL_WALK_LIMIT = 16_384  # hits, 0.5 µs each; a filter inside the query costs 2 to 10 ms


def walks(*, k: int, num_allowed: int, num_total: int, least: int) -> tuple[int, ...]:
    """Return the candidate counts to try before the exact scan, smallest first.

    Together they cost at most what the scan of `num_allowed` rows costs; empty means: scan.
    `num_total` counts what the graph can return, `least` is the width of its cheapest walk.
    """
    budget_us = num_allowed * SCAN_US_PER_ROW
    counts: list[int] = []
    count = max(least, oversampled(k, num_allowed=num_allowed, num_total=num_total))
    while count < num_total and count * WALK_US_PER_CANDIDATE <= budget_us:
        counts.append(count)
        budget_us -= count * WALK_US_PER_CANDIDATE
        count *= _WIDENING
    return tuple(counts)


def narrowest(num_total: int, *, least: int) -> int:
    """Return the width of the cheapest walk that still finds some .99 of the 10 nearest.

    A walk of one width finds less in a larger graph. Widths for .99, measured (bench/growth.py):
    64 candidates at 10,000 rows, between 192 and 256 at 400,000, which the cube root fits.
    """
    return max(least, ceil(_WIDTH * cbrt(num_total)))


def oversampled(k: int, *, num_allowed: int, num_total: int) -> int:
    """Return how many unfiltered candidates should hold k allowed ones, if independent."""
    dilution = max(1.0, num_total / max(num_allowed, 1))
    return ceil(k * _SURPLUS * dilution) + _MARGIN


def enough(k: int) -> int:
    """Return how many allowed candidates a walk must find to be believed.

    A few more than k, because candidates come in the order of their int8 codes, which may
    swap neighbours at the border.
    """
    return k + k // 8 + 1
