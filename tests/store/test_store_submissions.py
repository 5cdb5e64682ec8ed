import os

import pytest

from steelyard.core.documents import State
from steelyard.core.errors import Forbidden, InputError, NotFound
from steelyard.core.ranking import PUBLIC, Principal, Query
from steelyard.store import OPERATOR, Store, Submission

ANN = Principal(id="ann", groups=frozenset({"ops"}))


def _texts(store, draft, document_id="a"):
    return [c.text for c in store.chunks_of("default", document_id, principal=OPERATOR)]


def test_a_submitted_document_is_listed_as_queued_and_finds_nothing(store):
    store.submit(Submission(id="a", uri="file:///a", size_bytes=3), principal=OPERATOR)
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.num_chunks, row.error) == (State.QUEUED, 0, None)
    assert store.allowed(Query("q", PUBLIC)).classes == frozenset()
    with pytest.raises(NotFound, match="not been read"):
        store.text("default", "a", principal=PUBLIC)


def test_pending_returns_the_whole_submission_oldest_first(store, draft):
    path = os.fsdecode(b"/inbox/caf\xe9.txt")  # not UTF-8, as old file systems have it
    first = Submission(
        id="a",
        uri="file:///a",
        collection="c",
        title="T",
        groups=("ops", "hr"),
        metadata={"year": 2024, "tags": ["x"]},
        path=path,
        size_bytes=7,
    )
    tickets = store.submit_many([first, Submission(id="b", uri="u")], principal=OPERATOR)
    store.set_state(tickets[0], State.EMBEDDING)
    one, two = store.pending()
    assert one.ticket == tickets[0]
    assert one.state is State.EMBEDDING
    assert one.submission.path == path
    assert one.submission.metadata == {"year": 2024, "tags": ["x"]}
    assert set(one.submission.groups) == {"ops", "hr"}
    assert (one.submission.title, one.submission.size_bytes) == ("T", 7)
    assert two.submission == Submission(id="b", uri="u")
    store.replace(draft("b", "text", ticket=two.ticket))
    assert [p.ticket.id for p in store.pending()] == ["a"]


def test_an_update_on_its_way_leaves_the_served_version_untouched(store, draft):
    store.replace(draft("a", "old", title="Old", metadata={"v": 1}))
    ticket = store.submit(
        Submission(id="a", uri="file:///new", title="New", metadata={"v": 2}), principal=OPERATOR
    )
    store.set_state(ticket, State.PARSING)
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.title, row.uri, row.num_chunks) == (
        State.PARSING,
        "Old",
        "file:///a",
        1,
    )
    assert row.metadata == {"v": 1}
    assert _texts(store, draft) == ["old"]


def test_a_failed_update_keeps_serving_and_says_so(store, draft):
    store.replace(draft("a", "old"))
    ticket = store.submit(Submission(id="a", uri="file:///a"), principal=OPERATOR)
    assert store.fail(ticket, "the file is encrypted")
    row = store.document("default", "a", principal=PUBLIC)
    assert row.state is State.FAILED
    assert row.error == "the file is encrypted (the previous version is still served)"
    assert row.num_chunks == 1
    assert _texts(store, draft) == ["old"]


def test_a_document_that_fails_at_first_sight_says_only_why(store):
    ticket = store.submit(Submission(id="a", uri="file:///a"), principal=OPERATOR)
    store.skip(ticket, "a scan without text")
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.error) == (State.SKIPPED, "a scan without text")


def test_an_old_error_is_hidden_while_a_new_attempt_runs(store):
    submission = Submission(id="a", uri="file:///a")
    store.fail(store.submit(submission, principal=OPERATOR), "broken")
    store.submit(submission, principal=OPERATOR)
    assert store.document("default", "a", principal=PUBLIC).error is None


def test_every_step_with_an_overtaken_ticket_changes_nothing(store, draft):
    submission = Submission(id="a", uri="file:///a")
    old = store.submit(submission, principal=OPERATOR)
    new = store.submit(submission, principal=OPERATOR)
    assert not store.set_state(old, State.PARSING)
    assert not store.fail(old, "late")
    assert not store.skip(old, "late")
    assert not store.keep(old)
    assert store.replace(draft("a", "late", ticket=old)).superseded == (old,)
    assert store.document("default", "a", principal=PUBLIC).state is State.QUEUED
    assert store.replace(draft("a", "fresh", ticket=new)).superseded == ()
    assert _texts(store, draft) == ["fresh"]


def test_a_ticket_does_not_survive_delete_and_a_new_submission(store, draft):
    submission = Submission(id="a", uri="file:///a")
    old = store.submit(submission, principal=OPERATOR)
    store.delete("default", ["a"], principal=OPERATOR)
    assert store.replace(draft("a", "ghost", ticket=old)).superseded == (old,)
    with pytest.raises(NotFound):
        store.document("default", "a", principal=OPERATOR)
    new = store.submit(submission, principal=OPERATOR)
    assert new.version != old.version
    assert store.replace(draft("a", "ghost", ticket=old)).superseded == (old,)


