"""Figures and comparisons from paired, clustered values."""

from dataclasses import dataclass
from math import isnan

import numpy as np
import pytest

from steelyard.core.errors import InputError
from steelyard.core.evaluation import Better, Reduce, Verdict
from steelyard.evals.statistics import weigh


@dataclass(frozen=True)
class Named:
    """A measure of which only the words matter here; the values are given."""

    name: str
    reduce: Reduce = Reduce.MEAN
    better: Better = Better.HIGHER
    quality: bool = True

    def values(self, questions, outcomes):
        raise AssertionError("values are given to these tests, not computed")


EM = Named("EM")
P95 = Named("p95_ms", Reduce.P95, Better.LOWER, quality=False)
TOKENS = Named("prompt_tokens", Reduce.MEAN, Better.LOWER, quality=False)


def two_arms(num_items=200, *, wins=30, losses=5, measure="EM"):
    """Return arms that differ in `wins` + `losses` items; half of the rest are right in both."""
    base = np.zeros(num_items)
    base[wins + losses :: 2] = 1
    candidate = base.copy()
    base[wins : wins + losses] = 1
    candidate[:wins] = 1
    candidate[wins : wins + losses] = 0
    return {"old": {measure: base}, "new": {measure: candidate}}


def test_a_clear_gain_is_better_with_mcnemars_exact_p():
    (only,) = weigh(two_arms(), np.arange(200), [EM], baseline="old").comparisons
    assert only.candidate == "new"
    assert only.delta.value == pytest.approx(25 / 200)
    assert only.delta.low > 0
    assert only.test == "exact McNemar"
    # 2 · P(at most 5 of 35 coin tosses) = 2 · 383,763 / 2^35
    assert only.p == pytest.approx(2 * (1 + 35 + 595 + 6545 + 52360 + 324632) / 2**35)
    assert only.verdict is Verdict.BETTER
    assert only.n_needed is None


def test_direction_follows_the_measure():
    slower = {"old": {"t_ms": np.arange(50.0)}, "new": {"t_ms": np.arange(50.0) + 3}}
    slower["new"]["t_ms"][::2] += 1
    found = weigh(
        slower,
        np.arange(50),
        [Named("t_ms", better=Better.LOWER, quality=False)],
        baseline="old",
    )
    assert found.comparisons[0].verdict is Verdict.WORSE


