"""Tuning's words: what is trained, what became of every token, and what an adapter is bound to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from steelyard.core.training import Kind


class TuneKind(StrEnum):
    """What a run trains."""

    EMBEDDER = "embedder"
    RERANKER = "reranker"
    READER = "reader"
    CLASSIFIER = "classifier"
    LLM = "llm"


# The kinds of rows that each can learn from.
LEARNS_FROM: Mapping[TuneKind, tuple[Kind, ...]] = {
    TuneKind.EMBEDDER: (Kind.RETRIEVAL,),
    TuneKind.RERANKER: (Kind.RETRIEVAL,),
    TuneKind.READER: (Kind.READER,),
    TuneKind.CLASSIFIER: (Kind.LABELLED,),
    TuneKind.LLM: (Kind.CHAT, Kind.PREFERENCE),
}


class RunState(StrEnum):
    """Where a training run stands; the last three are final, but for `tune resume`."""

    PLANNED = "planned"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TokenAccount:
    """Where every token of a run's rows went: `kept + truncated + dropped` is all of them.

    `truncated` were cut off rows that are still learnt from, `dropped` went with whole rows.
    Target tokens are those that earn a loss, counted likewise; rows too.
    """

    kept: int = 0
    truncated: int = 0
    dropped: int = 0
    targets_kept: int = 0
    targets_lost: int = 0
    rows_kept: int = 0
    rows_truncated: int = 0
    rows_dropped: int = 0

    @property
    def total(self) -> int:
        return self.kept + self.truncated + self.dropped

    @property
    def lost_share(self) -> float:
        """The share of target tokens that no loss will see, 0 to 1."""
        targets = self.targets_kept + self.targets_lost
        return self.targets_lost / targets if targets else 0.0


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What an adapter was trained on, by content: a name alone proves nothing.

    Hashes are hex SHA-256 of `model.safetensors` (of shards, of their hashes in order of their
    names), of `tokenizer.json`, and of the chat template's text ("" where there is none).
    """

    name: str
    weights_sha256: str
    tokenizer_sha256: str
    template_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a trained artefact says of itself, in `steelyard.json` beside its weights.

    `layers`: so many of the base's layers are used, from the bottom; 0: all. `settings` are
    numbers that belong to these weights (thresholds, temperatures), `options` what an operator
    sets to serve it, as `group.option`.
    """

    kind: TuneKind
    base: BaseModel
    method: str
    max_tokens: int
    layers: int = 0
    labels: tuple[str, ...] = ()
    dataset: str = ""
    recipe_sha256: str = ""
    run: str = ""
    licence: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
