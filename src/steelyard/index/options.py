"""What an operator may turn on the index; every default was measured (docs/why/index.md)."""

from dataclasses import dataclass

from steelyard.core.errors import SetupError

VECTORS = ("f32", "f16", "i8", "binary")


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Shape of the graph and rhythm of its upkeep.

    `vectors` is the form in which the graph is walked: f32, f16, i8 or binary. Candidates are
    always scored again with the f16 rows that the truth holds, so f32 finds nothing that f16
    does not. Changing it costs a new graph, made in the background from the same rows.
    `connectivity` 32 matters: at 16, up to 1 % of the vectors are found by no search at all.
    `expansion_search` is the width of the narrowest walk; a graph of more than 10,000 vectors
    is walked more widely, by the cube root of their number.
    The newest rows are scanned exactly until `tail_rows` of them are merged into the graph in
    the background. A snapshot is written after `save_after_changes` (in a large index after
    one change for every 32 chunks) and on close; a crash costs only the replay of what came
    after it.
    """

    vectors: str = "i8"
    connectivity: int = 32
    expansion_add: int = 256
    expansion_search: int = 64
    tail_rows: int = 1024
    save_after_changes: int = 4096
    lexical_heap_bytes: int = 20_000_000  # tantivy's floor is 15 MB a writer thread

    def __post_init__(self) -> None:
        """Raise SetupError for a form that there is not."""
        if self.vectors not in VECTORS:
            raise SetupError(
                f"index.vectors is {self.vectors!r}; set it to one of {', '.join(VECTORS)}"
            )
