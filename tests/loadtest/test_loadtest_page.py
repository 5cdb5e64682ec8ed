"""The page of a report, from numbers that are known."""

from steelyard.loadtest.bench import Bench, TrialResult
from steelyard.loadtest.page import report_page
from steelyard.loadtest.plan import Shape, Trial
from steelyard.loadtest.plots import Bar, Line, bar_plot, line_plot
from steelyard.loadtest.report import About, report_json
from steelyard.loadtest.samples import Sample, summarise


def _result(clients, *, cache="on", samples=None):
    trial = Trial(cache, "warm", clients, (0, 1), 2)
    made = samples if samples is not None else [
        Sample(0, 10.0 * clients, 5.0, timings_ms={"<b>stage</b>": 4.0}, cache="miss")
    ]  # fmt: skip
    return TrialResult(trial, summarise(made, took_s=1.0))


def _page(*results, notes=(), interrupted=False):
    about = About("9.9", "http://<evil>", "answers", 2, "2026-11-21T00:00:00+00:00")
    return report_page(report_json(Bench(results, notes, interrupted), about, Shape()))


def test_names_from_elsewhere_are_escaped():
    page = _page(_result(1), _result(8))
    assert "<b>stage" not in page
    assert "&lt;b&gt;stage" in page
    assert "<evil>" not in page


def test_trials_without_an_answer_and_no_trials_at_all_make_a_page():
    empty = _page(_result(1, samples=[Sample(0, 1.0, code="rejected")]))
    assert "<h2>All runs</h2>" in empty
    assert "Interrupted" in _page(notes=("too few",), interrupted=True)


def test_a_line_ends_where_its_values_are():
    plot = line_plot("t", [Line("p50", {1: 0.0, 8: 100.0})], unit="ms")
    assert 'points="158.5,216.0 351.5,34.0"' in plot  # the bottom for 0, the top for the highest


def test_wide_spans_have_a_logarithmic_scale():
    plot = line_plot("t", [Line("p50", {1: 1.0, 8: 10.0, 64: 100.0})], unit="ms")
    heights = [point.split(",")[1] for point in plot.split('points="')[1].split('"')[0].split()]
    assert heights == ["216.0", "125.0", "34.0"]


def test_bars_grow_with_their_values():
    plot = bar_plot("t", [Bar("embed", 25.0, 50.0), Bar("total", 50.0, 100.0)])
    widths = [float(part.split('"')[0]) for part in plot.split('width="')[2:]]
    assert widths == [155.0, 310.0]
    assert bar_plot("t", []) == ""
