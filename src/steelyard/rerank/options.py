"""The options of this room; importing them loads no model code."""

from dataclasses import dataclass

MAX_TOKENS = 128  # of a pair, where neither the options nor an adapter say


@dataclass(frozen=True, slots=True)
class RerankOptions:
    """Which model reranks what the two legs found, and how much of it; off unless `model` is set.

    `model` is `default`, the reranker that Steelyard ships (docs/models.md); the directory or hub
    name of a cross-encoder; or the URL of a `/v1/rerank` endpoint, with the model that it shall
    use after a `#`: `http://127.0.0.1:8000/v1#bge-m3`. `adapter` is a peft LoRA directory. The
    `pool` best hits are scored, as many as the time allows. `max_tokens` bounds question, passage
    and special tokens of a pair; of a longer passage the window with most of the question's words
    counts. 0: as many as the adapter was trained with, else 128. What the search itself found
    counts `first_stage` times, its best hit as 1; without a value, as the adapter says, else 0.
    """

    model: str = ""
    adapter: str | None = None
    pool: int = 20
    max_tokens: int = 0
    precision: str = "int8"
    first_stage: float | None = None
