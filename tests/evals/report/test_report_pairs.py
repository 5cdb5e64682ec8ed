"""Two arms side by side: of one run, of two runs, in every order; and what a run's summary says."""

import dataclasses
import json
import math

import pytest
from made import made_run

from steelyard.core.errors import InputError, NotFound
from steelyard.evals.report import Side, item_json, item_rows, summary_json


def _rows(made, order="loss", measure="nDCG@10", baseline="base"):
    side = None if baseline is None else Side(made.report, baseline)
    arm = Side(made.report, "+reranker")
    return item_rows(arm, side, made.questions, measure=measure, order=order)


def _number(text):
    return float(text.replace("−", "-").removesuffix(" ms"))


def test_losses_come_first_wins_first_or_changes_first():
    made = made_run(60)
    losses = [_number(row["delta"]) for row in _rows(made, "loss")]
    assert losses == sorted(losses)
    assert [_number(row["delta"]) for row in _rows(made, "win")] == sorted(losses, reverse=True)
    changes = [abs(_number(row["delta"])) for row in _rows(made, "change")]
    assert changes == sorted(changes, reverse=True)
    assert [row["id"] for row in _rows(made, "set")] == list(made.report.question_ids)


def test_slower_is_a_loss():
    slowest = _rows(made_run(60), "loss", "p95_ms")[0]
    assert slowest["delta"].startswith("+")
    assert slowest["kind"] == "loss"


def test_what_does_not_apply_comes_last():
    rows = _rows(made_run(60), "loss", "F1")
    blank = [row["delta"] == "–" for row in rows]
    assert any(blank)
    assert blank == sorted(blank)


def test_one_arm_alone_has_values_and_no_differences():
    row = _rows(made_run(20), baseline=None)[0]
    assert (row["baseline"], row["delta"], row["kind"]) == ("–", "–", "")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"order": "best"}, "none of loss, win"),
        ({"measure": "BLEU"}, "did not measure 'BLEU'"),
    ],
)
def test_a_wrong_wish_is_named(fields, told):
    with pytest.raises(InputError, match=told):
        _rows(made_run(5), **fields)


def test_an_unknown_arm_is_named_with_the_known_ones():
    with pytest.raises(NotFound, match=r"no arm 'rag'; it has base, \+embedder"):
        Side(made_run(5).report, "rag")


def test_arms_of_two_runs_are_paired_by_question_whatever_their_order():
    made = made_run(60)
    first = made.report
    turned = dataclasses.replace(
        first,
        id="other",
        question_ids=first.question_ids[:0:-1],  # and without the first
        values={a: {m: v[:0:-1] for m, v in by.items()} for a, by in first.values.items()},
    )

    def rows(baseline):
        arm = Side(first, "+reranker")
        return item_rows(arm, baseline, made.questions, measure="nDCG@10", order="set")

    within, across = rows(Side(first, "base")), rows(Side(turned, "base"))
    assert across[1:] == within[1:]
    assert across[0] == within[0] | {"baseline": "–", "delta": "–", "kind": ""}


def test_a_summary_has_words_for_everything_and_nothing_of_single_questions():
    report = made_run(60).report
    told = summary_json(report)
    text = json.dumps(told, allow_nan=False)
    assert "q-00003" not in text
    assert told["num_questions"] == 60
    assert told["baseline"] == "base"
    assert told["quality"] == ["nDCG@10", "F1"]
    assert told["arms"][0]["figures"]["nDCG@10"]["text"].startswith("0.")
    assert [one["arm"] for one in told["verdicts"]] == ["base", "+embedder", "+reranker"]
    assert [step["arm"] for step in told["steps"]["F1"]] == ["+embedder", "+reranker"]
    assert told["comparisons"][0]["sign"] in "▲▼=?"


def test_one_question_has_every_arm_with_its_values_and_passages():
    made = made_run(60)
    found = item_json(made.report, made.questions, "q-00004", made.outcomes)
    assert found["text"] == made.questions.questions[4].text
    assert [arm["name"] for arm in found["arms"]] == ["base", "+embedder", "+reranker"]
    source = found["arms"][0]["sources"][0]
    assert (
        found["passages"][source["at"]]["text"] == made.outcomes["base"][4].answer.sources[0].text
    )
    value = made.report.values["base"]["nDCG@10"][4]
    assert math.isclose(found["arms"][0]["values"]["nDCG@10"], value, rel_tol=1e-4)
    json.dumps(found, allow_nan=False)
    with pytest.raises(NotFound, match="no question 'x'"):
        item_json(made.report, made.questions, "x", made.outcomes)
