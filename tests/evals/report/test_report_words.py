"""What a report says: figures with their units, sentences, Markdown, the terminal."""

import dataclasses
import io
import math

import pytest
from made import made_run
from rich.console import Console

from steelyard.cli.eval_show import show_report
from steelyard.core.evaluation import Interval, Verdict
from steelyard.evals.report import arm_verdicts, report_markdown
from steelyard.evals.report.figures import shown, shown_delta, with_interval


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("nDCG@10", 0.31549, "0.315"),
        ("p95_ms", 8.126, "8.13 ms"),
        ("p95_ms", 88.12, "88.1 ms"),
        ("p50_rerank_ms", 1234.5, "1,234 ms"),
        ("cost_usd", 0.0002, "$0.000200"),
        ("prompt_tokens", 812.4, "812"),
        ("EM", math.nan, "–"),
    ],
)
def test_a_figure_has_the_digits_of_its_measure(measure, value, text):
    assert shown(measure, value) == text


def test_a_difference_has_a_sign_unless_it_rounds_to_nothing():
    assert shown_delta("EM", 0.0312) == "+0.031"
    assert shown_delta("EM", -0.0312) == "−0.031"
    assert shown_delta("EM", -0.00001) == "0.000"
    assert shown_delta("cost_usd", -0.02) == "−$0.0200"


def test_an_interval_names_its_unit_once():
    assert with_interval("p95_ms", Interval(88.1, 80.0, 97.0, 9)) == "88.1 ms [80.0, 97.0]"
    assert with_interval("EM", Interval(math.nan, math.nan, math.nan, 0)) == "–"
    assert with_interval("EM", Interval(0.5, math.nan, math.nan, 1)) == "0.500"


def test_each_arm_has_one_sentence_with_its_evidence():
    report = made_run(400).report
    base, *others = arm_verdicts(report)
    assert (base.overall, base.text) == ("baseline", "base is the baseline.")
    for verdict in others:
        assert verdict.text.startswith(f"{verdict.arm} against base: ")
        for measure in report.measures:
            assert verdict.text.count(measure) == 1
    reranked = others[-1]
    assert reranked.overall in ("better", "mixed")
    assert "worse in p95_ms (+" in reranked.text


def test_one_arm_alone_is_measured_and_not_judged():
    [only] = arm_verdicts(made_run(5, arms=("solo",), compared=False).report)
    assert only.overall == "not compared"


def test_measures_that_one_of_two_arms_lacks_are_not_weighed():
    report = made_run(40, arms=("bm25", "rag"), measures=("nDCG@10", "EM")).report
    none = Interval(math.nan, math.nan, math.nan, 0)
    first, second = report.comparisons
    blank = dataclasses.replace(second, delta=none, verdict=Verdict.UNDERPOWERED)
    report = dataclasses.replace(report, comparisons=(first, blank))
    text = arm_verdicts(report)[1].text
    assert "nDCG@10" in text
    assert "EM" not in text
    assert "EM" not in report_markdown(report).split("| candidate")[1].split("\n\n")[0]
    only = dataclasses.replace(report, comparisons=(blank,))
    assert arm_verdicts(only)[1].text == "rag and bm25 have no measure in common."
    assert arm_verdicts(only)[1].overall == "not compared"


def test_markdown_has_every_arm_measure_and_comparison():
    report = made_run(50).report
    text = report_markdown(report)
    assert text.startswith("## handbook\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 3 + 1 + len(report.comparisons)
    assert all(line.count("|") == 6 for line in rows[:4])
    assert "Smallest difference that 50 questions show" in text
    assert "* 3 spans do not match" in text


def test_markdown_keeps_foreign_marks_as_text():
    report = made_run(5, arms=("a|b<script>", "c`d*e"), measures=("EM",)).report
    lines = report_markdown(report).splitlines()
    assert any(line.startswith("| a\\|b\\<script\\> | 0.") for line in lines)


def _terminal(report, width=120):
    file = io.StringIO()
    show_report(report, console=Console(file=file, width=width, highlight=False))
    return file.getvalue()


def test_the_terminal_tells_verdicts_in_words_and_signs():
    text = _terminal(made_run(400).report)
    assert "▼ worse" in text
    assert "note: 3 spans do not match" in text
    assert "failed in base, counted as zero" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_figure_is_cut_whatever_the_width(width):
    report = made_run(20, measures=("nDCG@10", "EM", "F1", "R@10", "p95_ms")).report
    text = _terminal(report, width)
    for arm in report.arms:
        for measure, found in arm.figures.items():
            assert with_interval(measure, found) in text


def test_nothing_measured_is_shown_as_such():
    report = made_run(3, arms=("solo",), measures=("EM",), compared=False).report
    report.values["solo"]["EM"][:] = math.nan
    assert "solo" in _terminal(report)
