import pytest

from steelyard.core.chat import Answer, Citation, Usage
from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.infra.sqlite import Database
from steelyard.store import OPERATOR, Store
from steelyard.store.answers import Answers

ANN = Principal(id="ann", groups=frozenset({"ops"}))


def _answer(answer_id, text="42"):
    return Answer(
        id=answer_id,
        text=text,
        answerable=True,
        citations=(Citation(1, "a", "u", 7, 0, 2, "ab"),),
        unsupported=(),
        sources=(),
        usage=Usage(timings_ms={"total": 1.5}, model="m"),
        cache="miss",
        bundle="b",
        snapshot=9,
        degraded=(),
    )


def test_a_secret_stands_for_its_principal_until_it_is_removed(store):
    secret = store.add_key("ann", ("ops", "hr"), operator=True)
    assert store.principal_for(secret) == Principal("ann", frozenset({"ops", "hr"}), True)
    assert [(k.id, k.groups, k.operator) for k in store.list_keys()] == [
        ("ann", ("hr", "ops"), True)
    ]
    store.remove_key("ann")
    assert store.principal_for(secret) is None
    assert store.list_keys() == []
    with pytest.raises(NotFound, match="'ann'"):
        store.remove_key("ann")


def test_only_the_exact_secret_opens(store):
    secret = store.add_key("ann", ("ops",))
    other = store.add_key("bob", ("hr",))
    key_id = secret.split("_")[1]
    guesses = ["", "sy", "sy_", f"sy_{key_id}", f"sy_{key_id}_", secret[:-1], secret + "x"]
    guesses += [secret.upper(), "\0", "\ud800", f"sy_{key_id}_{other.split('_', 2)[2]}", "é" * 9]
    assert [store.principal_for(guess) for guess in guesses] == [None] * len(guesses)
    assert store.principal_for(secret).id == "ann"


def test_the_secret_is_nowhere_in_the_home(path, store):
    secret = store.add_key("ann", ("ops",))
    store.close()
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert secret.encode() not in content
    assert secret.split("_", 2)[2].encode() not in content


def test_a_name_is_taken_once(store):
    store.add_key("ann", ())
    with pytest.raises(InputError) as caught:
        store.add_key("ann", ())
    assert caught.value.code == "name_taken"


def test_an_answer_is_logged_with_who_asked_what(store):
    store.log_answer(Query("why?", ANN, collection="c"), _answer("x1"))
    (logged,) = store.recent_answers()
    assert (logged.id, logged.principal_id, logged.collection, logged.question) == (
        "x1",
        "ann",
        "c",
        "why?",
    )
    assert (logged.text, logged.snapshot, logged.timings_ms) == ("42", 9, {"total": 1.5})
    assert (logged.rating, logged.comment) == (None, "")
    assert logged.citations == (Citation(1, "a", "u", 7, 0, 2, "ab"),)


def test_only_rated_answers_are_given_where_they_are_asked_for(store):
    for name in ("x1", "x2", "x3"):
        store.log_answer(Query("why?", ANN), _answer(name))
    store.add_feedback("x2", "down", principal=ANN)
    assert [one.id for one in store.recent_answers(only_rated=True)] == ["x2"]
    assert len(store.recent_answers()) == 3


def test_feedback_is_the_askers_and_the_last_word_counts(store):
    store.log_answer(Query("why?", ANN), _answer("x1"))
    store.add_feedback("x1", "down", comment="wrong", principal=ANN)
    store.add_feedback("x1", "up", principal=ANN)
    assert [(a.rating, a.comment) for a in store.recent_answers()] == [("up", "")]
    store.add_feedback("x1", "down", comment="checked", principal=OPERATOR)
    assert [(a.rating, a.comment) for a in store.recent_answers()] == [("down", "checked")]
    for answer_id, principal in (("x1", PUBLIC), ("nope", ANN)):
        with pytest.raises(NotFound):
            store.add_feedback(answer_id, "up", principal=principal)


def test_a_correction_is_kept_with_its_rating_and_replaced_with_it(store):
    store.log_answer(Query("why?", ANN), _answer("x1"))
    store.add_feedback("x1", "down", correction=" It is 43. ", principal=ANN)
    assert [a.correction for a in store.recent_answers()] == ["It is 43."]
    store.add_feedback("x1", "up", principal=ANN)
    assert [a.correction for a in store.recent_answers()] == [""]
    with pytest.raises(InputError, match="correction has 20001 characters"):
        store.add_feedback("x1", "down", correction="x" * 20_001, principal=ANN)


@pytest.mark.parametrize(("rating", "comment"), [("great", ""), ("", ""), ("up", "x" * 5000)])
def test_bad_feedback_is_refused(store, rating, comment):
    store.log_answer(Query("why?", ANN), _answer("x1"))
    with pytest.raises(InputError):
        store.add_feedback("x1", rating, comment=comment, principal=ANN)


def test_logging_does_not_move_the_snapshot(store):
    before = store.last_seq()
    store.log_answer(Query("why?", ANN), _answer("x1"))
    assert store.last_seq() == before


def test_the_log_is_bounded_but_rated_answers_stay(path, store):
    answers = Answers(store._database, max_answers=50)
    for n in range(400):
        answers.log_answer(Query("q", ANN), _answer(f"x{n}"))
        if n == 3:
            answers.add_feedback("x3", "up", principal=ANN)
    left = [a.id for a in answers.recent_answers(limit=1000)]
    assert left == [*(f"x{n}" for n in range(399, 349, -1)), "x3"]


def test_old_answers_go_by_age(store):
    answers = Answers(store._database, max_age_s=-1.0)
    for n in range(200):
        answers.log_answer(Query("q", ANN), _answer(f"x{n}"))
    assert answers.recent_answers() == []


def test_a_store_is_made_of_one_database(path):
    with Store.open(path) as store:
        assert isinstance(store._database, Database)
        assert store.path == path
