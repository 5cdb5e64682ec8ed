"""What tells two versions apart: rows that came, went, or changed their split."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.datasets.training.versions import IndexedRow


@dataclass(frozen=True, slots=True)
class Difference:
    """Hashes of rows, sorted; a row that a version has twice counts twice."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    moved: tuple[str, ...]
    num_same: int


def diff(old: Sequence[IndexedRow], new: Sequence[IndexedRow]) -> Difference:
    """Return what `new` has more and less than `old`; `moved` are in another split now."""
    before, after = _counted(old), _counted(new)
    added, removed = after - before, before - after
    splits = _splits(old), _splits(new)
    common = (before & after).keys()
    return Difference(
        added=tuple(sorted(added.elements())),
        removed=tuple(sorted(removed.elements())),
        moved=tuple(sorted(one for one in common if splits[0][one] != splits[1][one])),
        num_same=(before & after).total(),
    )


def _counted(index: Sequence[IndexedRow]) -> Counter[str]:
    return Counter(one.sha256 for one in index)


def _splits(index: Sequence[IndexedRow]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in index:
        found[one.sha256].add(one.split)
    return found
