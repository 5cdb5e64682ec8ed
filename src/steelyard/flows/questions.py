"""A home's documents and its query log → questions with gold, waiting to be reviewed."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from steelyard.core.documents import Document, DocumentRow
from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.evaluation import Question
from steelyard.core.protocols import Completer
from steelyard.datasets import (
    Made,
    RatedAnswer,
    prompt_for,
    question_of_reply,
    questions_of_log,
    synthesise,
)
from steelyard.infra.concurrent import compute
from steelyard.store import OPERATOR, Store
from steelyard.store.answers import MAX_ANSWERS

PAGE = 1_000
MIN_PASSAGE_CHARS = 200
# Asked at once: enough to keep a model server's batch busy, few enough for a laptop's.
ASKED_AT_ONCE = 4
ASKED_PER_QUESTION = 2  # a reply in two may be refused before rules fill the set


@dataclass(frozen=True, slots=True)
class MadeQuestions:
    """`refused` counts a model's replies that were not believed, by reason; `problem` is why it
    was asked no further, "" if nothing went wrong."""

    questions: tuple[Made, ...]
    num_documents: int
    refused: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """`[start, end)` of a document's text: one of its chunks."""

    document: Document
    start: int
    end: int


@dataclass(slots=True)
class _Written:
    """What a model has written so far."""

    questions: list[Question] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    problem: str = ""


async def make_questions(
    store: Store,
    *,
    pool: ThreadPoolExecutor,
    collection: str,
    limit: int,
    per_document: int,
    completer: Completer | None = None,
    on_asked: Callable[[int, int], None] = lambda asked, written: None,
) -> MadeQuestions:
    """Return at most `limit` questions on a collection: a model's, then those made by rule.

    `on_asked` is told, as it goes, how many passages the model saw and how many questions it
    wrote.

    Raises:
        InputError: the collection has no document to ask about, or a number makes no sense.
    """
    if limit < 1 or per_document < 1:
        raise InputError(f"{limit} questions, {per_document} a document: give at least 1 of each")
    documents = await compute(pool, read_documents, store, collection)
    if not documents:
        raise InputError(
            f"collection {collection!r} has no document to ask about: run `steelyard ingest PATH`"
        )
    written = _Written()
    if completer is not None:
        passages = await compute(pool, _passages, store, documents, limit * ASKED_PER_QUESTION)
        try:
            await _ask_all(completer, passages, written, limit=limit, on_asked=on_asked)
        except UpstreamError as error:
            written.problem = error.message
    made = list(written.questions)
    if rest := limit - len(made):
        made += await compute(pool, synthesise, documents, limit=rest, per_document=per_document)
    if not made:
        why = written.problem or "set a language model with --llm-url"
        raise InputError(f"no question could be made of {len(documents)} documents: {why}")
    uris = {document.id: document.uri for document in documents}
    return MadeQuestions(
        questions=tuple(Made(one, uris.get(one.cluster, "")) for one in made),
        num_documents=len(documents),
        refused=dict(written.refused),
        problem=written.problem,
    )


async def questions_from_log(
    store: Store, *, pool: ThreadPoolExecutor, collection: str
) -> MadeQuestions:
    """Return a question for each that was rated: up gives gold, down asks a person for it.

    Raises:
        InputError: nothing was rated.
    """

    def read() -> MadeQuestions:
        documents = {one.id: one for one in read_documents(store, collection)}
        rated = [
            RatedAnswer(
                question=one.question,
                text=one.text,
                answerable=one.answerable,
                up=one.rating == "up",
                comment=one.comment,
                citations=one.citations,
            )
            for one in store.recent_answers(limit=MAX_ANSWERS, only_rated=True)
            if one.collection == collection
        ]
        if not rated:
            raise InputError(
                f"nobody has rated an answer in collection {collection!r} yet: rate some on the "
                "page, or by POST /v1/feedback"
            )
        return MadeQuestions(tuple(questions_of_log(rated, documents)), len(documents))

    return await compute(pool, read)


def read_documents(store: Store, collection: str) -> list[Document]:
    """Return the searchable documents of a collection with their texts, oldest first."""
    found: list[Document] = []
    after: str | None = None
    while True:
        page = store.documents(principal=OPERATOR, collection=collection, after=after, limit=PAGE)
        found += [_document(store, row) for row in page.rows if row.num_chunks]
        if page.next is None:
            return found
        after = page.next


def _document(store: Store, row: DocumentRow) -> Document:
    parsed = store.parsed(row.collection, row.id, principal=OPERATOR)
    return Document(
        id=row.id,
        uri=row.uri,
        title=parsed.title,
        text=parsed.text,
        blocks=parsed.blocks,
        media_type=row.media_type,
        collection=row.collection,
    )


def _passages(store: Store, documents: Sequence[Document], limit: int) -> list[Passage]:
    """Return passages to ask a model about: of every document one, then a second one, ..."""
    queues = []
    for document in sorted(documents, key=lambda one: _hash(one.id)):
        chunks = store.chunks_of(document.collection, document.id, principal=OPERATOR)
        long = [one for one in chunks if one.end - one.start >= MIN_PASSAGE_CHARS]
        long.sort(key=lambda one: _hash(f"{document.id}\0{one.start}"))
        queues.append([Passage(document, one.start, one.end) for one in long])
    depth = max(map(len, queues), default=0)
    in_turn = [queue[n] for n in range(depth) for queue in queues if n < len(queue)]
    return in_turn[:limit]


async def _ask_all(
    completer: Completer,
    passages: Sequence[Passage],
    written: _Written,
    *,
    limit: int,
    on_asked: Callable[[int, int], None],
) -> None:
    """Ask about passages, a few at once, until there are `limit` questions.

    Raises:
        UpstreamError: the model failed; what it wrote before is in `written`.
    """
    for first in range(0, len(passages), ASKED_AT_ONCE):
        some = passages[first : first + ASKED_AT_ONCE]
        asked = (completer.complete(prompt_for(p.document, p.start, p.end)) for p in some)
        replies = await asyncio.gather(*asked, return_exceptions=True)
        for passage, reply in zip(some, replies, strict=True):
            if isinstance(reply, BaseException):
                continue
            found = question_of_reply(reply, passage.document, passage.start, passage.end)
            if found.question is None:
                written.refused[found.refused] += 1
            elif len(written.questions) < limit:
                written.questions.append(found.question)
        on_asked(first + len(some), len(written.questions))
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        if len(written.questions) >= limit:
            return


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
