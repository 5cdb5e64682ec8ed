"""Any order of puts, look-ups, drops and time, against a plain list."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from kept import Clock, make_answer, make_entry, unit

from steelyard.cache import AnswerCache, CacheOptions, Entry

TTL_S = 10
MAX_ENTRIES = 6
SCOPES = st.sampled_from(["s1", "s2", "s3"])
NAMES = st.sampled_from([f"q{number}" for number in range(6)])
SIZES = st.sampled_from([1, 1000, 150_000, 400_000, 1_200_000])


def vector_of(name: str) -> np.ndarray:
    return unit(*np.random.default_rng(int(name[1:])).random(8))


class KeptAnswers(RuleBasedStateMachine):
    """The model holds entries in order of use, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        options = CacheOptions(max_entries=MAX_ENTRIES, max_mb=1, ttl_s=TTL_S)
        self.cache = AnswerCache(options, clock=self.clock)
        self.model: list[Entry] = []
        self.made = 0

    def alive(self) -> list[Entry]:
        return [one for one in self.model if self.clock.now - one.created_at < TTL_S]

    def known(self, scope: str, name: str) -> Entry | None:
        found = [one for one in self.alive() if (one.scope, one.question) == (scope, name)]
        return found[0] if found else None

    def use(self, entry: Entry) -> None:
        self.model.remove(entry)
        self.model.append(entry)

    @rule(scope=SCOPES, name=NAMES, size=SIZES, has_vector=st.booleans())
    def put(self, scope: str, name: str, size: int, has_vector: bool) -> None:
        self.made += 1
        entry = make_entry(
            name,
            scope=scope,
            vector=vector_of(name) if has_vector else None,
            answer=make_answer(f"a{self.made}", text="x" * size),
            created_at=self.clock.now,
        )
        self.cache.put(entry)
        if size > 1_000_000:
            return
        self.model = [one for one in self.model if (one.scope, one.question) != (scope, name)]
        self.model.append(entry)
        # What the cache still has must be the youngest in use; the model learns how many.
        kept = {(one.scope, one.question) for one in self.cache.newest(MAX_ENTRIES)}
        while self.model and (self.model[0].scope, self.model[0].question) not in kept:
            self.model.pop(0)
        assert self.model[-1] is entry

    @rule(scope=SCOPES, name=NAMES)
    def look_up(self, scope: str, name: str) -> None:
        found, known = self.cache.exact(scope, name), self.known(scope, name)
        assert (found is None) == (known is None)
        if found is not None and known is not None:
            assert found.answer.id == known.answer.id
            self.use(known)

    @rule(scope=SCOPES, name=NAMES, at_least=st.sampled_from([0.0, 0.9, 0.999]))
    def search(self, scope: str, name: str, at_least: float) -> None:
        asked = vector_of(name)
        near = self.cache.nearest(scope, asked, at_least=at_least, limit=100)
        expected = {
            one.answer.id
            for one in self.alive()
            if one.scope == scope
            and one.vector is not None
            and float(one.vector @ asked) >= at_least
        }
        assert {one.entry.answer.id for one in near} == expected
        assert [one.cosine for one in near] == sorted((one.cosine for one in near), reverse=True)

    @rule(scope=SCOPES, name=NAMES, snapshot=st.integers(0, 50))
    def validate(self, scope: str, name: str, snapshot: int) -> None:
        known = self.known(scope, name)
        if known is not None:
            before = self.cache.exact(scope, name)
            assert self.cache.validated(known, snapshot).snapshot == max(before.snapshot, snapshot)
            self.use(known)

    @rule(scope=SCOPES, name=NAMES)
    def drop(self, scope: str, name: str) -> None:
        known = self.known(scope, name)
        if known is not None:
            self.cache.drop(known)
            self.model.remove(known)

    @rule(seconds=st.sampled_from([0.1, 1, 4, 11]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()

    @invariant()
    def bounds_hold(self) -> None:
        stats = self.cache.stats()
        assert 0 <= stats.entries <= MAX_ENTRIES
        assert 0 <= stats.bytes <= 1_000_000
        assert (stats.entries == 0) == (stats.bytes == 0)


KeptAnswers.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
test_kept_answers = KeptAnswers.TestCase
