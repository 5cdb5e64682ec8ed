"""Arms in words: what is read, and that all that is wrong is told at once."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.arms import BUILT_IN, read_arms
from steelyard.core.errors import InputError
from steelyard.cost import Rates

ARMS = """
[wide]
base = "rag"
k = 20
retrieve.pool = 100

[cheap]
base = "rag"
usd_per_mtok_in = 0.5
"""


def test_arms_come_in_the_order_in_which_they_are_named():
    arms = read_arms("dense, bm25", lines=["wide=rag k=20 retrieve.pool=100"])
    assert [arm.name for arm in arms] == ["dense", "bm25", "wide"]
    assert (arms[2].k, arms[2].answers) == (20, True)
    assert dict(arms[2].options) == {"retrieve.pool": "100"}


def test_an_arm_may_be_made_from_one_that_was_just_made():
    arms = read_arms("", lines=["wide=rag k=20", "formal=wide 'llm.instructions=Be formal.'"])
    assert arms[1].k == 20
    assert arms[1].options["llm.instructions"] == "Be formal."


def test_a_file_has_a_table_an_arm(tmp_path):
    file = tmp_path / "arms.toml"
    file.write_text(ARMS)
    wide, cheap = read_arms("", file=file)
    assert (wide.k, dict(wide.options)) == (20, {"retrieve.pool": 100})
    assert cheap.rates == Rates(usd_per_mtok_in=0.5)


def test_the_tuned_arms_are_the_base_and_rag_with_the_tuned_model():
    tuned, both = read_arms("tuned,tuned+rag", tuned={"llm.model": "ours"})
    assert dict(tuned.options) == {"retrieve.legs": "none", "llm.model": "ours"}
    assert dict(both.options) == {"llm.model": "ours"}


@pytest.mark.parametrize(
    ("names", "lines", "said"),
    [
        (
            "bm26,tuned",
            ["wide rag"],
            ["mean 'bm25'", "--tuned llm.model=NAME", "NAME=BASE"],
        ),
        ("", [], ["no arm is named"]),
        ("bm25,bm25", [], ["'bm25' is given twice"]),
        (
            "",
            ["a=rag k=0", "b=rag retrieve.poool=1"],
            ["from 1 to 200", "mean 'retrieve.pool'"],
        ),
        ("", ["a=rag k=nan"], ["from 0 on"]),
        (
            "",
            ["a=rag k=ten", "b=rag retrieve.pool=wide", "c=rag serve.port=80"],
            [
                "k = 'ten': a number is needed",
                "--arm 'b=rag retrieve.pool=wide': retrieve.pool = 'wide': a whole number",
                "serve.port is the server's",
            ],
        ),
        ("", ["a=rag k"], ["has no '='"]),
        ("", ["'"], ["--arm"]),
        ("", ["a=rag usd_per_hour=-1"], ["from 0 on"]),
    ],
)
def test_every_fault_is_told_at_once(names, lines, said):
    with pytest.raises(InputError) as caught:
        read_arms(names, lines=lines)
    for words in said:
        assert words in str(caught.value)


@given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
def test_any_words_are_arms_or_a_clear_error(names, lines):
    with suppress(InputError):
        assert read_arms(names, lines=lines)


def test_a_torn_file_is_named(tmp_path):
    (tmp_path / "arms.toml").write_text("[wide\n")
    with pytest.raises(InputError, match=r"arms\.toml cannot be read"):
        read_arms("", file=tmp_path / "arms.toml")


def test_costs_add_up_and_are_not_told_without_a_price():
    both = Rates(usd_per_mtok_in=2.0, usd_per_mtok_out=10.0, usd_per_hour=3.6)
    assert both.cost_usd(tokens_in=1000, tokens_out=100, wall_ms=500) == pytest.approx(
        0.002 + 0.001 + 0.0005
    )
    assert Rates().cost_usd(tokens_in=1000, tokens_out=100, wall_ms=500) is None
    assert Rates(usd_per_mtok_out=0.0).cost_usd(tokens_in=9, tokens_out=9, wall_ms=9) == 0.0


def test_only_bm25_reads_documents_whole():
    whole = [
        name for name, arm in BUILT_IN.items() if any(k.startswith("chunk.") for k in arm.options)
    ]
    assert whole == ["bm25"]


def test_hybrid_with_rerank_takes_the_shipped_reranker_or_the_homes() -> None:
    (shipped,) = read_arms("hybrid+rerank")
    assert shipped.options == {"retrieve.legs": "hybrid", "rerank.model": "default"}
    (own,) = read_arms("hybrid+rerank", reranked=True)
    assert own.options == {"retrieve.legs": "hybrid"}
