"""The options of this room."""

from dataclasses import dataclass

from steelyard.core.errors import SetupError

_MIN_BUDGET = 16


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """How long chunks are, in tokens of the embedder, special tokens not counted.

    `max_tokens` bounds what is embedded: title, heading path and passage. A chunk of fewer than
    `min_tokens` is joined with what follows it where structure and budget allow. `overlap_tokens`
    of the chunk before are repeated at most, inside a section only. The defaults are measured:
    docs/why/chunking.md.
    """

    max_tokens: int = 128
    min_tokens: int = 32
    overlap_tokens: int = 0

    def __post_init__(self) -> None:
        """Raise SetupError where the numbers cannot all hold."""
        if self.max_tokens < _MIN_BUDGET:
            raise SetupError(
                f"chunk.max_tokens is {self.max_tokens}; set it to {_MIN_BUDGET} or more"
            )
        for name, value, part in (
            ("min_tokens", self.min_tokens, 2),
            ("overlap_tokens", self.overlap_tokens, 4),
        ):
            most = self.max_tokens // part
            if not 0 <= value <= most:
                raise SetupError(
                    f"chunk.{name} is {value}; set it from 0 to {most}: at most 1/{part} of "
                    f"chunk.max_tokens ({self.max_tokens})"
                )
