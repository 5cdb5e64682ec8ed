"""What each way costs, against the same sums done by hand."""

import numpy as np
import pytest

from steelyard.advise.draws import Inputs, resampled
from steelyard.advise.measured import DEFAULTS, Arm, ArmMeasured, Figure, Measured
from steelyard.advise.model import Option, Runs, questions_per_s, weigh
from steelyard.advise.scenario import Scenario, Throughput
from steelyard.core.errors import InputError, NotFound

MONTH = 365 / 12
PLAIN = {
    "questions_per_day": 1_000, "growth": 0.0, "peak_factor": 3, "hit_ratio": 0.25,
    "documents": 2_000, "tokens_per_document": 1_000, "churn": 0.1, "chunk_tokens": 100,
    "staleness_days": 10, "instruction_tokens": 100, "question_tokens": 20,
    "context_tokens": 500, "answer_tokens": 80, "cached_share": 0.0, "stale_quality": 0.1,
    "examples": 1_000, "tokens_per_example": 200, "epochs": 2, "style_retrains_per_year": 2,
    "hours_per_retrain": 3, "gpu_speed": 1, "utilisation": 0.5,
    "server_questions_per_s": 100, "setup_hours_base": 8, "setup_hours_rag": 40,
    "setup_hours_tuning": 60, "upkeep_hours_base": 1, "upkeep_hours_rag": 3,
}  # fmt: skip


def inputs(prices, measured: Measured = DEFAULTS, **given: object) -> Inputs:
    return Inputs(Scenario.read(PLAIN | given), measured, prices)


def total(prices, arm: Arm, runs: Runs, **given: object) -> float:
    return weigh(inputs(prices, **given), Option(arm, runs)).total.point


def test_retrieval_on_a_sellers_model(prices):
    tokens = 1_000 * MONTH * 0.75 * (620 * 0.1 + 80 * 0.5) / 1e6
    disk = 2_000 * 1_000 / 100 * 3_450 / 1e9 * 0.1  # 196 and 149 MB at 100,000 chunks
    month = tokens + 80 + disk + 4 * 100
    assert total(prices, Arm.RAG, Runs.API) == pytest.approx(12 * month + 48 * 100)


def test_a_closed_book_reads_no_sources_and_stores_none(prices):
    month = 1_000 * MONTH * 0.75 * (120 * 0.1 + 80 * 0.5) / 1e6 + 80 + 100
    assert total(prices, Arm.BASE, Runs.API) == pytest.approx(12 * month + 8 * 100)


def test_a_tuned_model_of_ones_own_is_tuned_as_often_as_it_may_be_stale(prices):
    one = 1_000 * 200 * 2 / 1e6 * 0.6
    month = 730 * 4 + 80 + MONTH / 10 * (one + 300) + 100
    assert total(prices, Arm.TUNED, Runs.GPU) == pytest.approx(12 * month + one + 68 * 100)


@pytest.mark.parametrize("choice", [{"private": True}, {"training": ""}])
def test_private_rows_are_tuned_on_on_ones_own_gpus(prices, choice: dict[str, object]):
    found = weigh(
        inputs(prices, training_tokens_per_hour=1e5, **choice), Option(Arm.TUNED, Runs.GPU)
    )
    assert found.setup["first tuning"].point == pytest.approx(1_000 * 200 * 2 / 1e5 * 4.0)


def test_a_rented_vector_database_takes_its_minimum_and_its_reads(prices):
    given = {"vector_db": "vectordb/rented", "read_units_per_question": 2}
    parts = weigh(inputs(prices, **given), Option(Arm.RAG, Runs.API)).parts
    assert parts["index"].point == 50
    assert parts["searches"].value[0, 0] == pytest.approx(1_000 * MONTH * 2 / 1e6 * 16)


def test_where_nothing_changes_nothing_is_tuned_again(prices):
    still = weigh(inputs(prices, churn=0), Option(Arm.TUNED, Runs.GPU))
    assert still.parts["retraining"].point == 0
    assert still.quality.point == DEFAULTS.arms[Arm.TUNED].quality.value


def test_what_has_changed_since_the_tuning_is_answered_wrongly(prices):
    stale = 1 - 0.9 ** (5 / MONTH)
    quality = weigh(inputs(prices), Option(Arm.TUNED, Runs.GPU)).quality.point
    assert quality == pytest.approx(0.81 * (1 - stale) + 0.1 * stale)
    both = weigh(inputs(prices), Option(Arm.BOTH, Runs.GPU)).quality.point
    assert both == 0.86


def test_gpus_are_whole_and_enough_for_the_busiest_hour(prices):
    points = [{"tokens_in": 620, "tokens_out": 80, "questions_per_s": 10}]
    found = weigh(
        inputs(prices, questions_per_day=864_000, throughput=points), Option(Arm.RAG, Runs.GPU)
    )
    assert found.gpus is not None
    assert found.gpus.value[0, 0] == np.ceil(10 * 3 * 0.75 / (10 * 0.5))
    assert found.parts["GPUs"].value[0, 0] == 5 * 730 * 4


def test_growth_is_paid_month_by_month(prices):
    found = weigh(inputs(prices, growth=0.1, months=3), Option(Arm.BASE, Runs.API))
    asked = found.questions.value[0]
    assert asked == pytest.approx(1_000 * MONTH * np.array([1, 1.1, 1.21]))
    assert found.monthly.value.shape == (1, 3)


