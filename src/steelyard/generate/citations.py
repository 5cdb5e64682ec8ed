"""From the markers in an answer to exact quotations of its sources."""

import re
from collections.abc import Iterator, Sequence

from steelyard.core.chat import Citation, CitedText, Passage, Span
from steelyard.core.marks import MarkedSentence, marked_sentences
from steelyard.core.words import content_stems, numbers, stems
from steelyard.generate.prompt import REFUSAL
from steelyard.generate.support import SUPPORTED, Evidence, Source, support

_CLAIM_WORDS = 2  # a sentence with fewer content words and no number claims nothing
_SAYS_NOTHING = re.compile(
    r"\b(?:documents?|sources?|passages?|context|information)\b[^.]{0,60}?"
    r"\b(?:do(?:es)? ?n[o']t|did not|didn't|not|no)\b[^.]{0,40}?"
    r"\b(?:tell|say|state|contain|mention|provided?|answer|include|specify|enough|available)"
    r"|\b(?:cannot|can't|could not|couldn't|unable to) (?:answer|find|determine|be determined)"
    r"|\bno (?:information|mention|answer|details?)\b",
    re.IGNORECASE,
)
_REFUSAL_STEMS = frozenset(stems(REFUSAL))
_REFUSAL_LIKENESS = 0.75  # Jaccard of stems


def cite(text: str, passages: Sequence[Passage]) -> CitedText:
    """Resolve an answer's markers to the spans of `passages` that back each sentence.

    Every `quote` is the document's own text at `[start, end)`. Numbers of no passage are left
    out, as are markers on a sentence that shares no word with their passage. `unsupported`
    lists the sentences that claim something which neither their citations nor, without any,
    any passage backs. A refusal is not answerable, has no citations and is not unsupported.
    """
    claims = marked_sentences(text)
    known = {passage.n: passage for passage in passages}
    if _is_refusal(text, claims, known):
        return CitedText(answerable=False, citations=(), unsupported=())
    sources = _Sources(known)
    citations: dict[Citation, None] = {}  # ordered and unique
    unsupported: list[Span] = []
    for claim in claims:
        found, strength = _resolve(claim, sources)
        for n, spans in found.items():
            citations.update(dict.fromkeys(_citation(known[n], span) for span in spans))
        if strength < SUPPORTED and _claims_something(claim):
            unsupported.append(Span(claim.start, claim.end))
    return CitedText(True, tuple(citations), tuple(unsupported))


class _Sources:
    """The passages as sources, each made when it is first needed: most are never cited."""

    def __init__(self, known: dict[int, Passage]) -> None:
        self.known = known
        self._made: dict[int, Source] = {}

    def __getitem__(self, n: int) -> Source:
        if n not in self._made:
            passage = self.known[n]
            self._made[n] = Source(passage.text, context=_context(passage))
        return self._made[n]

    def all(self) -> Iterator[Source]:
        return (self[n] for n in self.known)


def _resolve(
    claim: MarkedSentence, sources: "_Sources"
) -> tuple[dict[int, list[tuple[int, int]]], float]:
    """Return the spans per cited number, and how well the claim is backed.

    With markers their spans back it, together; without, the best single passage does.
    """
    cited = [n for n in claim.cited if n in sources.known]
    if cited:
        found = {n: sources[n].find(claim.text) for n in cited}
        found = {n: spans for n, spans in found.items() if spans}
        return found, _strength(claim, [(sources[n], spans) for n, spans in found.items()])
    if not _claims_something(claim):
        return {}, 1.0
    alone = (_strength(claim, [(each, each.find(claim.text))]) for each in sources.all())
    return {}, max(alone, default=0.0)


def _strength(
    claim: MarkedSentence, backing: Sequence[tuple[Source, list[tuple[int, int]]]]
) -> float:
    quotes = [source.text[start:end] for source, spans in backing for start, end in spans]
    if not quotes:
        return 0.0
    context = "\n".join(source.context for source, _ in backing)
    return support(claim.text, Evidence.of("\n".join(quotes), context=context))


def _citation(passage: Passage, span: tuple[int, int]) -> Citation:
    start, end = span
    return Citation(
        n=passage.n,
        document_id=passage.document_id,
        uri=passage.uri,
        chunk_id=passage.chunk_id,
        start=passage.start + start,
        end=passage.start + end,
        quote=passage.text[start:end],
    )


def _context(passage: Passage) -> str:
    return "\n".join((passage.title, *passage.heading))


def _claims_something(claim: MarkedSentence) -> bool:
    if claim.text.endswith(":") or claim.text.startswith("#") or _SAYS_NOTHING.search(claim.text):
        return False
    return len(content_stems(claim.text)) >= _CLAIM_WORDS or bool(numbers(claim.text))


def _is_refusal(text: str, claims: list[MarkedSentence], known: dict[int, Passage]) -> bool:
    """Tell whether the answer is that there is none: it says so first and then cites nothing."""
    if not text.strip() or not claims:
        return True
    first, *rest = claims
    if any(n in known for claim in rest for n in claim.cited):
        return False
    words = frozenset(stems(first.text))
    likeness = len(words & _REFUSAL_STEMS) / len(words | _REFUSAL_STEMS)
    if likeness >= _REFUSAL_LIKENESS:
        return True
    cites = any(n in known for n in first.cited)
    return not cites and bool(_SAYS_NOTHING.search(first.text))
