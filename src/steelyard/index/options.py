"""What an operator may turn on the index; every default was measured (bench/index_100k.py)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Shape of the graph and rhythm of its upkeep.

    `connectivity` 32 matters: at 16, up to 1 % of the vectors are found by no search at all.
    The newest rows are scanned exactly until `tail_rows` of them are merged into the graph in
    the background. A snapshot is written after `save_after_changes` and on close; a crash
    costs only the replay of what came after it.
    """

    connectivity: int = 32
    expansion_add: int = 256
    expansion_search: int = 64
    tail_rows: int = 1024
    save_after_changes: int = 4096
    lexical_heap_bytes: int = 20_000_000  # tantivy's floor is 15 MB a writer thread
