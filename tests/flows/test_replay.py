"""The query log asked again: which questions, as whom, and never more than they could see."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.app import App, open_app
from steelyard.arms import ArmSpec, Laboratory, read_arms
from steelyard.core.chat import Answer, Asker, Citation, Message, Usage
from steelyard.core.errors import InputError
from steelyard.core.evaluation import Outcome, Report
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.evals.measures import parse_measures
from steelyard.evals.records import Records
from steelyard.flows.answer import Wish
from steelyard.flows.cached import CacheUse
from steelyard.flows.evaluate import EvaluateOptions, evaluate
from steelyard.flows.library import NewText
from steelyard.flows.replay import Replay, replay_of
from steelyard.infra.concurrent import Workers
from steelyard.store import Store

HR = Principal("ann", frozenset({"public", "hr"}))
OPTIONS = {"embed.model": "hashing"}
LEAVE = "Staff get 31 days of paid leave a year."
PAY = "Pay of directors is 90 thousand a year. Paid leave of directors is 40 days a year."
QUESTION = "How many days of paid leave a year?"
MEASURES = parse_measures("agree_F1,agree_sources,abstention,support,failed,p95_ms")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "home" / "steelyard.db")
    yield opened
    opened.close()


def log(
    store: Store,
    identity: str,
    question: str = "Why?",
    *,
    principal: Principal = PUBLIC,
    user: str = "",
    history: tuple[Message, ...] = (),
    cited: tuple[str, ...] = (),
    text: str = "42",
    **fields: object,
) -> None:
    citations = tuple(Citation(1, name, name, 1, 0, 2, "ab") for name in cited)
    usage = Usage({"total": 7.0}, model="m")
    answer = Answer(identity, text, bool(text), citations, (), (), usage, "miss", "b", 1, ())
    query = Query(question, principal, **fields)  # type: ignore[arg-type]
    store.log_answer(query, answer, history=history, asker=Asker(user))


def ids(replay: Replay) -> list[str]:
    return [question.id for question in replay.questions.questions]


def test_one_question_is_asked_once_and_as_it_was_asked_last(store):
    log(store, "a1", "Why?", user="u1", k=3)
    log(store, "a2", "  why? ", user="u2", k=5)
    log(store, "a3", "Why?", collection="other")
    log(store, "a4", "Why?", filter={"lang": "en"})
    log(store, "a5", "Why?", history=(Message("user", "What?"),))
    replay = replay_of(store, last=10)
    assert ids(replay) == ["a5", "a4", "a3", "a2"]
    assert replay.queries["a2"].k == 5
    assert replay.queries["a4"].filter == {"lang": "en"}
    assert replay.questions.questions[0].history == (Message("user", "What?"),)
    assert "1 questions left out: asked again later" in replay.questions.notes


def test_the_newest_are_taken_and_no_user_dominates(store):
    for n in range(30):
        log(store, f"a{n}", f"Question {n}?", user="busy" if n % 3 else f"u{n}")
    assert ids(replay_of(store, last=2, per_user=9)) == ["a29", "a28"]
    replay = replay_of(store, last=30, per_user=4)
    users = [question.cluster for question in replay.questions.questions]
    assert users.count("busy") == 4
    assert len(users) == 14
    assert "16 questions left out: more than 4 of one user" in replay.questions.notes


def test_what_public_alone_could_not_ask_comes_along_only_when_it_is_wanted(store):
    log(store, "a1", "Secret?", principal=HR)
    log(store, "a2", "Other?", principal=Principal("key", frozenset({"hr"})))
    with pytest.raises(InputError, match="2 questions left out: asked with more than"):
        replay_of(store, last=10)
    replay = replay_of(store, last=10, as_asked=True)
    assert [replay.queries[one].principal.groups for one in ids(replay)] == [
        {"hr"}, {"public", "hr"},
    ]  # fmt: skip
    assert not any(query.principal.operator for query in replay.queries.values())


def test_lines_of_an_older_version_are_left_out_and_counted(store):
    log(store, "a1")
    log(store, "a2", "Then?")
    with store._database.writing() as connection:
        connection.execute("UPDATE answers SET groups = '' WHERE id = 'a1'")
    replay = replay_of(store, last=10)
    assert ids(replay) == ["a2"]
    assert any("an older version" in note for note in replay.questions.notes)


def test_only_what_is_new_enough_is_asked(store):
    log(store, "a1")
    assert ids(replay_of(store, last=10, since_s=3_600)) == ["a1"]
    with pytest.raises(InputError, match="no question to ask again"):
        replay_of(store, last=10, since_s=-1)


def test_what_was_served_is_an_arm_that_failed_where_nobody_was_answered(store):
    log(store, "a1")
    store.log_failure(Query("When?", PUBLIC), "left", took_ms=900.0, bundle="b")
    store.add_feedback("a1", "down", principal=PUBLIC)
    replay = replay_of(store, last=10)
    failed, answered = replay.questions.questions
    outcomes = [asyncio.run(replay.served.run(one)) for one in (failed, answered)]
    assert (outcomes[0].error, outcomes[0].wall_ms) == ("left: not answered then", 900.0)
    assert (outcomes[1].answer.text, outcomes[1].wall_ms) == ("42", 7.0)
    assert (failed.answerable, answered.answerable, answered.type) == (None, True, "rated down")
    assert replay.served.parts["reader"] == "m"
    keys = {replay.served.item_key(one) for one in (failed, answered)}
    assert len(keys) == 2


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which the public and HR have asked the same question."""
    path = tmp_path / "asked"
    app = open_app(path, flags=OPTIONS)

    async def main() -> None:
        async with app.working():
            await put(app)
            for principal in (PUBLIC, HR):
                wish = Wish(cache=CacheUse.NONE, asker=Asker(f"p-{principal.id}"))
                answer = await app.answering.answer(Query(QUESTION, principal, k=4), wish)
                assert answer.answerable
            await app.answering.answer(Query("Who is the king of the moon?", PUBLIC, k=4))

    asyncio.run(main())
    app.close()
    return path


