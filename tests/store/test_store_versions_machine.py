"""Any order of registrations, promotions, rollbacks and crashes between two writes."""

import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from steelyard.core.errors import InputError
from steelyard.core.registry import Alias, Evaluation, Version, replayed
from steelyard.store import Store

_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
IDS = ("r1", "r2", "r3", "o1", "o2")
KINDS = {"r": "reranker", "o": "options"}
NAMES = st.sampled_from(IDS)
MAYBE_CRASH = st.one_of(st.none(), st.integers(0, 6))


class Crash(BaseException):
    """The process ends between two statements: SQLite rolls back what was not committed."""


class CrashingConnection:
    """The writer, which ends after so many statements of a transaction."""

    def __init__(self, connection, after):
        self._connection, self._left = connection, after

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def _count(self, statement):
        if statement == "ROLLBACK":
            return
        self._left -= 1
        if self._left < 0:
            raise Crash

    def execute(self, statement, *given):
        self._count(statement)
        return self._connection.execute(statement, *given)

    def executemany(self, statement, rows):
        self._count(statement)
        return self._connection.executemany(statement, rows)


class RegistryMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=_MEMORY)
        self.store = Store.open(Path(self.folder.name) / "steelyard.db")
        self.registered: set[str] = set()
        self.champions: dict[str, list[str]] = {"reranker": [""], "options": [""]}
        self.events = 0

    @initialize()
    def begin(self):
        assert self.store.aliases() == {}

    def _tried(self, write, crash):
        """Run a write that may crash; return whether it took place."""
        database = self.store._database
        writer = database._writer
        if crash is not None:
            database._writer = CrashingConnection(writer, crash)
        try:
            write()
        except Crash:
            database._writer = writer
            self.store.close()
            self.store = Store.open(Path(self.folder.name) / "steelyard.db")
            return False
        except InputError:
            database._writer = writer
            return False
        database._writer = writer
        return True

    @rule(name=NAMES, crash=MAYBE_CRASH)
    def register(self, name, crash):
        kind = KINDS[name[0]]
        version = Version(name, name, kind, {f"{kind}.{'x'}": name})
        if self._tried(lambda: self.store.register_version(version, who="m"), crash):
            self.events += name not in self.registered
            self.registered.add(name)

    @rule(name=NAMES, crash=MAYBE_CRASH, forced=st.booleans())
    def promote(self, name, crash, forced):
        kind = KINDS[name[0]]

        def write():
            self.store.promote_version(name, who="m", forced=forced, why="w" if forced else "")

        if self._tried(write, crash):
            assert name in self.registered
            assert self.champions[kind][-1] != name
            self.champions[kind].append(name)
            self.events += 1

    @rule(name=NAMES, crash=MAYBE_CRASH)
    def weigh(self, name, crash):
        evaluation = Evaluation("run", "s", "s", 1, "x", False, {})
        if self._tried(lambda: self.store.keep_evaluation(name, evaluation, who="m"), crash):
            self.events += 1

    @rule(kind=st.sampled_from(["", *KINDS.values()]), crash=MAYBE_CRASH)
    def roll_back(self, kind, crash):
        told = []
        if self._tried(lambda: told.append(self.store.roll_back(kind, who="m")), crash):
            of = told[0].kind
            assert not kind or of == kind
            self.champions[of].append(self.champions[of][-2])
            self.events += 1

    @invariant()
    def the_aliases_are_what_the_history_says_and_point_at_versions(self):
        aliases, history = self.store.aliases(), self.store.registry_history()
        assert {one.id for one in self.store.versions()} == self.registered
        assert len(history) == self.events  # a crash loses nothing and adds nothing
        assert replayed(history) == aliases
        for held in aliases.values():
            assert set(held.values()) <= self.registered
        for kind, champions in self.champions.items():
            held = aliases.get(kind, {})
            assert held.get(Alias.CHAMPION, "") == champions[-1]
            before = champions[-2] if len(champions) > 1 else ""
            assert held.get(Alias.PREVIOUS, "") == before
        flips = sum(len(one) - 1 for one in self.champions.values())
        served = self.store.champion_versions()
        assert (served.seq > 0) == (flips > 0)
        assert sorted(one.id for one in served.versions) == sorted(
            one[-1] for one in self.champions.values() if one[-1]
        )

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(max_examples=60, stateful_step_count=25)
