"""The options of this room; importing them loads no model code."""

from dataclasses import dataclass

from steelyard.infra.models import DEFAULT_MODEL


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """Which encoder embeds, and how.

    `model` is a directory, a hub name or the default's name; `adapter` a peft LoRA directory.
    `max_tokens` counts special tokens; None takes the model author's limit (256 for
    all-MiniLM-L6-v2, whose position table would allow 512). A prefix of None takes the
    model's own `prompts`; E5 wants "query: " and "passage: ".
    """

    model: str = DEFAULT_MODEL
    adapter: str | None = None
    precision: str = "int8"
    max_tokens: int | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None
    allow_download: bool = False
    passage_threads: int = 2
