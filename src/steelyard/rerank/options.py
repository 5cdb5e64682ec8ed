"""The options of this room; importing them loads no model code."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """Which model reranks what the two legs found, and how much of it; off unless `model` is set.

    `model` is the directory or hub name of a cross-encoder, or the URL of a `/v1/rerank`
    endpoint, with the model that it shall use after a `#`: `http://127.0.0.1:8000/v1#bge-m3`.
    `adapter` is a peft LoRA directory. The `pool` best hits are scored, as many as the time
    allows. `max_tokens` bounds question, passage and special tokens of a pair; of a longer
    passage the window with most of the question's words counts.
    """

    model: str = ""
    adapter: str | None = None
    pool: int = 20
    max_tokens: int = 128
    precision: str = "int8"
