"""Every figure of the published comparison comes out of its own inputs, or it is said by how much
it does not."""

import json
import math
from datetime import date

import pytest

from steelyard.advise.paper import Paper, stated_keys
from steelyard.advise.published import LINES, Band, Verdict, compare, published
from steelyard.advise.published_today import totals
from steelyard.advise.published_wire import published_json, published_line, published_table
from steelyard.core.errors import NotFound
from steelyard.cost import Book

BOOK = Book(on=date(2026, 11, 21))
FOUND = {one.line.key: one for one in published(BOOK)}


def gives(key: str) -> tuple[float, float]:
    return FOUND[key].gives.low, FOUND[key].gives.high


def implied(key: str, name: str) -> tuple[float, float]:
    return FOUND[key].implied[name].low, FOUND[key].implied[name].high


def test_every_published_amount_has_a_line():
    inputs = {
        "hours_7b", "dataset_storage", "examples_7b", "examples_13b", "examples_70b", "size_7b",
        "size_13b", "size_70b", "support_volume", "kb_volume", "tokens_per_question",
        "embedding_documents", "context", "support_tuning_once", "cheap_until", "vector_db_once",
    }  # fmt: skip
    assert set(stated_keys()) - {line.said for line in LINES} == inputs


REPRODUCED = {
    "qlora-7b-compute": (9.60, 49.16),  # 4 h × 2.40 and 12.29
    "qlora-7b-one-time": (13, 13),  # 12 + 1
    "lora-7b": (24, 24),  # 1e5 × 400 tokens × .60 a million
    "lora-13b": (4 * 13 / 7 * 5 * 3, 4 * 13 / 7 * 5 * 3),
    "inference-4090s": (423.4, 423.4),  # 2 × .29 × 730
    "inference-by-token": (349.791667, 349.791667),  # 30.4167M × (150 × .05 + 50 × .08)
    "rag-embedding": (30, 30),  # 1e6 × 1,500 × .02 a million
    "rag-one-time": (20, 100),
    "vector-db-hosted": (50, 50),
    "vector-db-own": (83.234, 83.234),  # 80 + 40.430 GB × .08
    "vector-db-reads-kb": (50, 50),
    "embedding-new": (7.5, 7.5),
    "context-all-written": (0.5, 0.5),  # 500 × .1 over 200 × .5
    "context-usd": (120, 400),  # .4 × 300, .8 × 500
    "support-bot-tuning": (3_800, 6_200),  # 200 + 12 × 300, 500
    "internal-kb-rag": (380, 3_208),  # 20 + 12 × 30, 100 + 12 × 259
    "rule-overhead-cheap": (0.32877, 0.65753),  # 50,000 of 30.4167M, of 200 to 400
}


@pytest.mark.parametrize("key", REPRODUCED)
def test_what_is_reproduced_is_what_a_pocket_calculator_gives(key: str):
    assert gives(key) == pytest.approx(REPRODUCED[key], rel=1e-4)
    assert FOUND[key].verdict.reproduced
    assert (FOUND[key].off_low, FOUND[key].off_high) == (0, 0)


MISSED = {
    "qlora-70b": (1_200, 0.2),  # 100 × 12
    "inference-whole-gpu": (2_190, 2_190 / 500 - 1),  # 3 × 730
    "inference-entry": (1_216.667, 1_216.667 / 500 - 1),
    "vector-db-reads-bot": (500.009, 500.009 / 200 - 1),  # 40.430 × .33 + 30.4167 × 16
    "context-same-price": (2.5, 2.5 / 0.8 - 1),
    "context-by-price": (1.25, 1.25 / 0.8 - 1),
    "context-by-token": (760.4167, 760.4167 / 400 - 1),
}


@pytest.mark.parametrize("key", MISSED)
def test_what_is_not_reproduced_says_by_how_much_over_the_nearest_published_end(key: str):
    value, off = MISSED[key]
    assert gives(key) == pytest.approx((value, value), rel=1e-4)
    assert FOUND[key].verdict is Verdict.OUTSIDE
    assert FOUND[key].off_low == FOUND[key].off_high == pytest.approx(off, rel=1e-4)


def test_the_support_bots_retrieval_is_less_than_the_sum_of_its_own_parts():
    one = FOUND["support-bot-rag"]
    assert gives("support-bot-rag") == (20 + 12 * 525, 100 + 12 * 1_150)
    assert one.verdict is Verdict.OVERLAPS
    assert (one.off_low, one.off_high) == pytest.approx((6_320 / 6_000 - 1, 13_900 / 8_000 - 1))


