"""The query log and its feedback → training rows; what was corrected → preferences."""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from steelyard.core.chat import Citation, Message, Passage
from steelyard.core.errors import InputError, NotFound
from steelyard.core.marks import renumbered
from steelyard.core.ranking import Principal
from steelyard.core.training import Kind, TrainingRow
from steelyard.core.words import fold
from steelyard.datasets.training import check
from steelyard.datasets.training.served import (
    DRAWN_FROM_LOG,
    CitedChunk,
    Drawn,
    ServedAnswer,
    chat_of,
    doubt,
    preference_of,
    readings_of,
    retrieval_of,
    unanswered,
)
from steelyard.flows.answer import with_context
from steelyard.flows.replay import query_of
from steelyard.flows.training_desk import Desk, MadeRows, embedded
from steelyard.generate.marking import with_marks
from steelyard.generate.prompt import REFUSAL
from steelyard.infra.concurrent import compute
from steelyard.store import LoggedAnswer
from steelyard.store.answers import MAX_ANSWERS

SERVED_K = 8  # of answers logged before `k` was
CHANGED = "what it was made from has changed since, or is not for these groups"

_TO_DO = (
    "rate answers on the page or by POST /v1/feedback, or take unrated ones by --unrated",
    "correct bad answers on the page, or by `correction` of POST /v1/feedback",
)


@dataclass(frozen=True, slots=True)
class LogWish:
    """Which answers are wanted, as rows of which kind.

    `unrated`: also those that nobody rated. `without`: users whose questions are left out, by
    pseudonym. `closed_book`: conversations as they are sent where nothing is searched.
    """

    kind: Kind
    unrated: bool = False
    without: Collection[str] = ()
    closed_book: bool = False


async def rows_from_log(desk: Desk, wish: LogWish) -> MadeRows:
    """Return rows of the newest good answer to each question that was asked of a collection.

    Words that a row cites stand in a document that the desk's principal may read now.

    Raises:
        InputError: no such kind, or nothing could be learnt from; says what was left out.
    """
    if wish.kind not in DRAWN_FROM_LOG:
        kinds = ", ".join(DRAWN_FROM_LOG)
        raise InputError(f"the query log gives no rows of kind {wish.kind}; ask for one of {kinds}")
    logged = await compute(desk.pool, lambda: desk.store.recent_answers(limit=MAX_ANSWERS))
    here = [one for one in logged if one.collection == desk.collection]
    rows: list[TrainingRow] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for one in here:
        drawn = await _drawn(desk, one, wish, seen)
        sound = [row for row in drawn.rows if _is_sound(row)]
        rows += sound
        if not sound:
            left_out[drawn.left_out or "makes no sound row"] += 1
    if not rows:
        told = ", ".join(f"{number} {why}" for why, number in left_out.most_common())
        raise InputError(
            f"no row of kind {wish.kind} in the log of collection {desk.collection!r} "
            f"({told or 'nobody has asked'}): {_TO_DO[wish.kind is Kind.PREFERENCE]}"
        )
    return MadeRows(tuple(rows), len(here), dict(left_out.most_common()))


async def _drawn(desk: Desk, one: LoggedAnswer, wish: LogWish, seen: set[str]) -> Drawn:
    """Return the rows of one answer, unless its question has given some (`seen`) already."""
    key = fold(" ".join([*(turn.content for turn in one.history or ()), one.question]))
    if one.user and one.user in wish.without:
        return Drawn(left_out="of a user who is left out")
    if key in seen:
        return Drawn(left_out="asked again since")
    if wish.kind is not Kind.PREFERENCE and one.rating is not None:
        seen.add(key)  # the newest word on a question counts, whatever it is
    answer = await compute(desk.pool, _served, desk, one)
    if wish.kind is Kind.PREFERENCE:
        drawn = await _preference(desk, one, answer, wish)
    elif wish.kind is Kind.CHAT:
        drawn = await _chat(desk, one, answer, wish)
    elif why := doubt(answer, unrated=wish.unrated):
        return Drawn(left_out=why)
    elif wish.kind is Kind.RETRIEVAL:
        drawn = retrieval_of(answer)
    else:
        drawn = await _reading(desk, one, answer)
    if drawn.rows:
        seen.add(key)
    return drawn


async def _reading(desk: Desk, one: LoggedAnswer, answer: ServedAnswer) -> Drawn:
    if answer.answerable:
        return readings_of(answer)
    passages = await _sources(desk, one)
    if passages is None or not passages:
        return Drawn(left_out=CHANGED if passages is None else "nothing is found for it")
    best = max(passages, key=lambda passage: passage.score)
    return unanswered(answer, best.document_id, best.title, best.text)