def test_cached_tokens_cost_what_cached_tokens_cost(prices):
    whole = weigh(inputs(prices), Option(Arm.RAG, Runs.API)).parts["model tokens"].value[0, 0]
    half = weigh(inputs(prices, cached_share=0.5), Option(Arm.RAG, Runs.API))
    asked = 1_000 * MONTH * 0.75 / 1e6
    assert whole - half.parts["model tokens"].value[0, 0] == pytest.approx(
        asked * 310 * (0.1 - 0.01)
    )


def test_longer_prompts_may_cost_more_a_token(prices_with):
    prices = prices_with(tiers={"llm/gpt-6-luna/in": [(600, 0.4)]})
    short = weigh(inputs(prices, context_tokens=480), Option(Arm.RAG, Runs.API))
    long = weigh(inputs(prices, context_tokens=481), Option(Arm.RAG, Runs.API))
    asked = 1_000 * MONTH * 0.75 / 1e6
    assert short.parts["model tokens"].value[0, 0] == pytest.approx(asked * (600 * 0.1 + 40))
    assert long.parts["model tokens"].value[0, 0] == pytest.approx(asked * (601 * 0.4 + 40))


def test_cases_of_many_lengths_have_each_its_own_price(prices_with):
    prices = prices_with(tiers={"llm/gpt-6-luna/in": [(600, 0.4), (5_000, 0.9)]})
    lengths = np.array([100.0, 480.0, 481.0, 10_000.0])
    many = Inputs(Scenario.read(PLAIN), DEFAULTS, prices, cases={"context_tokens": lengths})
    found = weigh(many, Option(Arm.RAG, Runs.API)).parts["model tokens"].value[:, 0]
    asked = 1_000 * MONTH * 0.75 / 1e6
    each = [220 * 0.1, 600 * 0.1, 601 * 0.4, 10_120 * 0.9]
    assert found == pytest.approx([asked * (read + 40) for read in each])


def test_answers_in_the_documents_own_words_cost_no_tokens(prices):
    figure = Figure(0.5, 0.4, 0.6, "a run")
    own = Measured({Arm.RAG: ArmMeasured(figure, figure, calls_model=False)}, source="a run")
    found = weigh(inputs(prices, own), Option(Arm.RAG, Runs.SERVER))
    assert set(found.parts) == {"servers", "index", "people"}


def test_counted_tokens_take_the_place_of_stated_ones(prices):
    figure = Figure(0.5, 0.4, 0.6, "a run")
    counted = Measured(
        {Arm.RAG: ArmMeasured(figure, figure, Figure(1_000, 900, 1_100, "a run"))}, source="a run"
    )
    found = weigh(inputs(prices, counted), Option(Arm.RAG, Runs.API)).parts["model tokens"]
    assert found.value[0, 0] == pytest.approx(1_000 * MONTH * 0.75 * (1_000 * 0.1 + 80 * 0.5) / 1e6)


def test_throughput_is_straight_in_logarithms_between_what_was_measured():
    points = (Throughput(1_000, 0, 32.0), Throughput(4_000, 0, 2.0))
    told = questions_per_s(points, np.array([[1_000.0, 2_000.0, 4_000.0, 8_000.0]]))
    assert told == pytest.approx(np.array([[32, 8, 2, 0.5]]))
    one = questions_per_s(points[:1], np.array([[500.0, 1_000.0]]))
    assert one == pytest.approx(np.array([[64, 32]]))


def test_a_missing_price_is_named(prices):
    with pytest.raises(NotFound, match="gpu/mine"):
        total(prices, Arm.RAG, Runs.GPU, gpu="gpu/mine")


def test_a_price_of_something_else_is_named(prices):
    with pytest.raises(InputError, match="is sold by USD/Mtoken, and USD/hour is needed"):
        total(prices, Arm.RAG, Runs.GPU, gpu="embedding/small")


def test_draws_of_an_input_do_not_depend_on_other_inputs(prices):
    prices.spread = 0.3

    def drawn(**given: object) -> np.ndarray:
        many = Inputs(Scenario.read(PLAIN | given), DEFAULTS, prices, draws=50)
        return many.price("person/hour", "USD/hour").value

    assert np.array_equal(drawn(), drawn(churn=0.7, gpu_speed={"value": 1, "low": 0.5, "high": 2}))
    assert 70 <= drawn().min() < drawn().max() <= 130


@pytest.mark.parametrize("num_clusters", [60, 600])
def test_resampled_means_spread_as_their_clusters_do(num_clusters: int):
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(num_clusters), 4)
    shared = rng.random(num_clusters)[clusters]
    values = {
        Arm.RAG: (shared + 0.1 * rng.random(len(clusters)) > 0.5).astype(float),
        Arm.BASE: (shared > 0.6).astype(float),
    }
    measured = Measured({}, values=values, clusters=clusters)
    means = resampled(measured, 4_000, np.random.default_rng(2))
    for arm, one in values.items():
        assert means[arm].mean() == pytest.approx(one.mean(), abs=0.01)
        of_clusters = one.reshape(num_clusters, 4).mean(axis=1).std() / num_clusters**0.5
        assert means[arm].std() == pytest.approx(of_clusters, rel=0.06)
    together = np.corrcoef(means[Arm.RAG], means[Arm.BASE])[0, 1]
    assert together > 0.6  # resampled alike: what is hard for one is hard for the other
