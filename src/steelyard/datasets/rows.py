"""One row of a set's file → a document or a question, with every fault of it in the ledger."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from steelyard.core.chat import Message
from steelyard.core.evaluation import SetDocument
from steelyard.datasets.ledger import Ledger, Place, shown
from steelyard.datasets.lines import Row

ID = ("id", "_id", "query_id", "question_id", "doc_id", "docid")
QUESTION_ID = ("id", "_id", "query_id", "question_id", "qid")
QUESTION_TEXT = ("text", "question", "query")
DOCUMENT_TEXT = ("text", "contents", "body")
CONVERSATION = ("conversation", "conversation_id", "dialog_id")
UNANSWERABLE = "unanswerable"
ORIGINS = ("gold", "synthetic", "log")
# Ids that are names of such files keep them: their texts are in that markup. Not HTML: what is
# called so in a corpus is mostly the text that somebody extracted already.
_MARKUP = (".md", ".markdown", ".mdx", ".rst", ".adoc", ".asciidoc", ".tex")


@dataclass(frozen=True, slots=True)
class DraftSpan:
    """Gold words as a row gives them; `document` "": the row does not say which."""

    document: str
    text: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class DraftQuestion:
    """A question as its row gives it, not yet compared with the documents."""

    place: Place
    id: str
    text: str
    answers: tuple[str, ...]
    answerable: bool | None
    documents: tuple[str, ...]
    spans: tuple[DraftSpan, ...]
    history: tuple[Message, ...]
    type: str
    split: str
    cluster: str
    conversation: str
    origin: str
    grades: Mapping[str, int] = field(default_factory=dict)


def document_of(row: Row, ledger: Ledger) -> SetDocument | None:
    """Return the document of a row; None: the row has a fault, or nothing in it to read."""
    reader = RowReader(row, ledger)
    identity = reader.identity(ID)
    title = reader.string(("title",)) or ""
    text = reader.string(DOCUMENT_TEXT)
    filename = reader.string(("filename",)) or ""
    if text is None and not title:
        reader.fault("text", f"is missing (the row has {reader.names()})")
    if not reader.sound or identity is None:
        return None
    if not (text or "").strip():
        if not title.strip():
            ledger.count("documents without any text were left out", row.place)
            return None
        ledger.count("documents that have only a title are read as their title", row.place)
        text = title
    return SetDocument(identity, title, text or "", filename or default_filename(identity))


def question_of(row: Row, ledger: Ledger, *, number: int) -> DraftQuestion | None:
    """Return the question of a row, the `number`th; None: a fault, or an empty question."""
    reader = RowReader(row, ledger)
    identity = reader.identity(QUESTION_ID, missing=f"q{number}")
    text = reader.string(QUESTION_TEXT)
    if text is None:
        reader.fault("text", f"is missing (the row has {reader.names()})")
    kind = reader.string(("type",)) or ""
    answers, documents = reader.answers(), reader.documents()
    draft = DraftQuestion(
        place=row.place,
        id=identity or "",
        text=(text or "").strip(),
        answers=answers,
        answerable=reader.answerable(answers, kind),
        documents=documents,
        spans=tuple(reader.spans(documents)),
        history=reader.history(),
        type=kind,
        split=reader.string(("split",)) or "",
        cluster=reader.identity(("cluster",), missing="") or "",
        conversation=reader.identity(CONVERSATION, missing="") or "",
        origin=reader.origin(),
        grades=reader.grades(),
    )
    if not reader.sound:
        return None
    if not draft.text:
        ledger.count("questions without any text were left out", row.place)
        return None
    return draft


def default_filename(identity: str) -> str:
    named = identity.lower().endswith(_MARKUP) and "://" not in identity
    return identity if named else "document.txt"


class RowReader:
    """Takes typed fields out of a row; what does not fit is a fault that names the field."""

    def __init__(self, row: Row, ledger: Ledger) -> None:
        self._row = row
        self._ledger = ledger
        self.sound = True

    def fault(self, name: str, problem: str) -> None:
        self.sound = False
        self._ledger.fault(self._row.place, f"field {name!r} {problem}")

    def names(self) -> str:
        return ", ".join(shown(name) for name in list(self._row.fields)[:8]) or "no field"

    def first(self, names: Iterable[str]) -> tuple[str, Any]:
        """Return the first of `names` that the row has, and its value; ("", None): none."""
        for name in names:
            if self._row.fields.get(name) is not None:
                return name, self._row.fields[name]
        return "", None

    def string(self, names: Iterable[str]) -> str | None:
        name, value = self.first(names)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        self.fault(name, f"must be text, not {shown(value)}")
        return None

    def identity(self, names: tuple[str, ...], *, missing: str | None = None) -> str | None:
        name, value = self.first(names)
        if value is None and missing is not None:
            return missing
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value
        if value is None:
            self.fault(names[0], f"is missing (the row has {self.names()})")
        else:
            self.fault(name, f"must be text or a whole number, not {shown(value)}")
        return None

    def strings(self, name: str) -> list[str]:
        """Return a list of texts; one text alone is a list of one. Blank ones are counted."""
        value = self._row.fields.get(name)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        found = []
        for item in listed:
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                self.fault(name, f"must be a list of texts, not {shown(value)}")
                return []
            if str(item).strip():
                found.append(str(item))
            else:
                self._ledger.count(f"blank texts in the field {name!r} were left out", self.place)
        return found

    @property
    def place(self) -> Place:
        return self._row.place

    def answers(self) -> tuple[str, ...]:
        """Return the accepted answers, `answers` before `answer`, each once."""
        fields = self._row.fields
        if isinstance(fields.get("answers"), dict):  # SQuAD's {"text": [...], "answer_start"}
            inner = RowReader(Row(self.place, fields["answers"]), self._ledger)
            found = inner.strings("text")
            self.sound = self.sound and inner.sound
            return tuple(dict.fromkeys(found))
        # A blank `answer` is how an unanswerable question is written: nothing to count.
        single = [] if fields.get("answer") == "" else self.strings("answer")
        return tuple(dict.fromkeys([*self.strings("answers"), *single]))

    def answerable(self, answers: tuple[str, ...], kind: str) -> bool | None:
        impossible = self.flag("is_impossible")
        said = self.flag("answerable")
        if said is None and (impossible or kind.lower() == UNANSWERABLE):
            said = False
        if said is False and answers:
            self.fault("answers", f"holds {shown(answers[0])}, but the question is unanswerable")
        return True if said is None and answers else said

    def documents(self) -> tuple[str, ...]:
        """Return the ids (or ends of uris) of the documents that the row names as its own."""
        named = self.strings("documents")
        single = self.identity(("doc_id", "document_id"), missing="")
        return tuple(dict.fromkeys([*named, *([single] if single else [])]))

    def grades(self) -> dict[str, int]:
        """Return `relevant`, {document: grade}, as our own files write it."""
        value = self._row.fields.get("relevant")
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(
            type(grade) is int and 0 <= grade <= 1_000_000 for grade in value.values()
        ):
            self.fault("relevant", f"must map documents to whole grades, not {shown(value)}")
            return {}
        return dict(value)

    def origin(self) -> str:
        value = self._row.fields.get("origin", "gold")
        if value not in ORIGINS:
            self.fault("origin", f"must be one of {', '.join(ORIGINS)}, not {shown(value)}")
            return "gold"
        return str(value)

    def history(self) -> tuple[Message, ...]:
        """Return earlier turns; plain texts alternate between user and assistant."""
        value = self._row.fields.get("history")
        if value is None:
            return ()
        turns = [] if not isinstance(value, list) else [_turn(i, t) for i, t in enumerate(value)]
        if not isinstance(value, list) or None in turns:
            self.fault("history", f'must list {{"role", "content"}} or texts, not {shown(value)}')
            return ()
        return tuple(turn for turn in turns if turn is not None)

    def spans(self, documents: tuple[str, ...]) -> Iterator[DraftSpan]:
        """Yield gold words: `spans` first, then `evidence`, each of the document it is in."""
        value = self._row.fields.get("spans", [])
        alone = documents[0] if len(documents) == 1 else ""
        for item in value if isinstance(value, list) else [value]:
            span = _span(item, alone)
            if span is None:
                self.fault("spans", f"must hold [text, start] or [start, end], not {shown(item)}")
            else:
                yield span
        evidence = self.strings("evidence")
        aligned = len(evidence) == len(documents)
        for n, text in enumerate(evidence):
            yield DraftSpan(documents[n] if aligned else alone, text)

    def flag(self, name: str) -> bool | None:
        value = self._row.fields.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.fault(name, f"must be true or false, not {shown(value)}")
        return None


def _turn(index: int, value: Any) -> Message | None:
    if isinstance(value, str):
        return Message("assistant" if index % 2 else "user", value)
    if isinstance(value, dict):
        role, content = value.get("role", "user"), value.get("content")
        if isinstance(role, str) and isinstance(content, str):
            return Message(role, content)
    return None


def _span(value: Any, document: str) -> DraftSpan | None:
    if isinstance(value, dict):
        text, start, end = value.get("text"), value.get("start"), value.get("end")
        named = value.get("document_id", value.get("document", document))
        fits = isinstance(text, str) and isinstance(named, str)
        both = (type(start) is int and type(end) is int) or (start is None and end is None)
        return DraftSpan(named, text, start, end) if fits and both else None  # type: ignore[arg-type]
    if not isinstance(value, list) or len(value) != 2 or type(value[1]) is not int:
        return None
    if isinstance(value[0], str):
        return DraftSpan(document, value[0], value[1], value[1] + len(value[0]))
    return DraftSpan(document, "", value[0], value[1]) if type(value[0]) is int else None
