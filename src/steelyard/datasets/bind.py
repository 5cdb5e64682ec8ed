"""A set over a live home, bound to its documents: ends of addresses become ids, words places."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

from steelyard.core.documents import Document
from steelyard.core.evaluation import GoldSpan, Question, QuestionSet, SetDocument
from steelyard.datasets.gold import MAX_UNKNOWN
from steelyard.datasets.identity import content_id
from steelyard.datasets.ledger import Ledger, Place, shown

UNKNOWN = "documents that questions name and the home does not have"
MIN_FIELDS = 3  # of a row; fewer stand near each other by chance
MOVED = "gold words that stand in none of their documents any more"


def bind(questions: QuestionSet, documents: Sequence[Document]) -> QuestionSet:
    """Return a set without documents of its own with its gold in terms of a home's.

    A name is an id, or the end of one document's address ("hr/travel.md"). Words get their
    places where they stand in the text; where they don't, they stay without.

    Raises:
        InputError: a name that fits several documents, or more than 1 % that fit none.
    """
    if questions.documents:
        return questions
    ledger = Ledger()
    place = Place(questions.name)
    home = _Home(documents, ledger, place)
    names = [name for one in questions.questions for name in _names(one)]
    ids = {name: home.identity(name) for name in dict.fromkeys(names)}
    unknown = [name for name in names if not ids[name]]
    if len(unknown) > MAX_UNKNOWN * len(names):
        ledger.fault(
            place,
            f"{len(unknown):,} of {len(names):,} names of documents fit none of the home's "
            f"{len(documents):,} (the first: {shown(unknown[0])}): ingest the documents that the "
            "questions are about, or choose another home with --home",
        )
    bound = tuple(_bound(one, ids, home) for one in questions.questions)
    ledger.check(questions.name)
    return replace(questions, questions=bound, notes=(*questions.notes, *ledger.notes()))


def with_documents(questions: QuestionSet, documents: Sequence[Document]) -> QuestionSet:
    """Return a set over a live home with the home's documents, to be carried elsewhere.

    Texts are as the home stores them: read already, so that gold words keep their places.
    """
    if questions.documents:
        return questions
    bound = bind(questions, documents)
    own = tuple(SetDocument(one.id, one.title, one.text) for one in documents)
    return replace(bound, documents=own, id=content_id(bound.questions, own))


class _Home:
    """A home's documents by id and by the ends of their addresses."""

    def __init__(self, documents: Sequence[Document], ledger: Ledger, place: Place) -> None:
        self._ledger = ledger
        self._place = place
        self._texts = {one.id: one.text for one in documents}
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for one in documents:
            parts = unquote(one.uri).split("/")
            for start in range(len(parts)):
                self._by_end["/".join(parts[start:])].append(one.id)

    def identity(self, name: str) -> str:
        """Return the id that a name stands for; "": none, counted."""
        if name in self._texts:
            return name
        found = self._by_end.get(unquote(name).lstrip("/"), [])
        if len(found) > 1:
            self._ledger.fault(
                self._place, f"{shown(name)} fits {len(found)} documents: write more of its path"
            )
        if not found:
            self._ledger.count(UNKNOWN, name)
        return found[0] if found else ""

    def span(self, span: GoldSpan, ids: Mapping[str, str], relevant: Sequence[str]) -> GoldSpan:
        """Return a span of a home's document, at its place where its words stand there."""
        named = ids.get(span.document_id, "")
        candidates = [named] if named else relevant
        for identity in candidates:
            text = self._texts[identity]
            at = span.start
            if at is not None and text[at : at + len(span.text)] == span.text:
                return GoldSpan(identity, span.text, at, at + len(span.text))
            if found := locate(span.text, text):
                return GoldSpan(identity, text[found.start() : found.end()], *found.span())
        self._ledger.count(MOVED, span.text)
        return GoldSpan(named, span.text)


def locate(words: str, text: str) -> re.Match[str] | None:
    """Return where `words` first stand in `text`, whatever marks and breaks are between them.

    A CSV row is found in the line that has its fields in order, with the columns' names between.
    """
    exact = re.search(re.escape(words), text)
    found = re.findall(r"\w+", words.replace("_", " "))
    if exact or not found:
        return exact
    near = re.search(r"\b" + r"[\W_]+".join(map(re.escape, found)) + r"\b", text)
    fields = [field.strip() for field in words.split(",") if field.strip()]
    if near or len(fields) < MIN_FIELDS:
        return near
    return re.search(r"[^\n]{0,60}?".join(map(re.escape, fields)), text)


def _names(question: Question) -> list[str]:
    spans = (span.document_id for span in question.spans if span.document_id)
    return [*question.relevant, *spans]


def _bound(question: Question, ids: Mapping[str, str], home: _Home) -> Question:
    relevant = {ids[name]: grade for name, grade in question.relevant.items() if ids[name]}
    positive = [identity for identity, grade in relevant.items() if grade > 0]
    return replace(
        question,
        relevant=relevant,
        spans=tuple(home.span(span, ids, positive) for span in question.spans),
        cluster=ids.get(question.cluster) or question.cluster,
    )
