"""A report as JSON: the way there and back, and what is no report."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import made_run

from steelyard.core.errors import InputError
from steelyard.evals.report import report_from_json, report_json


def _text(report):
    return json.dumps(report_json(report), allow_nan=False)


def test_report_comes_back_as_it_went():
    report = made_run(12).report
    back = report_from_json(json.loads(_text(report)))
    assert _text(back) == _text(report)
    for arm, by_measure in report.values.items():
        for measure, values in by_measure.items():
            np.testing.assert_array_equal(back.values[arm][measure], values)
    np.testing.assert_array_equal(back.clusters, report.clusters)
    assert back.clusters.dtype == np.int64
    assert (back.arms, back.comparisons) == (report.arms, report.comparisons)
    assert (back.notes, back.machine, back.wall_s) == (report.notes, report.machine, 61.5)


def test_what_does_not_apply_is_null_and_comes_back_as_nan():
    report = made_run(12).report
    parsed = report_json(report)
    values = parsed["values"]["base"]["F1"]
    assert values[0] is None  # the first question has no answer in the documents
    assert math.isnan(report_from_json(parsed).values["base"]["F1"][0])
    parsed["arms"][0]["figures"]["F1"]["value"] = None
    assert math.isnan(report_from_json(parsed).arms[0].figures["F1"].value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=4, max_size=4))
def test_any_value_keeps_every_bit(values):
    report = made_run(4, arms=("a",), measures=("nDCG@10",), compared=False).report
    report.values["a"]["nDCG@10"] = np.array(values)
    back = report_from_json(json.loads(_text(report)))
    np.testing.assert_array_equal(back.values["a"]["nDCG@10"], np.array(values))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: [], "not a report"),
        (lambda r: "report", "not a report"),
        (lambda r: {"trials": []}, "not a report"),
        (lambda r: r | {"format": 2}, "format 2 is not 1"),
        (lambda r: r | {"format": "1"}, "format '1' is not 1"),
        (lambda r: r | {"measures": "EM"}, "measures: "),
        (lambda r: r | {"surprise": 1}, "surprise: "),
        (lambda r: {k: v for k, v in r.items() if k != "arms"}, "arms: Field required"),
        (lambda r: r | {"clusters": [0]}, "clusters: 1 for 12 questions"),
        (lambda r: r | {"values": {"nobody": {}}}, "values.nobody: no such arm"),
        (lambda r: r | {"values": {"base": {"EM": [1.0]}}}, "values.base.EM: 1 values for 12"),
        (lambda r: r | {"arms": r["arms"][:1]}, "no arm '+embedder'"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_with_it(change, told):
    parsed = report_json(made_run(12).report)
    with pytest.raises(InputError) as raised:
        report_from_json(change(parsed), where="old.json")
    assert raised.value.message.startswith("old.json: ")
    assert told in raised.value.message
    assert "\n" not in raised.value.message
