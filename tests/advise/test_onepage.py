"""The page for who decides: its own file, nothing loaded, nothing run, every word escaped."""

import re
from html.parser import HTMLParser

import pytest

from steelyard.advise import DEFAULTS, Question, Scenario, advise, one_page
from steelyard.advise.words import dollars, number, verdict_of

EVIL = "<script>alert(1)</script>\"'&"
DRAWS = 200


@pytest.fixture
def told(prices):
    def tell(**given):
        return advise(Question(Scenario.read(given), DEFAULTS, prices), draws=DRAWS)

    return tell


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names, self.attributes = set(), []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs


def tags(page):
    found = Tags()
    found.feed(page)
    return found


def test_it_holds_the_numbers_of_the_advice(told):
    advice = told(questions_per_day=5_000)
    page = one_page(advice)
    for row in advice.rows:
        assert dollars(row.total_usd[0]) in page
        assert dollars(row.per_1000_usd) in page
        assert f"{row.quality[0]:.3f}" in page
    assert "2026-11-21" in page
    assert "its page" in page  # the prices' source
    assert "5,000" in page
    assert "stated defaults" in page


def test_it_loads_and_runs_nothing(told):
    page = one_page(told())
    found = tags(page)
    assert found.names.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "src"]
    assert "url(" not in page
    assert "http" not in page


def test_names_of_the_user_are_text(told):
    page = one_page(told(name=EVIL, title=EVIL))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "worst",
    [
        {"questions_per_day": 0.1},
        {"questions_per_day": 1e10},
        {"min_quality": 1.0},
        {"months": 60, "growth": 1.0},
    ],
)
def test_no_plot_holds_what_is_no_number(told, worst):
    page = one_page(told(**worst))
    drawn = " ".join(re.findall(r'(?: d|x|y|width)="([^"]*)"', page))
    assert re.search(r"nan|inf", drawn, re.IGNORECASE) is None
    assert " d=" in page


def test_a_tie_is_called_one(told):
    advice = told()
    assert advice.tie
    assert verdict_of(advice).startswith("A tie between ")
    assert "none is chosen in 95 of 100" in one_page(advice)


def test_no_way_is_said_to_be_none(told):
    advice = told(min_quality=1.0, latency_target_ms=1)
    assert verdict_of(advice).startswith("No way meets the conditions")


@pytest.mark.parametrize(("amount", "text"), [(0, "0"), (0.06617, "0.0662"), (4.2, "4.20"),
                                              (51_917.4, "51,917"), (1.24e6, "1.24 million"),
                                              (2.5e9, "2.50 billion")])  # fmt: skip
def test_money_has_the_digits_that_mean_something(amount, text):
    assert dollars(amount) == text


def test_numbers_are_not_written_as_powers():
    assert [number(one) for one in (1e6, 0.05, 300.0)] == ["1,000,000", "0.05", "300"]
