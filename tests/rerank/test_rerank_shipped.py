"""The reranker in the package: found by a name, bound to its base, small, and of use."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from steelyard.core.errors import SetupError
from steelyard.core.ranking import RerankPassage
from steelyard.infra.binding import read_binding
from steelyard.rerank import RerankOptions, choose
from steelyard.rerank.chosen import SHIPPED
from steelyard.rerank.late import LateInteraction


def test_the_shipped_reranker_puts_what_answers_first(run: Callable[[Awaitable[Any]], Any]) -> None:
    late = LateInteraction(RerankOptions(model="default"))
    texts = [
        "Leave of every kind is entered in the calendar of the team.",
        "Parents take up to sixteen weeks of paid leave after the birth of a child.",
        "The weekly meeting of all teams takes place on Tuesdays.",
    ]
    passages = [RerankPassage(n, text) for n, text in enumerate(texts)]
    scores = run(late.scores("How long is parental leave?", passages, budget_s=60))
    late.close()
    assert max(scores) == scores[1]
    assert late.built.precision == "int8"


def test_it_is_a_small_adapter_of_the_default_embedder() -> None:
    binding = read_binding(SHIPPED)
    assert binding is not None
    assert (binding.base.name, binding.layers) == ("all-MiniLM-L6-v2", 0)  # 0: all
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 4 << 20
    assert binding.run.startswith("run-")
    assert binding.recipe_sha256
    assert "recipes/reranker_rows.py" in binding.dataset
    chosen = choose(RerankOptions(model="default"))
    assert chosen.adapter == SHIPPED
    assert chosen.late is not None
    assert chosen.first_stage == binding.settings["first_stage"] > 0


def test_another_adapter_goes_with_the_name_of_its_base() -> None:
    with pytest.raises(SetupError, match="'default' has its own adapter; to use '/x', set"):
        choose(RerankOptions(model="default", adapter="/x"))
