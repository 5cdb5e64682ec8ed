"""Twins written for this project: near in words, and one answer serves both, or does not.

Half of them, chosen by hash, served to make the rules; the other half judges them. Those of the
kind `later` were written when the rules stood.
"""

import hashlib
import json
from pathlib import Path

import pytest

from steelyard.cache.meaning import guard

TWINS = [
    json.loads(line)
    for line in Path(__file__).with_name("twins.jsonl").read_text(encoding="utf-8").splitlines()
]
DIFFERENT = [twin for twin in TWINS if twin["label"] == 0]
PARAPHRASES = [twin for twin in TWINS if twin["label"] == 1]


def half(twin: dict[str, object]) -> int:
    return hashlib.sha256(f"{twin['a']}\0{twin['b']}".encode()).digest()[-1] % 2


def test_there_are_enough_twins_of_every_kind():
    kinds = [twin["kind"] for twin in DIFFERENT]
    assert len(set(kinds)) == 10
    assert min(kinds.count(kind) for kind in set(kinds)) >= 40
    assert len(PARAPHRASES) >= 150


@pytest.mark.parametrize("twin", DIFFERENT, ids=lambda twin: f"{twin['a']} - {twin['b']}")
def test_no_answer_serves_both_twins(twin):
    assert guard(twin["a"], twin["b"])
    assert guard(twin["b"], twin["a"])


@pytest.mark.parametrize("side", [0, 1])
def test_most_paraphrases_are_recognised_in_both_halves(side):
    some = [twin for twin in PARAPHRASES if half(twin) == side]
    served = [twin for twin in some if not guard(twin["a"], twin["b"])]
    assert len(served) >= 0.55 * len(some)