async def put(app: App) -> None:
    leave = NewText(id="leave", text=LEAVE)
    pay = NewText(id="pay", text=PAY, groups=("hr",))
    for new in (leave, pay):
        await app.library.settled((await app.library.put_text(new)).tickets)


def weighed(home: Path, specs: tuple[ArmSpec, ...], *, as_asked: bool) -> tuple[Report, dict]:
    store = Store.open(home / "steelyard.db")
    replay = replay_of(store, last=100, as_asked=as_asked)
    store.close()
    laboratory = Laboratory(home, flags=OPTIONS, queries=replay.queries)
    workers = Workers(query_threads=1, ingest_threads=1)

    async def main(records: Records) -> Report:
        async with laboratory.opened(replay.questions, specs) as opened:
            return await evaluate(
                opened.questions,
                [*opened.arms, replay.served],
                MEASURES,
                records=records,
                workers=workers.query,
                options=EvaluateOptions("rag", resamples=200, cluster_by="document"),
            )

    with Records(home / "evals" / "records.db") as records:
        report = asyncio.run(main(records))
        outcomes = records.outcomes(report.id)
    workers.close()
    return report, outcomes


def found_in(outcome: Outcome) -> set[str]:
    assert outcome.answer is not None
    return {source.document_id for source in outcome.answer.sources}


def test_the_same_bundle_over_the_same_documents_agrees_with_itself(home):
    report, _ = weighed(home, read_arms("rag"), as_asked=True)
    assert len(report.question_ids) == 3
    values = report.values["rag"]
    assert list(values["agree_F1"]) == [1.0, 1.0, 1.0]
    assert list(values["abstention"]) == [1.0, 1.0, 1.0]
    assert np.nanmin(values["agree_sources"]) == 1.0
    assert np.isnan(report.values["served"]["agree_F1"]).all()
    assert report.values["served"]["abstention"].mean() == 1.0


def test_a_replay_never_shows_a_document_that_its_asker_could_not_see(home):
    specs = read_arms("rag", lines=["wide=rag k=20 retrieve.pool=200"])
    _, outcomes = weighed(home, specs, as_asked=True)
    store = Store.open(home / "steelyard.db")
    asked = replay_of(store, last=100, as_asked=True).queries
    store.close()
    seen_by_hr = set()
    for name in ("rag", "wide"):
        for outcome in outcomes[name]:
            if asked[outcome.question_id].principal.groups == PUBLIC.groups:
                assert found_in(outcome) <= {"leave"}
            else:
                seen_by_hr |= found_in(outcome)
    assert "pay" in seen_by_hr  # it is there to be found

    public_only, outcomes = weighed(home, specs, as_asked=False)
    assert len(public_only.question_ids) == 2
    for name in ("rag", "wide", "served"):
        for outcome in outcomes[name]:
            assert {one.document_id for one in outcome.ranking} <= {"leave"}
            assert "40 days" not in outcome.answer.text


def test_a_document_taken_from_its_readers_is_no_source_to_agree_with(home):
    app = open_app(home, flags=OPTIONS)

    async def main() -> None:
        async with app.working():
            moved = NewText(id="leave", text=LEAVE, groups=("hr",))
            await app.library.settled((await app.library.put_text(moved)).tickets)

    asyncio.run(main())
    app.close()
    _, outcomes = weighed(home, read_arms("rag"), as_asked=False)
    assert all(not found_in(outcome) for outcome in outcomes["rag"])


def test_the_log_is_not_added_to_by_a_replay(home):
    store = Store.open(home / "steelyard.db")
    before = store.recent_answers(limit=1_000, failed=True)
    weighed(home, read_arms("rag"), as_asked=True)
    assert store.recent_answers(limit=1_000, failed=True) == before
    store.close()