def test_the_knowledge_bases_tuning_is_a_third_more_than_its_parts():
    one = FOUND["internal-kb-tuning"]
    assert gives("internal-kb-tuning") == (200 + 12 * 3, 200 + 12 * 5)
    assert (one.off_low, one.off_high) == pytest.approx((236 / 350 - 1, 260 / 350 - 1))
    assert implied("internal-kb-tuning", "monthly") == (12.5, 12.5)


def test_what_300_to_500_usd_a_month_would_need():
    key = "inference-whole-gpu"
    assert implied(key, "hour") == pytest.approx((300 / 730, 500 / 730))
    assert implied(key, "share") == pytest.approx((300 / 2_190, 500 / 2_190))
    tokens_per_s = 1e6 * 200 / 86_400
    needed = (tokens_per_s / (500 / 2_190), tokens_per_s / (300 / 2_190))
    assert implied(key, "needed") == pytest.approx(needed)
    assert implied("inference-by-token", "each") == pytest.approx(
        (300 / (1e6 * 365 / 12 * 200) * 1e6, 500 / (1e6 * 365 / 12 * 200) * 1e6)
    )


def test_by_its_own_figures_tuning_is_cheaper_at_any_volume():
    assert gives("rule-tuning-from") == (0, 0)
    assert implied("rule-tuning-from", "rag") == (20 + 12 * 25, 100 + 12 * 250)


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((20, 100), (20, 100), Verdict.EQUAL),
        ((4_500, 4_500), (4_400, 4_400), Verdict.EQUAL),
        ((30, 30), (20, 50), Verdict.WITHIN),
        ((10, 60), (20, 50), Verdict.COVERS),
        ((40, 60), (20, 50), Verdict.OVERLAPS),
        ((51, 60), (20, 50), Verdict.OUTSIDE),
        ((5, 10), (20, 50), Verdict.OUTSIDE),
    ],
)
def test_a_verdict_is_how_two_ranges_lie(
    ours: tuple[float, float], theirs: tuple[float, float], verdict: Verdict
):
    assert compare(Band(*ours, "USD"), Band(*theirs, "USD")) is verdict


def test_the_whole_model_gives_the_totals_but_for_a_server_and_the_one_time_price():
    found = {(one.scenario, str(one.option)): one for one in totals(BOOK)}
    bot = found["published-support-bot", "tuned@api"]
    assert bot.without_usd == pytest.approx(12 * 349.791667 + 24 + 24, abs=0.5)
    assert bot.verdict is Verdict.EQUAL  # 4,245 of about 4,400
    assert bot.server_usd == 12 * 80
    rag = found["published-support-bot", "rag@gpu"]
    assert rag.without_usd == pytest.approx(12 * (423.4 + 50 + 7.5) + 30)  # 5,801 of 6,000
    assert len(found) == 8


def test_every_number_leads_to_a_formula_or_a_source():
    told = published_json(BOOK)
    json.dumps(told, allow_nan=False)
    for line in told["lines"]:
        assert all(line[key] for key in ("what", "reading", "why"))
        assert "{" not in line["why"]
        for row in line["formulas"].values():
            values = row["value"] if isinstance(row["value"], list) else [row["value"]]
            assert all(map(math.isfinite, values))
            assert row.get("formula") or row["origin"]["source"]
            assert not row.get("formula") or set(row["inputs"]) <= set(line["formulas"])


def test_what_is_assumed_says_so():
    told = published_json(BOOK)
    rows = [row for line in told["lines"] for row in line["formulas"].values() if "origin" in row]
    sources = {row["origin"]["source"] for row in rows}
    assert any(source.startswith("assumed here: ") for source in sources)
    assert any(source.startswith("stated in ") for source in sources)


def test_a_price_that_is_missing_is_named(prices):
    with pytest.raises(NotFound, match="rtx-4090"):
        Paper(prices, high=False).price("gpu/rtx-4090", "USD/gpu/hour")


def test_a_line_can_be_looked_at_alone_and_an_unknown_one_names_what_is_near():
    lines = published_line(BOOK, "context-usd")
    assert any(line.startswith("share of the inference = ") for line in lines)
    with pytest.raises(NotFound, match="context-usd"):
        published_line(BOOK, "contxt-usd")


def test_the_table_has_a_row_a_line():
    header, *rows = published_table(BOOK)
    assert len(rows) == len(LINES)
    assert {len(row) for row in rows} == {len(header)}
