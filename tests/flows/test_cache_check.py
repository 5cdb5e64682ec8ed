"""Bounds against known values, and a threshold chosen by pairs."""

import gzip
import json

import numpy as np
import pytest

from steelyard.core.errors import InputError
from steelyard.embed import HashingEmbedder
from steelyard.flows.cache_check import (
    Judged,
    QuestionPair,
    check,
    judge,
    pairs_needed,
    read_pairs,
    tune,
    upper_bound,
)


@pytest.mark.parametrize(
    ("successes", "trials", "bound"),
    [
        # 1 - 0.05 ** (1 / n) where nothing failed; the rest from the tables of Clopper & Pearson.
        (0, 10, 0.2589),
        (0, 299, 0.00997),
        (1, 10, 0.3942),
        (2, 20, 0.2826),
        (5, 50, 0.1988),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_upper_bound_is_the_exact_one(successes, trials, bound):
    assert upper_bound(successes, trials) == pytest.approx(bound, abs=1e-4)


def test_upper_bound_is_where_so_few_successes_become_unlikely():
    rate = upper_bound(1, 100)
    at_most_one = (1 - rate) ** 100 + 100 * rate * (1 - rate) ** 99
    assert at_most_one == pytest.approx(0.05, abs=1e-9)


def test_pairs_needed_is_the_least_number_that_proves_a_budget():
    assert pairs_needed(0.01) == 299
    assert upper_bound(0, 299) <= 0.01 < upper_bound(0, 298)


def judged(label: int, cosine: float, reason: str = "") -> Judged:
    return Judged(QuestionPair("a", "b", label), "k", cosine, reason)


def test_check_counts_hits_by_label_and_names_the_worst_first():
    some = [
        judged(0, 0.8),
        judged(0, 0.9),
        judged(0, 0.99, "number"),
        judged(1, 0.9),
        judged(1, 0.5),
    ]
    found = check(some, threshold=0.7)
    assert (found.total.wrong, found.total.different) == (2, 3)
    assert (found.total.hits, found.total.same) == (1, 2)
    assert [one.cosine for one in found.wrong] == [0.9, 0.8]
    assert [one.cosine for one in found.missed] == [0.5]


def test_tune_goes_as_low_as_the_bound_allows_and_no_lower():
    some = [judged(0, 0.4)] * 298 + [judged(0, 0.82)] + [judged(1, 0.9)]
    assert tune(some, budget=0.01).threshold == 0.83
    assert tune(some, budget=0.02).threshold == 0.5


def test_tune_does_not_pretend_with_too_few_pairs():
    found = tune([judged(0, 0.4)] * 298, budget=0.01)
    assert found.threshold is None
    assert found.needed == 299


def test_judge_names_a_kind_where_the_row_has_none():
    pairs = [QuestionPair("pay 5 euros", "pay 6 euros", 0), QuestionPair("pay", "pay", 1)]
    found = judge(pairs, HashingEmbedder())
    assert [one.kind for one in found] == ["number", "other"]
    assert found[1].cosine == pytest.approx(1, abs=1e-3)
    assert np.isfinite(found[0].cosine)


def test_pairs_are_read_plain_and_zipped(tmp_path):
    rows = (
        '{"a": "x", "b": "y", "label": 0, "kind": "number"}\n\n{"a": "ü", "b": "y", "label": 1}\n'
    )
    (tmp_path / "p.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "p.gz").write_bytes(gzip.compress(rows.encode()))
    plain = read_pairs(tmp_path / "p.jsonl")
    assert plain == read_pairs(tmp_path / "p.gz")
    assert [pair.kind for pair in plain] == ["number", ""]


def test_all_wrong_rows_are_named_at_once(tmp_path):
    path = tmp_path / "bad.jsonl"
    rows = ["nonsense", "[1]", '{"a": "x", "label": 2}', '{"a": "x", "b": "y", "label": true}',
            json.dumps({"a": "x", "b": "y" * 30_000, "label": 1, "kind": 3})]  # fmt: skip
    path.write_text("\n".join(rows))
    with pytest.raises(InputError) as raised:
        read_pairs(path)
    for number in range(1, 6):
        assert f"bad.jsonl:{number}: " in raised.value.message
    assert "label 2 is neither 0 nor 1" in raised.value.message


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00", b"\x1f\x8bnothing"])
def test_files_without_pairs_are_refused(tmp_path, content):
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"p\.jsonl"):
        read_pairs(path)
