"""One tiny base for all tests of this room, and one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tune.tiny import write_base

torch = pytest.importorskip("torch", reason="the extra `tune` is not installed")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    had = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(had)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a BERT of two layers whose vocabulary is `WORDS`."""
    return write_base(tmp_path_factory.mktemp("base") / "tiny")
