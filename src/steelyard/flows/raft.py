"""Reader's rows → conversations as serving sends them: gold among distractors, cited answers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from steelyard.core.chat import Passage
from steelyard.core.errors import InputError
from steelyard.core.ranking import FoundChunk
from steelyard.core.training import Chat, Kind, Reading, TrainingRow, Turn
from steelyard.datasets.training import IndexedRow, sha256_of
from steelyard.datasets.training.guard import nearly_one, says
from steelyard.datasets.training.raft import quoted, shuffled, window, without_gold
from steelyard.flows.training_desk import Desk, MadeRows, carried
from steelyard.generate import REFUSAL, cite
from steelyard.generate.extractive import join_quotes

DEPTH = 50


@dataclass(frozen=True, slots=True)
class RaftWish:
    """`passages` stand in each prompt, gold and all; of what can be answered the share
    `without_gold` is asked without gold, to be refused."""

    passages: int = 8
    without_gold: float = 0.2
    seed: int = 0


async def raft_rows(
    desk: Desk,
    rows: Sequence[TrainingRow],
    index: Sequence[IndexedRow],
    wish: RaftWish,
    *,
    on_row: Callable[[int], None] = lambda done: None,
) -> MadeRows:
    """Return a conversation for each row, the same every time.

    Distractors are what a search finds for the question and what does not answer it: it has no
    accepted answer's words, and is not nearly the gold. A row is left out if its answer, quoted
    from the gold, would not be counted as cited when it is served.

    Raises:
        InputError: rows of another kind, a number that makes no sense, or nothing could be made.
    """
    if not rows or rows[0].kind is not Kind.READER:
        kind = rows[0].kind if rows else "none"
        raise InputError(
            f"questions with a text that answers them are needed, rows of kind reader; these are "
            f"of kind {kind}"
        )
    if not 2 <= wish.passages <= DEPTH // 2 or not 0 <= wish.without_gold <= 1:
        raise InputError(
            f"{wish.passages} passages, {wish.without_gold} without gold: give 2 to {DEPTH // 2} "
            "passages, and a share from 0 to 1"
        )
    bare = without_gold(rows, wish.without_gold, seed=wish.seed)
    counted: Counter[str] = Counter()
    made: list[tuple[str, TrainingRow]] = []
    for done, row in enumerate(rows, start=1):
        identity = sha256_of(row)
        try:
            made.append((identity, await _row(desk, row, wish, bare=identity in bare)))
        except _LeftOut as reason:
            counted[str(reason)] += 1
        on_row(done)
    if not made:
        told = ", ".join(f"{number} {why}" for why, number in counted.most_common())
        raise InputError(
            f"no row could be made ({told}): are the documents that the rows are about in this "
            "home? Ingest them, or name their set by --over"
        )
    refused = sum(_says(row) == REFUSAL for _, row in made)
    return MadeRows(
        rows=tuple(row for _, row in made),
        num_read=len(rows),
        left_out=dict(counted.most_common()),
        splits=carried(made, index),
        facts={"refusals": refused, "without_gold": sum(one in bare for one, _ in made)},
    )


class _LeftOut(Exception):
    """Why a row is not made."""


async def _row(desk: Desk, row: TrainingRow, wish: RaftWish, *, bare: bool) -> TrainingRow:
    reading = row.example
    assert isinstance(reading, Reading)
    found = await desk.found(desk.query(reading.question, k=DEPTH))
    gold = _gold(reading, row, found)
    given = [] if bare else [gold]
    distracting = _distractors(reading, gold, found)
    given += distracting[: wish.passages - len(given)]
    if len(given) < 2:
        raise _LeftOut("have no distractor")
    names = [passage.text for passage in given]
    order = shuffled(given, names, seed=wish.seed, of=reading.question)
    numbered = [replace(passage, n=n) for n, passage in enumerate(order, start=1)]
    passages = desk.fitted(numbered)
    said = REFUSAL
    if reading.answers and not bare:
        n = next((one.n for one in passages if one.text == gold.text), 0)
        said = join_quotes([(quoted(reading), n)])
        cited = cite(said, passages)
        if not cited.answerable or n not in {one.n for one in cited.citations}:
            raise _LeftOut("have an answer that cannot be cited")
    asked = desk.asked(reading.question, passages)
    return TrainingRow(Chat((*asked, Turn("assistant", said))), row.provenance)


def _gold(reading: Reading, row: TrainingRow, found: Sequence[FoundChunk]) -> Passage:
    """Return the chunk that has what is quoted, as it would be served; else the row's context."""
    for one in found if reading.answers else ():
        known = not row.provenance.documents or one.chunk.document_id in row.provenance.documents
        if (
            known
            and quoted(reading) in one.chunk.text
            and nearly_one(one.chunk.text, reading.context)
        ):
            return _passage(one)
    text = window(reading)
    document = next(iter(row.provenance.documents), "")
    return Passage(1, 0, document, "", reading.title, text, 0, len(text), 1.0)


def _distractors(reading: Reading, gold: Passage, found: Sequence[FoundChunk]) -> list[Passage]:
    answers = [span.text for span in reading.answers]
    return [
        _passage(one)
        for one in found
        if not says(one.chunk.text, answers) and not nearly_one(one.chunk.text, gold.text)
    ]


def _passage(found: FoundChunk) -> Passage:
    chunk = found.chunk
    return Passage(
        n=1,
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        uri=chunk.uri,
        title=chunk.title,
        text=chunk.text,
        start=chunk.start,
        end=chunk.end,
        score=found.score,
        heading=chunk.heading,
        page=chunk.page,
    )


def _says(row: TrainingRow) -> str:
    assert isinstance(row.example, Chat)
    return row.example.turns[-1].content
