"""Served answers and what people thought of them → training rows, each with where it is from."""

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.core.training import (
    Chat,
    Example,
    Kind,
    Preference,
    Provenance,
    Reading,
    Retrieval,
    Span,
    TrainingRow,
    Turn,
)

ORIGIN = "log"
GONE = "what it cites has changed since, or is not for these groups"
DRAWN_FROM_LOG = (Kind.RETRIEVAL, Kind.READER, Kind.CHAT, Kind.PREFERENCE)


@dataclass(frozen=True, slots=True)
class CitedChunk:
    """What an answer cites, as it stands now: `text[start:start + len(quote)]` is `quote`.

    `embedded` is the chunk as embedder and reranker see it, headings first.
    """

    document_id: str
    title: str
    text: str
    embedded: str
    start: int
    quote: str


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """A line of the query log. `user` is a pseudonym. `clean`: complete, and every sentence has
    support. `rating` None: nobody rated it. `num_gone`: citations whose words are gone since."""

    id: str
    question: str
    text: str
    answerable: bool
    clean: bool
    rating: str | None
    correction: str = ""
    follow_up: bool = False
    user: str = ""
    conversation: str = ""
    at: float = 0.0
    cited: tuple[CitedChunk, ...] = ()
    num_gone: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of one answer, or why there is none."""

    rows: tuple[TrainingRow, ...] = ()
    left_out: str = ""


def doubt(answer: ServedAnswer, *, unrated: bool) -> str:
    """Return why an answer may not be learnt from as it was given; "": it may.

    `unrated`: those that nobody rated may be too, if they cite and every sentence has support.
    """
    if answer.correction:
        return "corrected"
    if answer.rating == "up":
        return ""
    if answer.rating is not None:
        return "rated down"
    if not unrated:
        return "not rated"
    return "" if answer.clean and answer.cited else "not rated, and not wholly supported"


def retrieval_of(answer: ServedAnswer) -> Drawn:
    """Return the question with the chunks that a good answer cites."""
    if why := _not_found_by(answer):
        return Drawn(left_out=why)
    positives = tuple(dict.fromkeys(one.embedded for one in answer.cited))
    return Drawn((_row(answer, Retrieval(answer.question, positives), _documents(answer)),))


def readings_of(answer: ServedAnswer) -> Drawn:
    """Return a row for each chunk that a good answer cites; its spans are the cited words."""
    if why := _not_found_by(answer):
        return Drawn(left_out=why)
    chunks: dict[str, list[CitedChunk]] = {}
    for one in answer.cited:
        chunks.setdefault(one.embedded, []).append(one)
    rows = []
    for same in chunks.values():
        first = same[0]
        spans = tuple(dict.fromkeys(Span(one.quote, one.start) for one in same))
        reading = Reading(answer.question, first.text, spans, first.title)
        rows.append(_row(answer, reading, (first.document_id,)))
    return Drawn(tuple(rows))


def unanswered(answer: ServedAnswer, document_id: str, title: str, text: str) -> Drawn:
    """Return a reader's row of an approved refusal: the best that is found does not tell."""
    if answer.follow_up:
        return Drawn(left_out="a follow-up, which does not stand alone")
    return Drawn((_row(answer, Reading(answer.question, text, (), title), (document_id,)),))


def chat_of(answer: ServedAnswer, asked: Sequence[Turn], said: str) -> Drawn:
    """Return what a model was sent, and what it was right, or would have been, to say."""
    chat = Chat((*asked, Turn("assistant", said)))
    return Drawn((_row(answer, chat, _documents(answer)),))


def preference_of(
    answer: ServedAnswer, asked: Sequence[Turn], *, said: str, corrected: str
) -> Drawn:
    """Return a correction that is preferred to what was said."""
    if corrected.split() == said.split():
        return Drawn(left_out="corrected to what was said")
    pair = Preference(tuple(asked), (Turn("assistant", corrected),), (Turn("assistant", said),))
    return Drawn((_row(answer, pair, _documents(answer)),))


def _not_found_by(answer: ServedAnswer) -> str:
    """Return why nothing can be said of what the question should find."""
    if answer.follow_up:
        return "a follow-up, which does not stand alone"
    if not answer.answerable:
        return "a refusal"
    if not answer.cited:
        return GONE if answer.num_gone else "cites nothing"
    return ""


def _documents(answer: ServedAnswer) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.document_id for one in answer.cited))


def _row(answer: ServedAnswer, example: Example, documents: tuple[str, ...]) -> TrainingRow:
    where = Provenance(
        id=answer.id,
        origin=ORIGIN,
        documents=documents,
        user=answer.user,
        conversation=answer.conversation,
        at=answer.at,
    )
    return TrainingRow(example, where)
