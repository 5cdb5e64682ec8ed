"""Whatever happens to the truth and to the process, a search equals brute force over the truth."""

import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from fake_index import FakeFeed, FakeIndex, unit
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from steelyard.core.ranking import Allowed
from steelyard.index import IndexOptions, Shadows, planner

OPTIONS = IndexOptions(tail_rows=8, expansion_search=16, lexical_heap_bytes=15_000_000)
WORDS = [f"word{number}" for number in range(6)]


class TruthAndShadows(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        # Scans look dear, so the graph is walked whenever it can be.
        self.dear_scans = mock.patch.object(planner, "SCAN_US_PER_ROW", 1e9)
        self.dear_scans.start()
        self.directory = Path(tempfile.mkdtemp())
        self.feed = FakeFeed()
        self.shadows = self.open()

    def open(self) -> Shadows:
        return Shadows.open(
            self.directory, self.feed, dim=self.feed.dim, fingerprint="fake/1", options=OPTIONS
        )

    def teardown(self) -> None:
        if hasattr(self, "shadows"):
            self.shadows.close()
            shutil.rmtree(self.directory)
            self.dear_scans.stop()

    @rule(
        texts=st.lists(
            st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join), min_size=1, max_size=12
        ),
        access_class=st.integers(0, 2),
        twin=st.booleans(),
    )
    def add(self, texts: list[str], access_class: int, twin: bool) -> None:
        for text in texts:
            self.feed.add(text, access_class=access_class, vector=unit(7) if twin else None)

    @precondition(lambda self: len(self.feed.live) > 0)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        live = sorted(self.feed.live)
        for chunk_id in data.draw(st.lists(st.sampled_from(live), unique=True, max_size=10)):
            self.feed.remove(chunk_id)

    @precondition(lambda self: len(self.feed.live) > 0)
    @rule(data=st.data(), access_class=st.integers(0, 2))
    def reclassify(self, data: st.DataObject, access_class: int) -> None:
        self.feed.reclassify(data.draw(st.sampled_from(sorted(self.feed.live))), access_class)

    @rule()
    def refresh(self) -> None:
        self.shadows.refresh()

    @rule()
    def settle(self) -> None:
        assert self.shadows.settle(timeout_s=30)

    @rule()
    def save(self) -> None:
        self.shadows.save()

    @rule()
    def trim(self) -> None:
        self.feed.trim()

    @rule()
    def reopen(self) -> None:
        self.shadows.close()
        self.shadows = self.open()

    @rule()
    def crash(self) -> None:
        self.kill()
        self.shadows = self.open()

    @rule(pick=st.integers(0, 999), at=st.integers(0, 999), cut=st.booleans())
    def crash_and_tear(self, pick: int, at: int, cut: bool) -> None:
        """Cut a file or flip a byte of it, the one and the place given in thousandths."""
        self.kill()
        files = sorted(path for path in self.directory.rglob("*") if path.is_file())
        files = [path for path in files if path.suffix != ".lock"]
        if files:
            path = files[pick * len(files) // 1000]
            content = bytearray(path.read_bytes())
            place = at * len(content) // 1000
            if cut:
                path.write_bytes(content[:place])
            elif content and self.covered_by_checksum(path):
                content[place] ^= 0xFF
                path.write_bytes(content)
        self.shadows = self.open()

    def kill(self) -> None:
        self.shadows._upkeep.stop()
        self.shadows._closed = True
        self.shadows._lexical.close()
        self.shadows._place.lock.release()

    def covered_by_checksum(self, path: Path) -> bool:
        """Whether the manifest knows the file; what came later has only tantivy's own checks."""
        manifest = self.directory / "manifest.json"
        return manifest.exists() and path.name in manifest.read_text()

    @invariant()
    def equals_brute_force(self) -> None:
        if not hasattr(self, "shadows"):
            return
        assert self.shadows.refresh() == self.feed.seq
        mine, honest = self.shadows.view(), FakeIndex(self.feed).view()
        some = np.array(sorted(self.feed.live)[::2], dtype=np.int64)
        for allowed in (
            Allowed(),
            Allowed(classes=frozenset({0, 2})),
            Allowed(chunk_ids=some),
            Allowed(classes=frozenset({1}), chunk_ids=some),
        ):
            for seed, k in ((7, 3), (len(self.feed.live), 10), (1, 1000)):
                vector = unit(seed).astype(np.float32)
                got = mine.dense(vector, k=k, allowed=allowed)
                want = honest.dense(vector, k=k, allowed=allowed)
                assert [hit.score for hit in got.hits] == pytest.approx(
                    [hit.score for hit in want.hits], abs=2e-3
                )
                assert len(set(got.chunk_ids)) == len(got.hits)
            for text in WORDS[:2]:
                got = mine.lexical(text, k=1000, allowed=allowed)
                want = honest.lexical(text, k=1000, allowed=allowed)
                assert sorted(got.chunk_ids) == sorted(want.chunk_ids)


TruthAndShadows.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_any_history_leaves_the_shadows_equal_to_the_truth = TruthAndShadows.TestCase
