"""A home's documents → questions with gold, by rule; the same documents give the same ones."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from steelyard.core.documents import Document
from steelyard.core.evaluation import GoldSpan, Question
from steelyard.core.words import content_stems, fold
from steelyard.datasets import headings, quantities, sentences, tables
from steelyard.datasets.facts import Fact, is_value, vocabulary
from steelyard.datasets.uniqueness import Statements

ORIGIN = "synthetic"
MAX_PER_DOCUMENT = 6
# Of so many questions one may be unanswerable: enough to see whether a system abstains.
ANSWERABLE_PER_UNANSWERABLE = 9
MAX_PER_COLUMN = 2
# "Who is the owner of the page ...?" is fair, but a tenth of a set is enough of it.
KEY_SHARE = 10
_NEAR = 0.8  # share of words from which two questions on one document are the same


@dataclass(frozen=True, slots=True)
class Found:
    """A fact and the number of the document that states it."""

    document: int
    fact: Fact


def synthesise(
    documents: Sequence[Document], *, limit: int = 100, per_document: int = MAX_PER_DOCUMENT
) -> list[Question]:
    """Return at most `limit` questions, spread over documents and over kinds of facts.

    A question that several documents answer differently is left out. A few cannot be answered:
    they ask for a cell that a table leaves empty and that no document fills.
    """
    statements = Statements(documents)
    found = _distinct(_unambiguous(list(_facts(documents)), statements))
    num_unanswerable = limit // (ANSWERABLE_PER_UNANSWERABLE + 1)
    missing = sorted(_missing(documents, statements), key=lambda one: _rank(documents, one))
    missing = _few_of_a_column(missing)[:num_unanswerable]
    chosen = _spread(found, documents, limit=limit - len(missing), per_document=per_document)
    made = [question_of(documents[one.document], one.fact) for one in chosen]
    made += [_unanswerable(documents[one.document], one.fact) for one in missing]
    return list({one.text: one for one in made}.values())


def question_of(document: Document, fact: Fact, *, type: str = "") -> Question:
    """Return a fact as a question with gold: its document and the words that state it."""
    quote = document.text[fact.start : fact.end]
    return Question(
        id=question_id(fact.question, document.id),
        text=fact.question,
        answers=fact.answers,
        answerable=True,
        relevant={document.id: 1},
        spans=(GoldSpan(document.id, quote, fact.start, fact.end),),
        type=type or fact.kind,
        cluster=document.id,
        origin=ORIGIN,
    )


def question_id(text: str, document_id: str) -> str:
    return "s-" + hashlib.sha256(f"{text}\0{document_id}".encode()).hexdigest()[:12]


def _unanswerable(document: Document, fact: Fact) -> Question:
    return Question(
        id=question_id(fact.question, document.id),
        text=fact.question,
        answerable=False,
        type="unanswerable",
        cluster=document.id,
        origin=ORIGIN,
    )


def _facts(documents: Sequence[Document]) -> Iterator[Found]:
    known = vocabulary(documents)
    for number, document in enumerate(documents):
        prose = sentences.Prose.of(document, known)
        for source in (
            tables.facts(document),
            sentences.definitions(prose),
            sentences.abbreviations(prose),
            sentences.keys(prose),
            quantities.facts(prose),
            headings.facts(document, known),
        ):
            for fact in source:
                yield Found(number, fact)


def _unambiguous(found: Sequence[Found], statements: Statements) -> Iterator[Found]:
    """Yield what only one answer fits: the same question has the same answer wherever it is
    asked, and no other statement speaks of the same and says something else."""
    by_question: dict[str, set[tuple[int, tuple[str, ...]]]] = defaultdict(set)
    for one in found:
        where = one.document if not one.fact.answers else -1
        answers = tuple(fold(answer) for answer in one.fact.answers)
        by_question[fold(one.fact.question)].add((where, answers))
    for one in found:
        stated_once = len(by_question[fold(one.fact.question)]) == 1
        checked = one.fact.kind in ("table", "quantity")
        if stated_once and not (checked and statements.contradicts(one.fact)):
            yield one


def _distinct(found: Iterable[Found]) -> list[Found]:
    """Drop the second question on the same words, and the second that asks nearly the same."""
    kept: list[Found] = []
    places: set[tuple[int, int, str]] = set()
    asked: dict[int, list[frozenset[str]]] = defaultdict(list)
    for one in found:
        place = (
            one.document,
            one.fact.start,
            "" if one.fact.kind != "table" else one.fact.attribute,
        )
        stems = frozenset(content_stems(one.fact.question))
        near = any(_overlap(stems, other) >= _NEAR for other in asked[one.document])
        if place not in places and not near:
            places.add(place)
            asked[one.document].append(stems)
            kept.append(one)
    return kept


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 1.0


def _spread(
    found: Sequence[Found], documents: Sequence[Document], *, limit: int, per_document: int
) -> list[Found]:
    """Take from all documents in turn, the rarest kind of fact first; in the documents' order."""
    by_document: dict[int, list[Found]] = defaultdict(list)
    for one in sorted(found, key=lambda one: _rank(documents, one)):
        by_document[one.document].append(one)
    taken: list[Found] = []
    kinds: Counter[str] = Counter()
    for _ in range(per_document):
        for number in sorted(by_document, key=lambda n: _hash(documents[n].id)):
            waiting = by_document[number]
            full = kinds["key"] * KEY_SHARE >= limit
            some = [one for one in waiting if not (full and one.fact.kind == "key")]
            if some and len(taken) < limit:
                best = min(some, key=lambda one: kinds[one.fact.kind])
                waiting.remove(best)
                kinds[best.fact.kind] += 1
                taken.append(best)
    return sorted(taken, key=lambda one: (one.document, one.fact.start, one.fact.question))


def _missing(documents: Sequence[Document], statements: Statements) -> Iterator[Found]:
    """Yield questions for cells that a table leaves empty, where no other document speaks of
    both the row and the column, and the table's own says nothing more of the row."""
    for number, document in enumerate(documents):
        for table in tables.tables_of(document):
            for row in table.rows:
                for column, cell in row.cells.items():
                    asked = tables.question(table, row.name, column)
                    if not asked or cell.strip(" -–—") or not _mostly_filled(table, column):
                        continue
                    elsewhere = statements.documents_with(f"{row.name} {column}") - {number}
                    alone = document.text.count(row.name) == 1
                    if not elsewhere and alone:
                        fact = Fact(
                            "unanswerable",
                            asked,
                            (),
                            row.line.start,
                            row.line.end,
                            row.name,
                            column,
                        )
                        yield Found(number, fact)


def _few_of_a_column(found: Iterable[Found]) -> list[Found]:
    """Keep `MAX_PER_COLUMN` of one document's column: one gap says most of what ten would."""
    counted: Counter[tuple[int, str]] = Counter()
    kept = []
    for one in found:
        column = (one.document, one.fact.attribute)
        counted[column] += 1
        if counted[column] <= MAX_PER_COLUMN:
            kept.append(one)
    return kept


def _mostly_filled(table: tables.Table, column: str) -> bool:
    cells = [row.cells.get(column, "") for row in table.rows]
    return sum(map(is_value, cells)) >= max(2, len(cells) // 2)


def _rank(documents: Sequence[Document], one: Found) -> str:
    return _hash(f"{documents[one.document].id}\0{one.fact.question}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
