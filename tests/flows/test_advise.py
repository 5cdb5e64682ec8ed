"""A report of the harness becomes what the advice rests on, or says why it cannot."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from steelyard.advise import DEFAULTS, Arm, Scenario
from steelyard.core.errors import InputError
from steelyard.core.evaluation import ArmFigures, Interval, Report
from steelyard.cost import Book
from steelyard.flows.advise import advice_of, measured_of

NUM = 60
BOOK = Book(on=date(2026, 11, 21))


def interval(value: float, *, spread: float = 0.05) -> Interval:
    return Interval(value, value - spread, value + spread, NUM)


def arm(name: str, quality: float, *, reader: str = "an-llm", **figures: float) -> ArmFigures:
    told = {"contains": quality, "p95_ttft_ms": 400.0, "prompt_tokens": 900.0} | figures
    return ArmFigures(
        name, {"reader": reader}, {key: interval(one) for key, one in told.items()}, {}, 1.0
    )


def report(*arms: ArmFigures) -> Report:
    rng = np.random.default_rng(3)
    hard = rng.random(NUM)
    values = {
        one.name: {"contains": (hard < one.figures["contains"].value).astype(float)}
        for one in arms
        if "contains" in one.figures
    }
    return Report(
        id="20261120-aa", created_at="2026-11-20T10:00:00+00:00", set_name="handbook", set_id="x",
        question_ids=tuple(map(str, range(NUM))), clusters=np.arange(NUM) // 2,
        measures=("nDCG@10", "contains", "p95_ttft_ms", "prompt_tokens"), arms=arms,
        comparisons=(), values=values,
    )  # fmt: skip


FIVE = (
    arm("base", 0.12), arm("rag", 0.67), arm("tuned", 0.52), arm("tuned+rag", 1.0),
    arm("oracle", 0.67),
)  # fmt: skip


def test_five_arms_feed_it_with_intervals_tokens_and_paired_questions():
    found = measured_of(report(*FIVE))
    assert set(found.arms) == set(Arm)
    assert found.measure == "contains"  # nDCG@10 is of a search, which is no answer
    assert found.arms[Arm.RAG].quality.low == pytest.approx(0.62)
    assert found.arms[Arm.RAG].quality.source == "run 20261120-aa on handbook, 60 questions"
    assert found.arms[Arm.RAG].quality.seen == "2026-11-20"
    assert found.arms[Arm.RAG].prompt_tokens is not None
    assert set(found.values) == set(Arm)
    assert found.clusters.max() == NUM // 2 - 1


def test_the_advice_follows_what_was_measured():
    scenario = Scenario.read({"questions_per_day": 5_000, "min_quality": 0.8})
    found = advice_of(scenario, BOOK, report=report(*FIVE), draws=300)
    assert str(found.recommended) == "tuned+rag@gpu"
    assert not found.tie
    assert not any("nothing was measured" in one for one in found.warnings)


def test_what_the_report_lacks_is_told_with_the_measure_that_would_give_it():
    bare = replace(FIVE[1], figures={"contains": interval(0.67)})
    found = advice_of(Scenario.read({}), BOOK, report=report(bare), draws=300)
    told = " ".join(found.warnings)
    assert "p95_ttft_ms" in told
    assert "completion_tokens" in told
    assert found.rows[0].first_word_ms[0] == DEFAULTS.arms[Arm.RAG].first_word_ms.value


def test_without_a_report_defaults_stand_in_and_say_so():
    found = advice_of(Scenario.read({}), BOOK, draws=300)
    assert found.question.measured is DEFAULTS
    assert any("nothing was measured" in one for one in found.warnings)


def test_the_documents_own_words_need_no_model():
    found = measured_of(report(arm("rag", 0.5, reader="extractive+reader")))
    assert not found.arms[Arm.RAG].calls_model


def test_arms_of_other_names_can_be_told():
    found = measured_of(report(arm("mine", 0.5)), names={"mine": "rag"})
    assert set(found.arms) == {Arm.RAG}


@pytest.mark.parametrize(
    ("given", "names", "measure", "said"),
    [
        (report(arm("mine", 0.5)), {}, "", "it has none of"),
        (report(arm("rag", 0.5)), {"rag": "banana"}, "", "'banana' is no way to weigh"),
        (report(arm("rag", 0.5)), {"mine": "rag"}, "", "it has no arm 'mine'"),
        (report(arm("rag", 0.5)), {}, "EM", "'EM' is no measure of quality in it"),
        (report(arm("rag", 0.5)), {}, "p95_ttft_ms", "is no measure of quality in it"),
    ],
)
def test_what_cannot_be_used_is_named(given: Report, names, measure: str, said: str):
    with pytest.raises(InputError, match="report 20261120-aa: ") as told:
        measured_of(given, names=names, measure=measure)
    assert said in told.value.message


def test_figures_without_intervals_are_named_for_every_arm():
    without = [
        replace(one, figures=dict(one.figures) | {"contains": Interval(0.5, np.nan, np.nan, 1)})
        for one in FIVE[:2]
    ]
    with pytest.raises(InputError, match=r"base's contains has no interval .* rag's contains has"):
        measured_of(report(*without))


def test_questions_that_an_arm_has_no_value_for_are_left_out_of_all():
    made = report(*FIVE[:2])
    made.values["rag"]["contains"][:10] = np.nan
    found = measured_of(made)
    assert {len(one) for one in found.values.values()} == {NUM - 10}
    assert found.clusters.min() == 0


def test_a_price_that_is_known_to_change_is_paid_from_that_month_on():
    scenario = Scenario.read({"api_model": "gemini-3.6-flash", "gpu": "", "private": False})
    found = advice_of(scenario, BOOK, draws=300)
    name = "price of llm/gemini-3.6-flash/in"
    over = found.formulas[f"{name} over the months"]
    assert over["value"] == [0.75, 0.75, *[1.5] * 10]
    assert over["inputs"] == [f"{name} from 2027-01-01", name]
    assert found.formulas[f"{name} from 2027-01-01"]["origin"]["mark"] == "vendor"
    spent = found.formulas["rag@api tokens a month"]["value"]
    assert spent[1] < spent[2] == spent[-1]


def test_a_price_that_ends_with_nothing_known_after_it_stays_and_warns(tmp_path):
    (tmp_path / "prices.toml").write_text(
        "\n".join(
            f'[[price]]\nitem = "llm/ours/{kind}"\nusd = 1.0\nunit = "USD/Mtoken"\n'
            'seen = 2026-11-20\nuntil = 2026-12-10\nsource = "offer"\n'
            for kind in ("in", "out")
        )
    )
    book = Book(tmp_path, on=date(2026, 11, 21))
    found = advice_of(Scenario.read({"api_model": "ours"}), book, draws=300)
    assert found.formulas["price of llm/ours/in"]["value"] == 1.0
    assert any("llm/ours/in: ends on 2026-12-10" in one for one in found.warnings)
