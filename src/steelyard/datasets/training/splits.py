"""Rows → splits such that nothing that belongs together stands on both sides."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard.core.errors import InputError
from steelyard.core.training import (
    Chat,
    Labelled,
    Preference,
    Reading,
    Retrieval,
    TrainingRow,
    Turn,
)
from steelyard.datasets.training.canonical import sha256_of
from steelyard.datasets.training.signatures import words_of

BY = ("document", "user", "time")
OPENING_WORDS = 12  # of a first question and its reply, to tell one conversation by
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of the rows each split but `train` is to have."""

    validation: float
    test: float


@dataclass(frozen=True, slots=True)
class Splits:
    """`of` maps rows' hashes to splits; `num_groups` counts what hangs together, by split."""

    of: Mapping[str, str]
    num_rows: Mapping[str, int]
    num_groups: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows that hang together, by hash; `key` is the smallest."""

    key: str
    rows: tuple[TrainingRow, ...]

    def latest(self) -> float:
        return max(row.provenance.at or 0.0 for row in self.rows)


def split_rows(
    rows: Sequence[TrainingRow], shares: Shares, *, by: str = "document", seed: int = 0
) -> Splits:
    """Return splits of rows: rows that share a document or a conversation stay together.

    `user`: those of one user too. `time`: every row of `train` is earlier than the newest of
    any group of `validation`, and so on to `test`. Depends on rows and seed, not on their order.

    Raises:
        InputError: no such way, a share that leaves nothing, rows without a user or a time,
            or a split that would be empty.
    """
    _check(rows, shares, by)
    groups = _groups(rows, by)
    asked = {TEST: shares.test, VALIDATION: shares.validation}
    wanted = {name: round(share * len(rows)) or 1 for name, share in asked.items() if share}
    chosen = _by_time(groups, wanted) if by == "time" else _by_chance(groups, wanted, seed)
    _check_filled(chosen, wanted, groups)
    of, num_rows, num_groups = dict[str, str](), Counter[str](), Counter[str]()
    for group in groups:
        name = chosen.get(group.key, TRAIN)
        num_groups[name] += 1
        num_rows[name] += len(group.rows)
        of |= {sha256_of(row): name for row in group.rows}
    return Splits(of, num_rows, num_groups)


def _by_chance(groups: Sequence[_Group], wanted: Mapping[str, int], seed: int) -> dict[str, str]:
    """Fill each split with groups in an order that only seed and keys decide.

    A group that would overfill a split is passed over, unless the split would stay empty.
    """
    order = sorted(groups, key=lambda one: hashlib.sha256(f"{seed}\0{one.key}".encode()).digest())
    chosen: dict[str, str] = {}
    for name, quota in wanted.items():
        left = quota
        free = [group for group in order if group.key not in chosen]
        for group in free:
            if len(group.rows) <= left:
                chosen[group.key] = name
                left -= len(group.rows)
        if left == quota and len(free) > 1:
            smallest = min(free, key=lambda one: (len(one.rows), one.key))
            chosen[smallest.key] = name
    return chosen


def _by_time(groups: Sequence[_Group], wanted: Mapping[str, int]) -> dict[str, str]:
    """Give the newest groups to `test`, those before them to `validation`; equal times stay."""
    order = sorted(groups, key=lambda one: (-one.latest(), one.key))
    chosen: dict[str, str] = {}
    at = 0
    for name, quota in wanted.items():
        taken = 0
        while at < len(order) and (taken < quota or order[at].latest() == order[at - 1].latest()):
            chosen[order[at].key] = name
            taken += len(order[at].rows)
            at += 1
    return chosen


def _groups(rows: Sequence[TrainingRow], by: str) -> list[_Group]:
    """Return what hangs together by any common key, sorted by key: union-find over keys."""
    parent = list(range(len(rows)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    first: dict[str, int] = {}
    for n, row in enumerate(rows):
        for key in _keys(row, by):
            parent[root(n)] = root(first.setdefault(key, n))
    members: dict[int, list[TrainingRow]] = defaultdict(list)
    for n, row in enumerate(rows):
        members[root(n)].append(row)
    groups = [_Group(min(map(sha256_of, one)), tuple(one)) for one in members.values()]
    return sorted(groups, key=lambda one: one.key)


def _keys(row: TrainingRow, by: str) -> Iterator[str]:
    """Yield what a row shares with others: documents, conversation, user, and its own content."""
    where = row.provenance
    yield from (f"document\0{one}" for one in where.documents)
    if where.conversation:
        yield f"conversation\0{where.conversation}"
    if by == "user":
        yield f"user\0{where.user}"
    match row.example:
        case Retrieval(query, positives, _):
            yield f"query\0{_plain(query)}"
            yield from (f"text\0{_plain(text)}" for text in positives)
        case Reading(_, context, _, title):
            yield f"text\0{_plain(context)}"
            if title:
                yield f"title\0{title}"
        case Labelled(text, _):
            yield f"text\0{_plain(text)}"
        case Preference(turns, _, _, _):
            yield f"asked\0{_plain(_joined(turns))}"
        case Chat(turns, _):
            yield f"row\0{_plain(_joined(turns))}"
            opening = _joined([one for one in turns if one.role != "system"][:2])
            if len(words_of(opening)) >= OPENING_WORDS:  # a greeting is no conversation
                yield f"opening\0{_plain(opening)}"


def _joined(turns: Sequence[Turn]) -> str:
    return "\n".join(turn.content for turn in turns)


def _plain(text: str) -> str:
    return hashlib.sha256(" ".join(words_of(text)).encode()).hexdigest()


def _check(rows: Sequence[TrainingRow], shares: Shares, by: str) -> None:
    if by not in BY:
        raise InputError(f"cannot split by {by!r}; give one of {', '.join(BY)}")
    if min(shares.validation, shares.test) < 0 or not 0 < shares.validation + shares.test < 1:
        raise InputError(
            f"shares of {shares.validation} and {shares.test} leave no row to train on, or none "
            "to test: give numbers like --validation 0.1 --test 0.1"
        )
    known = {"user": lambda row: row.provenance.user, "time": lambda row: row.provenance.at}
    lacking = [row for row in rows if by in known and known[by](row) in ("", None)]
    if lacking:
        where = lacking[0].provenance
        raise InputError(
            f"{len(lacking):,} rows have no {by}, the first {where.file}:{where.line}: add the "
            f"field {'user' if by == 'user' else 'at'!r}, or split by another"
        )


def _check_filled(
    chosen: Mapping[str, str], wanted: Mapping[str, int], groups: Sequence[_Group]
) -> None:
    filled = {chosen.get(group.key, TRAIN) for group in groups}
    empty = [name for name in (TRAIN, *wanted) if name not in filled]
    if empty:
        largest = max(len(group.rows) for group in groups)
        raise InputError(
            f"the split {empty[0]!r} would be empty: the rows hang together in {len(groups):,} "
            f"groups by document and conversation, the largest has {largest:,} rows; add rows of "
            "other documents, or ask for fewer splits"
        )
