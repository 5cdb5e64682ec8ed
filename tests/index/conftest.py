"""Fixtures of the index's tests; `fake_index` becomes importable by its bare name."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from steelyard.index import IndexOptions, Shadows


def _make_importable(name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_make_importable("fake_index")

from fake_index import FakeFeed  # noqa: E402

SMALL = IndexOptions(tail_rows=32, save_after_changes=1_000_000, lexical_heap_bytes=15_000_000)

OpenShadows = Callable[..., Shadows]


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture
def open_shadows(tmp_path: Path) -> Iterator[OpenShadows]:
    """Open shadows in one directory; those left open are closed after the test."""
    opened: list[Shadows] = []

    def open_(
        feed: FakeFeed,
        *,
        directory: Path = tmp_path / "index",
        fingerprint: str = "fake/1",
        options: IndexOptions = SMALL,
    ) -> Shadows:
        shadows = Shadows.open(
            directory, feed, dim=feed.dim, fingerprint=fingerprint, options=options
        )
        opened.append(shadows)
        return shadows

    yield open_
    for shadows in opened:
        shadows.close()


@pytest.fixture
def crash() -> Callable[[Shadows], None]:
    """End shadows as a killed process ends: nothing is saved, locks fall."""

    def crash_(shadows: Shadows) -> None:
        shadows._upkeep.stop()
        shadows._closed = True
        shadows._lexical.close()
        shadows._place.lock.release()

    return crash_
