"""Any order of submits, replaces, failures, deletes and crashes, against a dict."""

import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from steelyard.core.documents import Chunk, Document, State
from steelyard.core.errors import Forbidden, InputError, NotFound
from steelyard.core.ranking import Principal, Query
from steelyard.store import OPERATOR, Replacement, Store, Submission, Ticket

# Syncing a disk thousands of times tests the disk.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
IDS = st.sampled_from(["a", "b", "c"])
COLLECTIONS = st.sampled_from(["one", "two"])
GROUPS = st.sampled_from([(), ("x",), ("y",), ("x", "y"), ("public",)])
TEXTS = st.lists(st.sampled_from(["p", "q", "r", "s"]), max_size=3)
PRINCIPALS = [
    Principal("x", frozenset({"x"})),
    Principal("xy", frozenset({"x", "y"})),
    Principal("public", frozenset({"public"})),
    Principal("none", frozenset()),
]


@dataclass
class Known:
    """What the model knows of one document."""

    groups: tuple[str, ...]
    version: Ticket | None
    state: State
    served: list[str] | None = None
    settled: State | None = None
    pending: bool = field(default=False)


def _replacement(collection, document_id, groups, parts, ticket=None):
    text = "\n".join(parts)
    chunks = [Chunk(n, 2 * n, 2 * n + 1, part) for n, part in enumerate(parts)]
    document = Document(
        id=document_id,
        uri=f"file:///{document_id}",
        title="",
        text=text,
        groups=groups,
        collection=collection,
        metadata={"first": parts[0] if parts else None},
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    vectors = np.eye(4, dtype=np.float32)[["pqrs".index(part) for part in parts]]
    return Replacement(document, chunks, vectors.reshape(-1, 4), "r", ticket)


class StoreMachine(RuleBasedStateMachine):
    tickets = Bundle("tickets")

    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory(dir=_MEMORY)
        self.path = Path(self.folder.name) / "steelyard.db"
        self.store = self._open()
        self.other = self._open()
        self.abandoned: list[Store] = []
        self.model: dict[tuple[str, str], Known] = {}
        self.groups_of: dict[Ticket, tuple[str, ...]] = {}
        self.seq, live = self.store.live_chunk_ids()
        self.live = set(live.tolist())
        self.ever = set(self.live)

    def _open(self):
        store = Store.open(self.path, kept_changes=10_000)
        store.claim_embedder("toy", 4)
        return store

    @rule(
        target=tickets,
        collection=COLLECTIONS,
        document_id=IDS,
        groups=GROUPS,
        who=st.sampled_from([OPERATOR, *PRINCIPALS]),
    )
    def submit(self, collection, document_id, groups, who):
        key = (collection, document_id)
        known = self.model.get(key)
        submission = Submission(
            document_id, f"file:///{document_id}", collection=collection, groups=groups
        )
        barred = known is not None and not who.operator and who.groups.isdisjoint(known.groups)
        try:
            ticket = self.store.submit(submission, principal=who)
        except Forbidden:
            assert barred
            return multiple()
        assert not barred
        self.groups_of[ticket] = groups
        if known is None:
            self.model[key] = Known(groups, ticket, State.QUEUED)
            return ticket
        known.version, known.state = ticket, State.QUEUED
        if known.served is None:
            known.groups = groups
        return ticket

    def _current(self, ticket):
        known = self.model.get((ticket.collection, ticket.id))
        return known if known is not None and known.version == ticket else None

    @rule(ticket=tickets, parts=TEXTS, which=st.booleans())
    def replace(self, ticket, parts, which):
        known = self._current(ticket)
        store = self.store if which else self.other
        groups = self.groups_of[ticket]
        commit = store.replace(_replacement(ticket.collection, ticket.id, groups, parts, ticket))
        assert commit.superseded == (() if known else (ticket,))
        if known:
            known.groups, known.served = groups, parts
            known.state = known.settled = State.SEARCHABLE

    @rule(
        items=st.lists(st.tuples(COLLECTIONS, IDS, GROUPS, TEXTS), max_size=4),
        crash=st.booleans(),
    )
    def replace_many(self, items, crash):
        batch = [_replacement(*item) for item in items]
        if crash:  # the last one of the batch breaks it, after the others were written
            bad = _replacement("one", "a", ("x",), ["p"])
            bad.document.metadata["first"] = float("nan")
            with pytest.raises(InputError, match="'first'"):
                self.store.replace_many([*batch, bad])
            return
        self.store.replace_many(batch)
        for collection, document_id, groups, parts in items:
            self.model[collection, document_id] = Known(
                groups, None, State.SEARCHABLE, parts, State.SEARCHABLE
            )

    @rule(ticket=consumes(tickets), skipped=st.booleans())
    def fail(self, ticket, skipped):
        known = self._current(ticket)
        settle = self.store.skip if skipped else self.store.fail
        # A ticket that ended already may end again: the last word counts.
        if known is None or known.state.terminal:
            if known is None:
                assert not settle(ticket, "broken")
            return
        assert settle(ticket, "broken")
        known.state = known.settled = State.SKIPPED if skipped else State.FAILED

    @rule(ticket=tickets)
    def keep(self, ticket):
        known = self._current(ticket)
        assert self.store.keep(ticket) == bool(known and known.settled)
        if known and known.settled:
            known.state = known.settled

    @rule(
        collection=COLLECTIONS,
        ids=st.lists(IDS, min_size=1, max_size=3, unique=True),
        who=st.sampled_from([OPERATOR, *PRINCIPALS]),
    )
    def delete(self, collection, ids, who):
        visible = tuple(
            i
            for i in ids
            if (known := self.model.get((collection, i)))
            and (who.operator or not who.groups.isdisjoint(known.groups))
        )
        try:
            assert self.store.delete(collection, ids, principal=who).ids == visible
        except NotFound:
            assert visible == ()
        for document_id in visible:
            del self.model[collection, document_id]

    @rule()
    def crash(self):
        """Leave a write half done, as a killed process does, and open the file anew."""
        # Not a whole transaction: only a reader's view and an uncommitted write remain.
        half = self.store._database._writer
        half.execute("BEGIN IMMEDIATE")
        half.execute("DELETE FROM chunks")
        half.execute("UPDATE documents SET num_chunks = 0")
        half.close()
        self.abandoned.append(self.store)
        self.store = self._open()

    @invariant()
    def rows_and_texts_are_the_models(self):
        rows = {
            (row.collection, row.id): row
            for row in self.store.documents(principal=OPERATOR, limit=100).rows
        }
        assert rows.keys() == self.model.keys()
        for key, known in self.model.items():
            row = rows[key]
            assert row.state is known.state
            assert set(row.groups) == set(known.groups)
            assert row.num_chunks == len(known.served or ())
            chunks = self.store.chunks_of(*key, principal=OPERATOR)
            assert [c.text for c in chunks] == (known.served or [])
        waiting = {key for key, known in self.model.items() if not known.state.terminal}
        assert {(p.ticket.collection, p.ticket.id) for p in self.store.pending()} == waiting

    def _follow(self):
        """Apply the log since the last look to the live set, as an index does."""
        for step in self.other.changes(after=self.seq, limit=1_000):
            if step.added:
                assert step.chunk_id not in self.ever
                self.ever.add(step.chunk_id)
                self.live.add(step.chunk_id)
            else:
                self.live.remove(step.chunk_id)
        self.seq, live = self.other.live_chunk_ids()
        assert live.tolist() == sorted(self.live)
        return live

    @invariant()
    def the_log_leads_to_the_live_set(self):
        live = self._follow()
        rows = self.other.rows(live)
        expected = sorted(p for known in self.model.values() for p in known.served or ())
        assert sorted(rows.texts) == expected
        for text, row in zip(rows.texts, rows.vectors, strict=True):
            assert row["pqrs".index(text)] == 1.0

    @invariant()
    def everyone_finds_exactly_what_is_theirs(self):
        live = self._follow().tolist()
        rows = self.store.rows(live)
        for who in PRINCIPALS:
            for collection in ("one", "two"):
                for wire in ({}, {"first": "p"}):
                    query = Query("q", who, collection=collection, filter=wire)
                    expected = sorted(
                        (key[1], part)
                        for key, known in self.model.items()
                        if key[0] == collection and not who.groups.isdisjoint(known.groups)
                        for part in known.served or ()
                        if not wire or known.served[0] == "p"
                    )
                    found = self.store.fetch(live, query=query)
                    assert sorted((c.document_id, c.text) for c in found) == expected
                    allowed = self.other.allowed(query)
                    ids = {
                        i
                        for i, k in zip(live, rows.classes.tolist(), strict=True)
                        if (allowed.classes is None or k in allowed.classes)
                        and (allowed.chunk_ids is None or i in allowed.chunk_ids)
                    }
                    assert ids == {c.chunk_id for c in found}

    def teardown(self):
        if hasattr(self, "folder"):
            faults = self.store.check()
            for store in (self.store, self.other, *self.abandoned):
                store.close()
            self.folder.cleanup()
            assert faults == []


StoreMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
test_any_order_of_steps_agrees_with_the_model = StoreMachine.TestCase
