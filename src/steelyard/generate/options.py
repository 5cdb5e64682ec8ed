"""What an operator may choose about the language model, and about the reader without one."""

from dataclasses import dataclass

from steelyard.core.errors import SetupError


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """Which language model writes the answers; without `url`, `gguf` and `local` none does.

    `url` is an OpenAI-compatible endpoint, with or without /v1, and `model` a name it knows; ""
    takes its first. `gguf` is a model file to run on this machine instead (the extra `llm`).
    `local` is the folder of a causal language model that transformers runs in this process, where
    nothing else does (the extra `tune`), with the tuned `adapter` of another folder on it.

    `first_token_timeout_s` counts from the request, `stall_timeout_s` between tokens,
    `total_timeout_s` over everything; thinking aloud does not count as a token.
    `context_tokens` is the budget for sources, `history_tokens` for earlier turns. `instructions`
    are added to our rules: a tone, a format, words of the house.
    """

    url: str = ""
    model: str = ""
    gguf: str = ""
    local: str = ""
    adapter: str = ""
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 60.0
    stall_timeout_s: float = 20.0
    total_timeout_s: float = 180.0
    max_tokens: int = 512
    temperature: float = 0.0
    context_tokens: int = 3000
    history_tokens: int = 500
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """Which span reader helps to find what is quoted, where no language model writes answers.

    `model` is the directory or hub name of an extractive question-answering model, `default` the
    reader that comes with Steelyard; "": sentences are chosen by the embedder alone. `adapter` is
    a peft LoRA directory for it. The `windows` most promising windows of the passages are read,
    each of `max_tokens` tokens with the question (0: as the adapter was trained), as many as
    `budget_ms` allows.
    """

    model: str = ""
    adapter: str | None = None
    max_tokens: int = 0
    windows: int = 8
    budget_ms: int = 80
    precision: str = "int8"

    def __post_init__(self) -> None:
        """Raise SetupError for a number that makes no sense."""
        if self.windows < 1:
            raise SetupError(f"reader.windows is {self.windows}; set it to 1 or more")
        if self.max_tokens < 0 or self.budget_ms < 0:
            raise SetupError(
                f"reader.max_tokens is {self.max_tokens} and reader.budget_ms {self.budget_ms}; "
                "neither may be below 0"
            )
