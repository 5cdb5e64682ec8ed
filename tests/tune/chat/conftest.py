"""One tiny language model for all tests of chats."""

import sys
from pathlib import Path

import pytest

from steelyard.infra.chat_template import Template, open_template

sys.path.insert(0, str(Path(__file__).parents[2]))  # what the tests of several rooms share
from tiny_llm import make_tiny_llm


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llm(tmp_path_factory.mktemp("tiny-llm"))


@pytest.fixture(scope="session")
def template(tiny: Path) -> Template:
    return open_template(tiny, name="tiny")