def test_a_direct_replace_overtakes_what_is_on_its_way(store, draft):
    ticket = store.submit(Submission(id="a", uri="file:///a"), principal=OPERATOR)
    store.replace(draft("a", "direct"))
    assert store.replace(draft("a", "slow", ticket=ticket)).superseded == (ticket,)
    assert _texts(store, draft) == ["direct"]
    assert store.pending() == []


@pytest.mark.parametrize(
    "change",
    [{"title": "T"}, {"groups": ("hr",)}, {"metadata": {"a": 1}}, {"uri": "file:///z"}],
)
def test_unchanged_means_same_bytes_recipe_and_description(store, draft, change):
    said = Submission(id="a", uri="file:///a")
    ticket = store.submit(said, principal=OPERATOR)
    # What the parser added (a title, metadata) is no difference in what was submitted.
    made = draft("a", "x", title="Found", metadata={"pages": 2}, sha256="s", ticket=ticket)
    assert not store.unchanged(said, sha256="s", recipe="r1")
    store.replace(made)
    assert store.unchanged(said, sha256="s", recipe="r1")
    assert not store.unchanged(said, sha256="t", recipe="r1")
    assert not store.unchanged(said, sha256="s", recipe="r2")
    fields = {"id": "a", "uri": "file:///a"} | change
    assert not store.unchanged(Submission(**fields), sha256="s", recipe="r1")


def test_a_known_failure_is_unchanged_only_when_its_bytes_were_named(store):
    said = Submission(id="a", uri="file:///a")
    store.fail(store.submit(said, principal=OPERATOR), "timeout")
    assert not store.unchanged(said, sha256="s", recipe="r1")
    store.fail(store.submit(said, principal=OPERATOR), "broken", sha256="s", recipe="r1")
    assert store.unchanged(said, sha256="s", recipe="r1")


def test_keep_returns_to_the_end_that_was_reached_before(store, draft):
    said = Submission(id="a", uri="file:///a")
    store.fail(store.submit(said, principal=OPERATOR), "broken", sha256="s", recipe="r1")
    assert store.keep(store.submit(said, principal=OPERATOR))
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.error) == (State.FAILED, "broken")
    seq = store.replace(draft("a", "good")).seq
    assert store.keep(store.submit(said, principal=OPERATOR))
    row = store.document("default", "a", principal=PUBLIC)
    assert (row.state, row.error, store.last_seq()) == (State.SEARCHABLE, None, seq)
    assert store.pending() == []


def test_a_first_submission_has_nothing_to_keep(store):
    ticket = store.submit(Submission(id="a", uri="file:///a"), principal=OPERATOR)
    assert not store.keep(ticket)
    assert store.pending()[0].ticket == ticket


def test_an_invisible_document_cannot_be_overwritten(store, draft):
    store.replace(draft("a", "secret", groups=("hr",)))
    with pytest.raises(Forbidden, match="'ann'"):
        store.submit(Submission(id="a", uri="file:///a", groups=("ops",)), principal=ANN)
    assert store.submit(Submission(id="b", uri="file:///b", groups=("ops",)), principal=ANN)


def test_submit_many_queues_all_or_none(store):
    good = Submission(id="a", uri="file:///a")
    with pytest.raises(InputError):
        store.submit_many([good, Submission(id="", uri="file:///b")], principal=OPERATOR)
    assert store.counts().by_state == {}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": ""}, "bad_name"),
        ({"id": "x" * 3000}, "bad_name"),
        ({"uri": "file:///\udce9"}, "bad_name"),
        ({"collection": "a\0b"}, "bad_name"),
        ({"groups": ("",)}, "bad_name"),
        ({"metadata": {"a": float("nan")}}, "bad_metadata"),
        ({"metadata": {"a": 2**63}}, "bad_metadata"),
        ({"metadata": {"a": {"b": 1}}}, "bad_metadata"),
        ({"metadata": {"a": [1]}}, "bad_metadata"),
        ({"metadata": {"": 1}}, "bad_metadata"),
        ({"metadata": {"a": "x" * 70_000}}, "bad_metadata"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(store: Store, fields, code):
    with pytest.raises(InputError) as caught:
        store.submit(Submission(**({"id": "a", "uri": "u"} | fields)), principal=OPERATOR)
    assert caught.value.code == code


def test_nul_and_lone_surrogates_in_metadata_and_titles_are_cleaned(store, draft):
    store.replace(draft("a", "x", title="A\0B", metadata={"k": "c\0d", "l": ["\ud800"]}))
    row = store.document("default", "a", principal=PUBLIC)
    assert row.title == "AB"
    assert row.metadata["k"] == "cd"
    assert "\ufffd" in row.metadata["l"][0]
