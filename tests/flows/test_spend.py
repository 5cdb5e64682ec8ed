"""Showback: worked out by hand for a small log, and honest about what nobody knows."""

import json
import time
from datetime import date

import pytest

from steelyard.core.chat import Answer, Asker, Usage
from steelyard.core.errors import InputError, NotFound, SetupError
from steelyard.core.prices import Mark
from steelyard.core.ranking import Principal, Query
from steelyard.cost.own import FILE_NAME, add_row
from steelyard.flows import spend as flow
from steelyard.flows.spend import FAILED, since_of, spend, spend_json
from steelyard.store import Store
from steelyard.store import answers as log

NOON = 1_795_348_800.0  # 2026-11-22 12:00 UTC


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def store(home):
    with Store.open(home / "steelyard.db") as opened:
        yield opened


@pytest.fixture
def asked(store, monkeypatch):
    """Log an answer as of a time."""
    num = 0

    def ask(*, at=NOON, who="ann", where="hr", cache="miss", text="42", bundle="b1", **usage):
        nonlocal num
        num += 1
        monkeypatch.setattr(log.time, "time", lambda: at)
        query = Query("why?", Principal(id=who, groups=frozenset()), collection=where)
        usage = Usage(**{"model": "gpt-6-luna", **usage})
        store.log_answer(
            query, Answer(f"a{num}", text, True, (), (), (), usage, cache, bundle, 1, ())
        )

    return ask


# 4,000 read at 0.10 and 300 written at 0.50 a million.
RAG = {"prompt_tokens": 4000, "completion_tokens": 300}
RAG_USD = 0.00055


def test_questions_are_priced_and_grouped(home, store, asked):
    asked(where="hr", **RAG)
    asked(where="hr", **RAG, cached_tokens=3000)
    asked(where="it", prompt_tokens=1_000_000, completion_tokens=1)
    found = spend(home, store, by="collection")
    it, hr = found.lines  # the dearest first
    assert (it.name, hr.name) == ("it", "hr")
    cached_usd = (1000 * 0.10 + 3000 * 0.01 + 300 * 0.50) / 1e6
    assert hr.usd == pytest.approx(RAG_USD + cached_usd)
    assert hr.usd_per_1000 == pytest.approx(500 * (RAG_USD + cached_usd))
    assert (hr.prompt_tokens, hr.cached_tokens, hr.completion_tokens) == (8000, 3000, 600)
    # A million tokens are a long prompt: the tier above 272,000.
    assert it.usd == pytest.approx(0.2 + 0.75e-6)
    assert found.total.usd == pytest.approx(it.usd + hr.usd)
    assert found.total.num_unknown == 0
    assert {price.item for price in found.prices} == {
        "llm/gpt-6-luna/in", "llm/gpt-6-luna/out", "llm/gpt-6-luna/cached",
    }  # fmt: skip


def test_each_question_is_priced_on_its_own_day(home, store, asked):
    for day in ("2026-12-31", "2027-01-01"):
        at = since_of(day, now=0.0) + 60
        asked(at=at, model="gemini-3.6-flash", prompt_tokens=1_000_000, completion_tokens=1)
    found = spend(home, store, by="day")
    assert [line.name for line in found.lines] == ["2027-01-01", "2026-12-31"]
    assert [round(line.usd, 4) for line in found.lines] == [1.5, 0.75]


def test_what_the_cache_answered_costs_nothing_and_its_savings_are_counted(home, store, asked):
    asked(**RAG, text="a")
    asked(prompt_tokens=8000, completion_tokens=600, text="b")
    asked(cache="exact", text="b")
    asked(cache="semantic", text="not in the log")
    (line,) = spend(home, store).lines
    assert (line.num_questions, line.num_again, line.num_unknown) == (4, 2, 0)
    assert line.usd == pytest.approx(3 * RAG_USD)
    assert line.usd_per_1000 == pytest.approx(3 * RAG_USD / 4 * 1000)
    # "b" cost 2 x RAG_USD, the other one what the model's answers cost on average: 1.5 x.
    assert line.saved_usd == pytest.approx(3.5 * RAG_USD)


def test_what_nobody_knows_is_told_and_not_taken_for_nothing(home, store, asked):
    asked(**RAG)
    asked(model="our-8b", **RAG)
    asked(model="gpt-6-luna")
    query = Query("why?", Principal(id="ann", groups=frozenset()), collection="hr")
    store.log_failure(query, "upstream", took_ms=5, bundle="b1")
    found = spend(home, store)
    (line,) = found.lines
    assert (line.num_questions, line.num_unknown, line.num_failed) == (4, 3, 1)
    assert line.usd_per_1000 == pytest.approx(1000 * RAG_USD)
    assert found.unknown == {
        "no price of 'our-8b'": 1, "'gpt-6-luna' did not tell its tokens": 1, FAILED: 1,
    }  # fmt: skip
    assert any("3 of 4 questions (75%) is not known" in note for note in found.notes)


