"""A number's formula, unit and inputs are those that computed it."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.advise.cells import Cell, Origin, ceil, largest, leaf, total, trace, walk
from steelyard.advise.units import Unit
from steelyard.core.errors import InputError

HERE = Origin("a test", "made up")


def number(name: str, value: float, unit: str = "1") -> Cell:
    return leaf(name, value, unit, HERE)


@pytest.mark.parametrize("text", ["USD/Mtoken", "1", "1/month", "USD*token/Mtoken/question"])
def test_a_unit_reads_as_it_prints(text: str):
    assert str(Unit.parse(text)) == text


@pytest.mark.parametrize("text", ["", "USD//month", "*a"])
def test_a_unit_without_a_name_is_named(text: str):
    with pytest.raises(InputError, match="lacks a name"):
        Unit.parse(text)


def test_units_cancel():
    usd = number("questions", 3, "question/month") * number("each", 2, "USD/question")
    assert str(usd.unit) == "USD/month"
    assert usd.point == 6


def test_adding_what_is_in_other_units_is_a_bug_of_ours():
    with pytest.raises(AssertionError, match="in USD/month \\+ b in USD"):
        number("a", 1, "USD/month") + number("b", 1, "USD")


def test_a_name_with_another_unit_is_a_bug_of_ours():
    with pytest.raises(AssertionError, match="not in USD"):
        number("a", 1, "USD/month").named("b", "USD")


small = st.floats(0.1, 100, allow_nan=False)


@given(small, small, small)
def test_what_a_formula_says_is_what_it_computes(a: float, b: float, c: float):
    one, two, three = number("a", a), number("b", b), number("c", c)
    for cell in (
        (one + two) * three,
        one - (two - three),
        one / (two * three),
        one / two / three,
        (1.0 - one) ** number("d", 2),
        one * (two + three) - one * two,
    ):
        names = {"a": a, "b": b, "c": c, "d": 2.0}
        text = re.sub(r"\^", "**", cell.formula.replace("×", "*"))
        assert eval(text, {}, names) == pytest.approx(cell.point)


def test_whole_machines_and_sums_over_months():
    per_month = leaf("usd", np.array([[1.0, 2.0, 3.0]]), "USD/month", HERE)
    assert total(per_month).point == 6
    assert str(total(per_month).unit) == "USD"
    assert ceil(number("a", 2.0000000001)).point == 2
    assert ceil(number("a", 2.1)).point == 3
    assert largest(number("a", 1), number("b", 4)).formula == "max(a, b)"


def test_a_trace_leads_from_a_number_to_every_input_with_its_source():
    usd = (number("a", 2) * number("b", 3)).named("usd", "1")
    whole = (usd + number("c", 1)).named("whole", "1")
    assert [cell.name for cell in walk([whole])] == ["a", "b", "usd", "c", "whole"]
    found = trace([whole])
    assert found["whole"] == {
        "value": 7.0,
        "unit": "1",
        "formula": "usd + c",
        "inputs": ["usd", "c"],
    }
    assert found["a"]["origin"]["source"] == "made up"


def test_two_numbers_of_one_name_are_a_bug_of_ours():
    with pytest.raises(AssertionError, match="two numbers named a"):
        trace([number("a", 1) + number("a", 2)])