def test_the_same_items_in_few_clusters_show_less():
    values = two_arms()
    alone = weigh(values, np.arange(200), [EM], baseline="old").comparisons[0]
    shared = weigh(values, np.arange(200) // 20, [EM], baseline="old").comparisons[0]
    assert shared.test == "exact sign flips of clusters"
    assert shared.delta.high - shared.delta.low > alone.delta.high - alone.delta.low
    assert shared.p > alone.p
    assert shared.mde > alone.mde


def test_a_small_set_is_underpowered_for_a_small_effect_and_says_what_it_takes():
    values = two_arms(wins=12, losses=8)
    (only,) = weigh(
        values, np.arange(200), [EM], baseline="old", min_effects={"EM": 0.01}
    ).comparisons
    assert only.verdict is Verdict.UNDERPOWERED
    assert only.mde > 0.01
    assert only.n_needed == pytest.approx(200 * (only.mde / 0.01) ** 2, abs=1)
    enough = weigh(values, np.arange(200), [EM], baseline="old", min_effects={"EM": 0.2})
    assert enough.comparisons[0].verdict is Verdict.NO_EVIDENCE


def test_pairs_in_which_a_measure_does_not_apply_are_left_out():
    values = two_arms()
    values["new"]["EM"][150:] = np.nan
    values["old"]["EM"][:5] = np.nan
    found = weigh(values, np.arange(200), [EM], baseline="old")
    assert found.comparisons[0].delta.n == 145
    assert found.figures["old"]["EM"].n == 195
    assert found.figures["new"]["EM"].n == 150


def test_a_measure_that_never_applies_shows_nothing():
    values = {arm: {"EM": np.full(9, np.nan)} for arm in ("old", "new")}
    found = weigh(values, np.arange(9), [EM], baseline="old", min_effects={"EM": 0.1})
    (only,) = found.comparisons
    assert only.delta.n == 0
    assert isnan(only.p_holm)
    assert only.verdict is Verdict.UNDERPOWERED


def test_arms_that_never_differ_are_not_said_to_be_equal_for_certain():
    same = {arm: {"EM": np.tile([0.0, 1.0], 50), "p95_ms": np.arange(100.0)} for arm in "ab"}
    by_measure = {
        one.measure: one for one in weigh(same, np.arange(100), [EM, P95], baseline="a").comparisons
    }
    em = by_measure["EM"]
    # Clopper-Pearson for 0 of 100 differing: 1 − .025^(1/100) = .0362
    assert (em.delta.low, em.delta.high) == pytest.approx((-0.03622, 0.03622), abs=1e-5)
    assert em.p == 1
    # Six clusters that agree are the fewest with 2 / 2^k below .05.
    assert em.mde == pytest.approx(6 / 100)
    assert by_measure["p95_ms"].delta.low < 0 < by_measure["p95_ms"].delta.high
    assert by_measure["p95_ms"].verdict is Verdict.NO_EVIDENCE


def test_one_more_arm_changes_no_figure_of_the_others():
    values = two_arms()
    before = weigh(values, np.arange(200), [EM], baseline="old")
    values["third"] = {"EM": 1 - values["new"]["EM"]}
    after = weigh(values, np.arange(200), [EM], baseline="old")
    assert before.figures["new"] == after.figures["new"]
    assert before.comparisons[0].delta == after.comparisons[0].delta
    assert before.comparisons[0].p == after.comparisons[0].p


def test_holms_families_are_quality_and_effort():
    rng = np.random.default_rng(7)
    base = rng.random(80)
    effort = {"p95_ms": 10 + base, "prompt_tokens": 100 + base}
    values = {
        "old": {"EM": (base < 0.5) * 1.0, **effort},
        "new": {"EM": (base < 0.66) * 1.0, **{k: v + rng.random(80) for k, v in effort.items()}},
    }
    found = {
        one.measure: one
        for one in weigh(values, np.arange(80), [EM, P95, TOKENS], baseline="old").comparisons
    }
    assert found["EM"].p_holm == found["EM"].p
    assert found["prompt_tokens"].p_holm == pytest.approx(2 * found["prompt_tokens"].p)


def test_a_rerun_is_identical():
    values = two_arms()
    values["new"]["EM"] = values["new"]["EM"] * 0.9
    labels = np.arange(200) // 3
    one, two = (weigh(values, labels, [EM], baseline="old") for _ in range(2))
    assert one == two


def test_all_faults_are_told_at_once():
    values = {"a": {"EM": np.zeros(4)}, "b": {"EM": np.zeros(3)}, "c": {}}
    with pytest.raises(InputError) as fault:
        weigh(values, np.arange(4), [EM], baseline="z")
    assert "no arm 'z'" in str(fault.value)
    assert "arm 'b' has values of shape (3,) of 'EM', not one for each of 4" in str(fault.value)
    assert "arm 'c' has no values of 'EM'" in str(fault.value)


def test_a_share_keeps_within_0_and_1_though_single_values_do_not():
    # AUROC's values are scaled by class: here one unanswerable question of three is misplaced.
    scaled = np.array([1.0] * 37 + [-12.0, 2.0, 2.0])
    values = {"old": {"AUROC": scaled}, "new": {"AUROC": np.ones(40)}}
    found = weigh(values, np.arange(40), [Named("AUROC")], baseline="old")
    figure = found.figures["old"]["AUROC"]
    assert figure.value == pytest.approx(0.725)
    assert 0 < figure.low < 0.725 < figure.high < 1
    assert found.comparisons[0].delta.low >= -1
    assert found.comparisons[0].delta.high <= 1


def test_a_cost_is_no_share_however_small():
    costs = {arm: {"cost_usd": np.full(40, 0.002)} for arm in ("old", "new")}
    cost = Named("cost_usd", better=Better.LOWER, quality=False)
    failed = Named("failed", better=Better.LOWER, quality=False)
    figures = weigh(costs, np.arange(40), [cost], baseline="old").figures
    assert figures["old"]["cost_usd"].high < 0.0022
    # But that nobody of 40 failed does not rule out 8.8 % failures.
    none = {arm: {"failed": np.zeros(40)} for arm in ("old", "new")}
    found = weigh(none, np.arange(40), [failed], baseline="old").figures["old"]["failed"]
    assert (found.low, found.high) == pytest.approx((0, 0.0881), abs=1e-4)


def test_quantiles_alone_or_no_measure_at_all_are_weighed():
    values = {arm: {"p95_ms": np.arange(60.0)} for arm in ("old", "new")}
    found = weigh(values, np.arange(60), [P95], baseline="old")
    assert found.comparisons[0].verdict is Verdict.NO_EVIDENCE
    assert weigh(values, np.arange(60), [], baseline="old").comparisons == ()


def test_a_measure_named_twice_is_one_member_of_the_family():
    values = two_arms()
    once = weigh(values, np.arange(200), [EM], baseline="old")
    assert weigh(values, np.arange(200), [EM, EM], baseline="old") == once


def test_two_questions_show_no_share_at_all():
    values = {"old": {"EM": np.array([1.0, 0.0])}, "new": {"EM": np.array([0.0, 1.0])}}
    found = weigh(values, np.arange(2), [EM], baseline="old", min_effects={"EM": 0.1})
    (only,) = found.comparisons
    assert isnan(only.mde)
    assert only.verdict is Verdict.UNDERPOWERED


def test_options_that_cannot_be_meant_are_told_at_once():
    with pytest.raises(InputError) as fault:
        weigh(
            two_arms(),
            np.arange(200),
            [EM],
            baseline="old",
            min_effects={"EM": float("nan")},
            resamples=0,
            seed=-1,
        )
    assert "'EM' that matters cannot be nan" in str(fault.value)
    assert "0 resamples make no interval" in str(fault.value)
    assert "a seed is 0 or more, not -1" in str(fault.value)


def test_a_single_question_shows_no_difference_of_times():
    values = {"old": {"p95_ms": np.array([1.0])}, "new": {"p95_ms": np.array([9.0])}}
    (found,) = weigh(values, np.zeros(1, dtype=np.int64), [P95], baseline="old").comparisons
    assert found.p == found.p_holm == 1.0
