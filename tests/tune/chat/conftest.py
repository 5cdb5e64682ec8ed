"""One tiny language model for all tests of chats."""

from pathlib import Path

import pytest
from tests.tiny_llm import make_tiny_llm

from steelyard.infra.chat_template import Template, open_template


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llm(tmp_path_factory.mktemp("tiny-llm"))


@pytest.fixture(scope="session")
def template(tiny: Path) -> Template:
    return open_template(tiny, name="tiny")
