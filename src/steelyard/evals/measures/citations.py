"""Does an answer cite, does it cite the right place, and does what it cites support it?

`cite_precision` and `cite_recall` apply to answerable questions with gold spans, or, without
spans, with relevant documents; an answer without a citation, a refusal and a failure count as 0.
`support` and `cited` apply to what was answered: a refusal says nothing that needs support.
"""

from collections.abc import Sequence
from functools import lru_cache

from steelyard.core.chat import Answer, Citation
from steelyard.core.evaluation import Better, GoldSpan, Outcome, Question
from steelyard.core.marks import MarkedSentence, marked_sentences
from steelyard.evals.measures.measure import (
    FAILED,
    NOT_APPLICABLE,
    Meaning,
    SetMeasure,
    of_answers,
)
from steelyard.evals.measures.words import squad_words

_SAME_WORDS = 5  # so many in a row are the same passage, wherever they stand

FAMILIES = (
    Meaning(
        "cite_precision",
        "cite_precision",
        "share of the citations that overlap a gold span (or lie in a relevant document, where "
        "only documents are judged)",
        "0 to 1",
        Better.HIGHER,
        "places in the document, else words in common",
    ),
    Meaning(
        "cite_recall",
        "cite_recall",
        "share of the gold spans (else of the relevant documents) that are cited",
        "0 to 1",
        Better.HIGHER,
        "as cite_precision",
    ),
    Meaning(
        "support",
        "support",
        "share of an answer's sentences that its citations, or its sources, support",
        "0 to 1",
        Better.HIGHER,
        "the check that marks sentences in every answer served",
    ),
    Meaning(
        "cited",
        "cited",
        "share of an answer's sentences that carry a citation mark",
        "0 to 1",
        Better.HIGHER,
        "marks as in every answer served",
    ),
)


def _precision(question: Question, outcome: Outcome) -> float:
    if not _has_gold(question):
        return NOT_APPLICABLE
    citations = _citations(outcome)
    if not citations:
        return FAILED
    return sum(_on_gold(citation, question) for citation in citations) / len(citations)


def _recall(question: Question, outcome: Outcome) -> float:
    if not _has_gold(question):
        return NOT_APPLICABLE
    citations = _citations(outcome)
    if question.spans:
        found = [any(on_span(cited, span) for cited in citations) for span in question.spans]
    else:
        documents = {citation.document_id for citation in citations}
        found = [document in documents for document in _relevant(question)]
    return sum(found) / len(found)


def _support(question: Question, outcome: Outcome) -> float:
    answer = _given(outcome)
    if answer is None:
        return _without_answer(outcome)
    sentences = _sentences(answer.text)
    bad = sum(_is_unsupported(sentence, answer) for sentence in sentences)
    return 1 - bad / len(sentences) if sentences else FAILED


def _cited(question: Question, outcome: Outcome) -> float:
    answer = _given(outcome)
    if answer is None:
        return _without_answer(outcome)
    sentences = _sentences(answer.text)
    return sum(bool(one.cited) for one in sentences) / len(sentences) if sentences else FAILED


def on_span(citation: Citation, span: GoldSpan) -> bool:
    """Tell whether a citation overlaps a gold span.

    In the same document places decide, if the words at them agree. Where the span has no
    places, or the document was read in a way that moved them, the words decide: five in a row
    in common, or all of the shorter text. In another document, or at another place, only five
    in a row are enough: "218" alone is no proof.
    """
    num_words = _SAME_WORDS
    if citation.document_id == span.document_id:
        if span.start is None or span.end is None:
            return _share_words(citation.quote, span.text, least=1)
        low, high = max(citation.start, span.start), min(citation.end, span.end)
        if low < high:
            quoted = citation.quote[low - citation.start : high - citation.start]
            if quoted.split() == span.text[low - span.start : high - span.start].split():
                return True
            num_words = 1
    return _share_words(citation.quote, span.text, least=num_words)


def _share_words(left: str, right: str, *, least: int) -> bool:
    """Tell whether five words in a row are in both, or all words of one that has fewer, but
    `least`, in the other."""
    short, long = sorted((squad_words(left), squad_words(right)), key=len)
    num = min(_SAME_WORDS, len(short))
    if num < least:
        return False
    runs = {short[at : at + num] for at in range(len(short) - num + 1)}
    return any(long[at : at + num] in runs for at in range(len(long) - num + 1))


def _on_gold(citation: Citation, question: Question) -> bool:
    if question.spans:
        return any(on_span(citation, span) for span in question.spans)
    return question.relevant.get(citation.document_id, 0) > 0


def _has_gold(question: Question) -> bool:
    return question.answerable is not False and bool(question.spans or _relevant(question))


def _relevant(question: Question) -> list[str]:
    return [document for document, grade in question.relevant.items() if grade > 0]


def _given(outcome: Outcome) -> Answer | None:
    """Return the answer, unless there is none or it is a refusal."""
    answer = outcome.answer
    return answer if answer is not None and answer.answerable and not outcome.error else None


def _citations(outcome: Outcome) -> Sequence[Citation]:
    answer = _given(outcome)
    return answer.citations if answer else ()


def _without_answer(outcome: Outcome) -> float:
    return FAILED if outcome.error or outcome.answer is None else NOT_APPLICABLE


@lru_cache(8_192)
def _sentences(text: str) -> tuple[MarkedSentence, ...]:
    return tuple(marked_sentences(text))


def _is_unsupported(sentence: MarkedSentence, answer: Answer) -> bool:
    return any(
        span.start < sentence.end and sentence.start < span.end for span in answer.unsupported
    )


MEASURES = (
    SetMeasure("cite_precision", of_answers(_precision)),
    SetMeasure("cite_recall", of_answers(_recall)),
    SetMeasure("support", of_answers(_support)),
    SetMeasure("cited", of_answers(_cited)),
)