async def _chat(desk: Desk, one: LoggedAnswer, answer: ServedAnswer, wish: LogWish) -> Drawn:
    why = doubt(answer, unrated=wish.unrated)
    if why and why != "corrected":
        return Drawn(left_out=why)
    if one.history is None:
        return Drawn(left_out="its conversation was too long to be kept")
    if wish.closed_book:
        asked = desk.asked_closed_book(one.question, history=one.history)
        said = answer.correction or (answer.text if answer.answerable else REFUSAL)
        return chat_of(answer, asked, renumbered(said, {}))
    passages = await _sources(desk, one)
    if passages is None or answer.num_gone:
        return Drawn(left_out=CHANGED)
    numbers = _numbers(one.citations, passages)
    if len(numbers) < len({citation.n for citation in one.citations}):
        return Drawn(left_out="what it cites is not among what is found now")
    asked = desk.asked(one.question, passages, history=one.history)
    if answer.correction:
        said = with_marks(renumbered(answer.correction, numbers), passages)
    else:
        said = renumbered(answer.text, numbers) if answer.answerable else REFUSAL
    return chat_of(answer, asked, said)


async def _preference(desk: Desk, one: LoggedAnswer, answer: ServedAnswer, wish: LogWish) -> Drawn:
    if not answer.correction:
        return Drawn(left_out="not corrected")
    if one.history is None:
        return Drawn(left_out="its conversation was too long to be kept")
    if wish.closed_book:
        asked = desk.asked_closed_book(one.question, history=one.history)
        said, corrected = renumbered(one.text, {}), renumbered(answer.correction, {})
    else:
        passages = await _sources(desk, one)
        if passages is None or answer.num_gone:
            return Drawn(left_out=CHANGED)
        numbers = _numbers(one.citations, passages)
        asked = desk.asked(one.question, passages, history=one.history)
        said = renumbered(one.text, numbers)
        corrected = with_marks(renumbered(answer.correction, numbers), passages)
    return preference_of(answer, asked, said=said, corrected=corrected)


async def _sources(desk: Desk, one: LoggedAnswer) -> tuple[Passage, ...] | None:
    """Return what serving would give a model for a logged question now, as its asker could read
    it, and the desk's principal too; None: some of it is younger than the answer."""
    asked = query_of(one)
    groups = asked.principal.groups or desk.principal.groups
    query = replace(
        asked,
        principal=Principal(desk.principal.id, frozenset(groups & desk.principal.groups)),
        k=one.k or SERVED_K,
    )
    searched = with_context(query, one.history or ())
    passages = await desk.sources(searched)
    young = await compute(desk.pool, _younger, desk, passages, one.at)
    return None if young else passages


def _younger(desk: Desk, passages: Sequence[Passage], at: float) -> bool:
    query = desk.query("any", k=1)
    ids = [passage.chunk_id for passage in passages]
    return any(chunk.updated_at > at for chunk in desk.store.fetch(ids, query=query))


def _served(desk: Desk, one: LoggedAnswer) -> ServedAnswer:
    cited = [_cited(desk, citation) for citation in one.citations]
    return ServedAnswer(
        id=one.id,
        question=one.question.strip(),
        text=one.text,
        answerable=one.answerable,
        clean=not (one.unsupported or one.degraded or one.error),
        rating=one.rating,
        correction=one.correction,
        follow_up=one.history is None or bool(one.history),
        user=one.user,
        conversation=_conversation(one),
        at=one.at,
        cited=tuple(chunk for chunk in cited if chunk is not None),
        num_gone=cited.count(None),
    )


def _cited(desk: Desk, citation: Citation) -> CitedChunk | None:
    """Return the chunk that holds cited words now; None: none that may be read does."""
    quote = citation.quote.strip()
    try:
        chunks = desk.store.chunks_of(
            desk.collection, citation.document_id, principal=desk.principal
        )
    except NotFound:
        return None
    holding = [chunk for chunk in chunks if quote and quote in chunk.text]
    if not holding:
        return None
    nearest = min(holding, key=lambda chunk: abs(chunk.start - citation.start))
    there = citation.start - nearest.start
    exact = there >= 0 and nearest.text.startswith(quote, there)
    return CitedChunk(
        document_id=nearest.document_id,
        title=nearest.title,
        text=nearest.text,
        embedded=embedded(nearest),
        start=there if exact else nearest.text.index(quote),
        quote=quote,
    )


def _numbers(citations: Sequence[Citation], passages: Sequence[Passage]) -> dict[int, int]:
    """Return under which numbers the passages are found now that an answer cites."""
    found: dict[int, int] = {}
    for citation in citations:
        for passage in passages:
            same = passage.document_id == citation.document_id
            if same and citation.quote.strip() in passage.text:
                found.setdefault(citation.n, passage.n)
    return found


def _conversation(one: LoggedAnswer) -> str:
    """Name the conversation by who began it with what."""
    turns: Sequence[Message] = one.history or ()
    opening = next((turn.content for turn in turns if turn.role == "user"), one.question)
    whole = f"{one.user}\0{fold(' '.join(opening.split()))}"
    return "c-" + hashlib.sha256(whole.encode()).hexdigest()[:12]


def _is_sound(row: TrainingRow) -> bool:
    faults: list[str] = []
    check(row.example, lambda field, problem: faults.append(f"{field} {problem}"))
    return not faults
