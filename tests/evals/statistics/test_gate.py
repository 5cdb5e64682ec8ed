"""What a candidate must show, and what never passes silently."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Better, Comparison, Interval, Verdict
from steelyard.evals.statistics import Margin, gate, non_inferior

BETTER = {"nDCG@10": Better.HIGHER, "p95_ms": Better.LOWER}


def compared(measure, value, low, high, *, verdict=Verdict.NO_EVIDENCE, n=300):
    return Comparison(
        measure=measure,
        baseline="old",
        candidate="new",
        delta=Interval(value, low, high, n),
        p=0.01,
        p_holm=0.02,
        test="sign flips of clusters",
        mde=0.01,
        n_needed=None,
        verdict=verdict,
    )


FIGURES = {"old": {"p95_ms": Interval(200.0, 190.0, 215.0, 300)}}


def test_a_shown_gain_of_the_demanded_size_passes_with_its_evidence():
    shown = compared("nDCG@10", 0.021, 0.012, 0.030, verdict=Verdict.BETTER)
    result = gate([shown], {}, candidate="new", better=BETTER, min_delta={"nDCG@10": 0.01})
    assert result.passed
    assert result.reasons[0].sentence == (
        "nDCG@10 changed by +0.021 [+0.012, +0.03] over 300 questions, p 0.02 "
        "(sign flips of clusters, Holm): better"
    )


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.021, Verdict.NO_EVIDENCE),
        (0.021, Verdict.UNDERPOWERED),
        (-0.021, Verdict.WORSE),
        (0.004, Verdict.BETTER),
    ],
)
def test_a_gain_that_is_not_shown_or_too_small_fails(value, verdict):
    one = compared("nDCG@10", value, value - 0.001, value + 0.001, verdict=verdict)
    result = gate([one], {}, candidate="new", better=BETTER, min_delta={"nDCG@10": 0.01})
    assert not result.passed
    assert str(verdict) in result.reasons[0].sentence


def test_a_relative_margin_is_a_share_of_the_baseline():
    slower = compared("p95_ms", 9.0, 1.0, 19.0)
    ten = gate(
        [slower], FIGURES, candidate="new", better=BETTER, margins=[Margin.parse("p95_ms:+10%")]
    )
    assert ten.passed
    assert ten.reasons[0].sentence.endswith("+19 is within +20")
    nine = gate(
        [slower], FIGURES, candidate="new", better=BETTER, margins=[Margin.parse("p95_ms:+9%")]
    )
    assert not nine.passed
    assert nine.reasons[0].sentence.endswith("+19 is not within +18")


def test_an_absolute_margin_looks_at_the_worse_end():
    assert non_inferior(Interval(0.0, -0.009, 0.02, 9), 0.01, Better.HIGHER)
    assert not non_inferior(Interval(0.0, -0.011, 0.02, 9), 0.01, Better.HIGHER)
    assert non_inferior(Interval(0.0, -0.5, 0.009, 9), 0.01, Better.LOWER)
    assert not non_inferior(Interval(0.0, -0.5, 0.011, 9), 0.01, Better.LOWER)


def test_what_is_missing_empty_or_unknown_fails_with_a_reason():
    margins = [Margin.parse("p95_ms:+10%")]
    for comparisons, figures, words in (
        ([], FIGURES, "was not measured"),
        ([compared("p95_ms", nan, nan, nan, n=0)], FIGURES, "applies to no question"),
        ([compared("p95_ms", 1.0, -1.0, nan)], FIGURES, "too few"),
        ([compared("p95_ms", 1.0, -1.0, 2.0)], {}, "no figure to take a share of"),
    ):
        result = gate(comparisons, figures, candidate="new", better=BETTER, margins=margins)
        assert not result.passed
        assert words in result.reasons[0].sentence
    demanded = gate([], {}, candidate="new", better=BETTER, min_delta={"EM": 0.0})
    assert "EM was not measured" in demanded.reasons[0].sentence


def test_another_candidates_gain_does_not_count():
    shown = compared("nDCG@10", 0.021, 0.012, 0.030, verdict=Verdict.BETTER)
    result = gate([shown], {}, candidate="third", better=BETTER, min_delta={"nDCG@10": 0.01})
    assert not result.passed


def test_rules_that_cannot_be_meant_are_told_at_once():
    with pytest.raises(InputError) as fault:
        gate(
            [],
            {},
            candidate="new",
            better=BETTER,
            min_delta={"EM": nan},
            margins=[Margin.parse("nDCG@10:+0.01"), Margin.parse("p95_ms:-5%")],
        )
    assert "nan of 'EM'" in str(fault.value)
    assert "'nDCG@10:+0.01' would allow a gain" in str(fault.value)
    assert "its margin begins with '+'" in str(fault.value)
    with pytest.raises(InputError, match="without a rule"):
        gate([], {}, candidate="new", better=BETTER)


def test_a_margin_of_nothing_keeps_its_direction():
    assert str(Margin.parse("nDCG@10:-0")) == "nDCG@10:-0"
    assert Margin.parse("nDCG@10:-0").better is Better.HIGHER
    assert Margin.parse("p95_ms: +0%").better is Better.LOWER


@pytest.mark.parametrize(
    "text",
    ["", "p95_ms", "p95_ms:10%", "p95_ms:+ten", "p95_ms:+10%%", "p95_ms:+1e400", ":+1", "a b:+1"],
)
def test_no_margin_is_told_with_an_example(text):
    with pytest.raises(InputError, match=r"p95_ms:\+10%"):
        Margin.parse(text)


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_@:]{0,12}", fullmatch=True),
    st.decimals(min_value=0, max_value=1000, places=4),
    st.sampled_from(["+", "-"]),
    st.booleans(),
)
def test_a_margin_prints_as_it_parses(measure, size, sign, percent):
    one = Margin.parse(f"{measure}:{sign}{size:f}{'%' if percent else ''}")
    again = Margin.parse(str(one))
    assert (again.measure, again.relative, again.better) == (one.measure, one.relative, one.better)
    assert again.allowed == pytest.approx(one.allowed, rel=1e-11)
