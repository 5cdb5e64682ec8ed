"""Questions compared with judgements and documents: what is gold, and what points nowhere."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

from steelyard.core.evaluation import GoldSpan, Question
from steelyard.datasets.clusters import is_passages, sole_document
from steelyard.datasets.draft import Draft
from steelyard.datasets.judgements import Judgement
from steelyard.datasets.ledger import Ledger, Place, shown
from steelyard.datasets.rows import DraftQuestion, DraftSpan

# Above this share of judgements that name unknown documents, recall would lie: a system is
# marked down for what it cannot find. Below, a few rows were lost on the way.
MAX_UNKNOWN = 0.01

UNKNOWN_DOCUMENT = "judgements that name a document that the corpus has not were left out"
UNKNOWN_QUESTION = "judgements of questions that are not in this set were left out"


class Gold:
    """The gold of a draft's questions; made once, it tells the ledger what does not fit."""

    def __init__(self, draft: Draft, ledger: Ledger) -> None:
        self._ledger = ledger
        self._texts = {one.id: one.text for one in draft.documents}
        self._known = {one.id for one in draft.questions}
        passages = is_passages(draft.documents)
        self._titles = {one.id: one.title for one in draft.documents if passages}
        self._pages: dict[str, list[str]] = defaultdict(list)
        if draft.by_title:
            for one in draft.documents:
                self._pages[one.title].append(one.id)
        self._grades: dict[str, dict[str, int]] = defaultdict(dict)
        self._judge(draft)
        self._roots = {_root(one) for one in draft.questions if one.history}

    def question(self, draft: DraftQuestion) -> Question:
        """Return a question with its gold; spans that do not fit their document are counted."""
        relevant = self._relevant(draft)
        return Question(
            id=draft.id,
            text=draft.text,
            answers=draft.answers,
            answerable=draft.answerable,
            relevant=relevant,
            spans=tuple(self._spans(draft, relevant)),
            history=draft.history,
            type=draft.type,
            cluster=self._cluster(draft, relevant),
            origin=draft.origin,
        )

    def _judge(self, draft: Draft) -> None:
        """Sort judgements by question; refuse a file that was made for other documents."""
        unknown: list[Judgement] = []
        num_met = 0
        for judgement in draft.judgements:
            if judgement.question_id not in self._known:
                self._ledger.count(UNKNOWN_QUESTION, judgement.question_id)
                continue
            num_met += 1
            documents = self._documents_of(judgement)
            if not documents:
                unknown.append(judgement)
                self._ledger.count(UNKNOWN_DOCUMENT, judgement.document_id)
            for document in documents:
                self._grade(judgement, document)
        if draft.judgements and not num_met and self._known:
            first = draft.judgements[0]
            self._ledger.fault(
                Place(first.place.file),
                f"no judgement is of a question of this set (the first is of "
                f"{shown(first.question_id)}): give the questions that were judged",
            )
        if len(unknown) > MAX_UNKNOWN * num_met:
            self._ledger.fault(
                unknown[0].place,
                f"{len(unknown):,} of {num_met:,} judgements name a document that the corpus "
                f"has not (the first: {shown(unknown[0].document_id)}): give the corpus that was "
                "judged",
            )
        if self._pages:
            self._ledger.note(
                "gold is per document: every page of a relevant document counts as relevant, so "
                "read RR and P, not recall of pages"
            )

    def _documents_of(self, judgement: Judgement) -> list[str]:
        if self._pages and judgement.document_id in self._pages:
            return self._pages[judgement.document_id]
        if not self._texts or judgement.document_id in self._texts:
            return [judgement.document_id]
        return []

    def _grade(self, judgement: Judgement, document: str) -> None:
        grades = self._grades[judgement.question_id]
        before = grades.setdefault(document, judgement.grade)
        if before != judgement.grade:
            self._ledger.fault(
                judgement.place,
                f"grades {shown(document)} for {shown(judgement.question_id)} {judgement.grade}, "
                f"but an earlier line {before}",
            )

    def _relevant(self, draft: DraftQuestion) -> dict[str, int]:
        """Return judgements; without any, the documents that the question itself names."""
        if draft.id in self._grades:
            return dict(self._grades[draft.id])
        if draft.grades:
            return {one: grade for one, grade in draft.grades.items() if self._has(one, draft)}
        if draft.answerable is False:
            return {}
        return {one: 1 for one in draft.documents if self._has(one, draft)}

    def _has(self, document: str, draft: DraftQuestion) -> bool:
        known = not self._texts or document in self._texts
        if not known:
            self._ledger.count(
                "questions that name a document that the corpus has not", draft.place
            )
        return known

    def _spans(self, draft: DraftQuestion, relevant: dict[str, int]) -> Iterator[GoldSpan]:
        for span in draft.spans:
            found = self._span(span, [one for one, grade in relevant.items() if grade > 0])
            if found is None:
                self._ledger.count(
                    "gold spans that do not fit their document's text were left out", draft.place
                )
            else:
                yield found

    def _span(self, span: DraftSpan, relevant: list[str]) -> GoldSpan | None:
        """Return a span checked against its text; of a live home there is nothing to check."""
        if not self._texts:
            bare = span.text.strip()
            return GoldSpan(span.document, span.text, span.start, span.end) if bare else None
        if span.start is not None and span.end is not None:
            text = self._texts.get(span.document, "")
            if not 0 <= span.start < span.end <= len(text):
                return None
            quoted = text[span.start : span.end]
            fits = quoted == span.text or not span.text
            return GoldSpan(span.document, quoted, span.start, span.end) if fits else None
        return self._found(span.text, [span.document] if span.document else relevant)

    def _found(self, quote: str, documents: Iterable[str]) -> GoldSpan | None:
        """Return where the first of `documents` has these words; None: none has them."""
        for document in documents:
            start = self._texts.get(document, "").find(quote)
            if start >= 0:
                return GoldSpan(document, quote, start, start + len(quote))
        return None

    def _cluster(self, draft: DraftQuestion, relevant: dict[str, int]) -> str:
        """Return what the question shares errors with: a said cluster, then its conversation,
        then the document it was asked about, then the only relevant one; "": nothing."""
        if draft.cluster or draft.conversation:
            return draft.cluster or draft.conversation
        if _root(draft) in self._roots:
            return _root(draft)
        if len(draft.documents) == 1:
            return draft.documents[0]
        return sole_document((one for one, grade in relevant.items() if grade > 0), self._titles)


def _root(draft: DraftQuestion) -> str:
    """Name the conversation that began with this question, or with its first turn."""
    opening = draft.history[0].content if draft.history else draft.text
    return "conversation " + hashlib.sha256(opening.strip().encode()).hexdigest()[:16]
