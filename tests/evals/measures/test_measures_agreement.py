import asyncio
import gzip
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.errors import InputError
from steelyard.evals.measures.agreement import (
    Confusion,
    Label,
    calibrate,
    calibrate_judge,
    kappa,
    read_labels,
)

from .test_measures_judge import Scripted, block, verdict

LABELS = [Label(str(n), f"evidence {n}", f"answer {n}", n < 20, str(n)) for n in range(40)]
WRONG = {0, 1, 2, 3, 20, 21}  # four sound ones missed, two unsound ones passed


def test_kappa_by_hand():
    # Cohen's own: 20 and 15 agreed, 5 and 10 not; agreement .7, chance .5, kappa .4
    assert kappa(np.array([20.0, 5.0, 10.0, 15.0])) == pytest.approx(0.4)
    assert kappa(np.array([25.0, 0.0, 0.0, 25.0])) == 1.0
    assert kappa(np.array([25.0, 25.0, 25.0, 25.0])) == 0.0
    assert math.isnan(kappa(np.array([9.0, 0.0, 0.0, 0.0])))


def right(n):
    return (n < 20) != (n in WRONG)


def test_a_judge_with_known_errors_has_the_kappa_of_the_hand():
    # (16 + 18) / 40 agree; the judge says yes 18 times, people 20: chance .5, kappa .7
    found = calibrate(lambda answer, evidence: float(right(int(answer.split()[1]))), LABELS)
    assert found.confusion == Confusion(both_sound=16, missed=4, passed=2, both_unsound=18)
    assert found.agreement.value == pytest.approx(0.85)
    assert found.kappa.value == pytest.approx(0.7)
    assert found.kappa.low < 0.7 < found.kappa.high
    assert found.kappa.n == 40


def test_a_language_model_with_known_errors_has_it_too():
    noisy = {5, 6}

    def reply(body):
        n = int(block("answer", body)[0].split()[1])
        if n in noisy and body["seed"] == 1:
            return verdict(not right(n), body)  # outvoted
        return "no idea" if n == 39 else verdict(right(n), body)

    async def run():
        judge = Scripted(reply).judge()
        try:
            return await calibrate_judge(judge, LABELS)
        finally:
            await judge.aclose()

    found = asyncio.run(run())
    assert found.num_failed == 1
    assert found.confusion == Confusion(both_sound=16, missed=4, passed=2, both_unsound=17)
    assert found.unanimous == pytest.approx(37 / 39)
    assert found.spread == pytest.approx(2 * math.sqrt(2 / 9) / 39)
    agreed, chance = 33 / 39, (20 / 39) * (18 / 39) + (19 / 39) * (21 / 39)
    assert found.kappa.value == pytest.approx((agreed - chance) / (1 - chance))


def test_shared_evidence_widens_the_interval():
    """Ten copies of each label tell no more than one; without clusters they seem to."""
    alone = [label for label in LABELS for _ in range(10)]
    apart = [Label(one.id, "", one.response, one.sound, str(n)) for n, one in enumerate(alone)]

    def judge(answer, evidence):
        return float(right(int(answer.split()[1])))

    def width(labels):
        found = calibrate(judge, labels).kappa
        return found.high - found.low

    assert width(alone) == pytest.approx(width(LABELS))
    assert width(apart) < 0.4 * width(alone)


def test_the_threshold_decides():
    found = calibrate(lambda answer, evidence: 0.3, LABELS, threshold=0.2)
    assert found.confusion == Confusion(20, 0, 20, 0)
    assert found.kappa.value == 0.0


def test_nothing_judged_is_an_error():
    with pytest.raises(InputError, match="no label was judged"):
        calibrate(lambda answer, evidence: 1.0, [])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_the_interval_holds_the_figure(rows):
    labels = [Label(str(n), "", str(n), sound, str(n)) for n, (sound, _) in enumerate(rows)]
    found = calibrate(lambda answer, evidence: float(rows[int(answer)][1]), labels)
    assert found.agreement.low <= found.agreement.value <= found.agreement.high


def written(path, rows):
    text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.jsonl.gz"])
def test_labels_are_read(tmp_path, name):
    rows = [
        {"id": "a", "evidence": "E", "response": "R", "label": "Fully attributable", "model": "t5"},
        {"evidence": "E", "response": "S", "label": "Generic"},
    ]
    assert read_labels(written(tmp_path / name, rows)) == (
        Label("a", "E", "R", sound=True, cluster="E"),
        Label("2", "E", "S", sound=False, cluster="E"),
    )


def test_faults_of_labels_are_told_at_once(tmp_path):
    rows = [{"evidence": "E"}, "[1]\n", "{\n", {"evidence": 1, "response": "R", "label": "Generic"}]
    with pytest.raises(InputError) as caught:
        read_labels(written(tmp_path / "labels.jsonl", rows))
    told = str(caught.value)
    assert "line 1 has no text in response, label" in told
    assert "line 2 is no JSON object; line 3 is no JSON object" in told
    assert "line 4 has no text in evidence" in told


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"\xff\xfe"])
def test_rubbish_instead_of_labels_is_one_clear_line(tmp_path, content):
    for name in ("labels.jsonl", "labels.jsonl.gz"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_labels(path)
    with pytest.raises(InputError, match="cannot read labels"):
        read_labels(tmp_path / "nowhere.jsonl")