def test_an_answer_that_stood_in_for_a_failed_arm_is_priced(home, store):
    query = Query("why?", Principal(id="ann", groups=frozenset()))
    usage = Usage(model="gpt-6-luna", **RAG)
    made = Answer("a1", "x", True, (), (), (), usage, "miss", "b1", 1, ())
    store.log_answer(query, made, asker=Asker("u", 1, "challenger", "upstream"))
    (line,) = spend(home, store).lines
    assert (line.num_failed, line.num_unknown) == (1, 0)
    assert line.usd == pytest.approx(RAG_USD)


def test_the_documents_own_words_cost_no_tokens(home, store, asked):
    asked(model="extractive, default@1")
    (line,) = spend(home, store, by="model").lines
    assert (line.name, line.usd, line.num_unknown) == ("extractive, default@1", 0.0, 0)


def test_a_machine_pays_for_models_of_ones_own_and_for_training(home, store, asked):
    asked(model="our-8b", timings_ms={"generate": 1800.0}, at=NOON)
    trained(home, started_at=NOON, ended_at=NOON + 9999, seconds=7200, tokens=5_000_000)
    found = spend(home, store, machine="gpu/h100-sxm")
    assert found.total.usd == pytest.approx(1.8 / 3600 * 3.99)
    (run,) = found.trainings
    assert run.usd == pytest.approx(2 * 3.99)
    assert (run.run, run.kind, run.state, run.tokens) == ("run-1", "reranker", "done", 5_000_000)
    (run,) = spend(home, store).trainings
    assert (run.usd, run.unknown) == (None, "name the machine that trained: --machine gpu/NAME")
    assert spend(home, store, since=NOON + 1).trainings == ()


def test_a_run_that_did_not_end_well_took_its_time_too(home, store):
    trained(home, started_at=NOON, ended_at=NOON + 3600, state="failed")
    (run,) = spend(home, store, machine="gpu/l4").trainings
    assert (run.seconds, run.usd, run.tokens) == (3600, pytest.approx(0.8), 0)


def test_ones_own_prices_hold(home, store, asked):
    asked(**RAG, at=time.time())
    row = {"usd": 1.0, "unit": "USD/Mtoken", "seen": date.today()}
    add_row(home, {"item": "llm/gpt-6-luna/in"} | row, units={})
    found = spend(home, store)
    assert found.total.usd == pytest.approx(0.004 + 0.00015)
    assert [price.item for price in found.prices if price.mark is Mark.USER] == [
        "llm/gpt-6-luna/in"
    ]


def test_an_empty_log_is_no_fault(home, store):
    found = spend(home, store)
    assert (found.lines, found.total.usd_per_1000, found.total.unknown_share) == ((), None, 0.0)
    assert found.notes == ()


def test_spend_as_json_has_everything(home, store, asked):
    asked(**RAG)
    trained(home, started_at=NOON, ended_at=NOON + 60)
    told = json.loads(json.dumps(spend_json(spend(home, store, by="principal"))))
    assert told["groups"][0]["name"] == "ann"
    assert told["total"]["usd_per_1000"] == pytest.approx(1000 * RAG_USD)
    assert told["prices"][0]["seen"] == "2026-09-22"
    assert told["trainings"][0]["usd"] is None


@pytest.mark.parametrize("by", flow.BY)
def test_every_grouping_adds_up(home, store, asked, by):
    asked(who="ann", **RAG)
    asked(who="bob", where="it", bundle="b2", at=NOON + 86_400, **RAG)
    asked(cache="exact")
    found = spend(home, store, by=by)
    assert sum(line.num_questions for line in found.lines) == found.total.num_questions == 3
    assert sum(line.usd for line in found.lines) == pytest.approx(2 * RAG_USD)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"by": "moon"}, InputError, "no spend by 'moon'; by collection, principal"),
        ({"machine": "gpu/toaster"}, NotFound, "gpu/toaster"),
        ({"machine": "server/cpu-4"}, InputError, "not priced by the hour"),
    ],
)
def test_wrong_wishes_are_named(home, store, options, error, told):
    with pytest.raises(error, match=told):
        spend(home, store, **options)


def test_a_wrong_price_file_is_told(home, store):
    (home / FILE_NAME).write_text("[[price]]\nitem = 3\n")
    with pytest.raises(SetupError, match="item 3 is no line of text"):
        spend(home, store)


def test_a_time_is_a_span_or_a_day():
    assert since_of("", now=NOON) == 0.0
    assert since_of("12h", now=NOON) == NOON - 12 * 3600
    assert since_of("2w", now=NOON) == NOON - 14 * 86_400
    assert since_of("2026-11-22", now=0) == NOON - 12 * 3600
    for wrong in ("yesterday", "7", "-3d", "2026-13-01", "999999d"):
        with pytest.raises(InputError, match="is no time; write a span"):
            since_of(wrong, now=NOON)


def trained(home, *, started_at, ended_at, state="done", **summary):
    folder = home / "tune" / "runs" / "run-1"
    folder.mkdir(parents=True)
    standing = {
        "state": state, "kind": "reranker", "started_at": started_at, "ended_at": ended_at
    }  # fmt: skip
    (folder / "state.json").write_text(json.dumps(standing))
    if summary:
        (folder / "summary.json").write_text(json.dumps(summary))
