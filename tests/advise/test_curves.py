"""Measured curves go through their points and rise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.advise.cells import Origin, leaf
from steelyard.advise.curves import Curve, chunks_within, curve, curve_names, most_chunks

HERE = Origin("a test", "made up")
LINE = Curve("line", "MB", ((1_000, 10), (2_000, 30)), True, HERE)
LOG = Curve("log", "ms", ((1_000, 1), (10_000, 2)), False, HERE)


def at(one: Curve, chunks: float) -> float:
    return float(one.values(np.array([chunks]))[0])


def test_a_line_grows_by_so_much_a_chunk_also_beyond_its_points():
    assert [at(LINE, chunks) for chunks in (1_000, 1_500, 2_000, 4_000)] == [10, 20, 30, 70]


def test_a_curve_in_logarithms_doubles_with_each_ten_and_does_not_fall_below_its_first_point():
    assert [at(LOG, chunks) for chunks in (10, 1_000, 10_000, 1e6)] == pytest.approx([1, 1, 2, 8])


@pytest.mark.parametrize("name", curve_names())
def test_a_curve_goes_through_what_was_measured(name: str):
    one = curve(name)
    for chunks, value in one.points:
        assert at(one, chunks) == pytest.approx(value)
    assert one.origin.source
    assert one.origin.seen


chunk_counts = st.floats(1, 1e10)


@pytest.mark.parametrize("name", curve_names())
@given(chunk_counts, chunk_counts)
def test_more_chunks_never_take_less(name: str, one: float, other: float):
    fewer, more = sorted((one, other))
    assert 0 < at(curve(name), fewer) <= at(curve(name), more) * (1 + 1e-12)


@given(st.floats(10, 1e6))
def test_what_fits_is_the_inverse_of_the_curve(limit: float):
    chunks = most_chunks(limit, LINE, per_chunk=0.01)
    if chunks:
        assert at(LINE, chunks) + 0.01 * chunks == pytest.approx(limit, rel=1e-6)


def test_nothing_fits_where_one_chunk_is_over_the_limit():
    assert most_chunks(0.5, LOG) == 0


def test_what_fits_leads_to_the_measured_points():
    cell = chunks_within(leaf("limit", 4, "ms", HERE), LOG)
    assert cell.point == pytest.approx(100_000)
    assert [one.name for one in cell.inputs] == [
        "limit", "log at 1,000 chunks", "log at 10,000 chunks",
    ]  # fmt: skip
