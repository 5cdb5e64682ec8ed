"""Passages that were not found, but stand beside what was found and help it."""

from collections.abc import Callable, Mapping, Sequence

from steelyard.core.documents import StoredChunk
from steelyard.retrieve.excerpts import Excerpt

Fetch = Callable[[Sequence[int], str], Sequence[StoredChunk]]  # ids, collection → readable ones
MakeWhole = Callable[[StoredChunk, float], Excerpt]


def with_neighbours(
    excerpts: Sequence[Excerpt],
    asked: frozenset[str],
    *,
    first: int,
    fetch: Fetch,
    make: MakeWhole,
) -> list[Excerpt]:
    """Return `excerpts` with what stands beside the `first` of them put behind each.

    A neighbour joins if it has a word of the question (`asked`) that what it stands beside
    lacks, or if it is what that announces with its last character, a colon.
    """
    there = {each.chunk.chunk_id for each in excerpts}
    near = _fetch_beside(excerpts[:first], there, fetch)
    result: list[Excerpt] = []
    for place, each in enumerate(excerpts):
        result.append(each)
        if place >= first:
            continue
        for beside in (each.chunk.chunk_id - 1, each.chunk.chunk_id + 1):
            chunk = near.get(beside)
            if chunk is None or chunk.document_id != each.chunk.document_id or beside in there:
                continue
            neighbour = make(chunk, each.score)
            announced = beside > each.chunk.chunk_id and each.chunk.text.rstrip().endswith(":")
            if announced or (asked & neighbour.says) - each.says:
                there.add(beside)
                result.append(neighbour)
    return result


def _fetch_beside(
    excerpts: Sequence[Excerpt], there: set[int], fetch: Fetch
) -> Mapping[int, StoredChunk]:
    wanted: dict[str, list[int]] = {}
    for each in excerpts:
        ids = wanted.setdefault(each.chunk.collection, [])
        ids += {each.chunk.chunk_id - 1, each.chunk.chunk_id + 1} - there
    return {
        chunk.chunk_id: chunk
        for collection, ids in wanted.items()
        if ids
        for chunk in fetch(sorted(set(ids)), collection)
    }
