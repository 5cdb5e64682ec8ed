"""The built-in answerer: the documents' own sentences, word for word, or an honest "no"."""

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from steelyard.core.chat import EXTRACTIVE, Finish, Message, Passage, Piece, Token
from steelyard.core.protocols import Embedder
from steelyard.core.ranking import Vector
from steelyard.generate.candidates import Candidate
from steelyard.generate.choose import Choice, ChooseOptions, Weighed, decide, weigh
from steelyard.generate.prompt import REFUSAL
from steelyard.generate.spans import ReadSpan
from steelyard.infra.concurrent import compute

_MAX_REMEMBERED = 2048  # sentence vectors: 4 MB at 384 dimensions
_FOREIGN_MARK = re.compile(r"\s?[\[【]\s*\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\s*[\]】](?!\()")
_LIST_BREAK = re.compile(r"\s*\n\s*(?=(?:[-*+•▪◦‣–.]|\d{1,3}[.)]|[a-z][.)])\s)")
_LINE = re.compile(r"\||[-*+•>]\s|\d{1,3}[.)]\s|```")


@dataclass(frozen=True, slots=True)
class Quoted:
    """`confidence` is how likely the text answers, 0 to 1; it is the refusal below a bound.
    `short` is the words of it that a reader points out, if one read."""

    text: str
    confidence: float
    short: str = ""


class Reading(Protocol):
    """What finds the answer inside sentences; see `reader.SpanReader`."""

    @property
    def model(self) -> str: ...

    async def read(
        self, question: str, passages: Sequence[Passage], found: Sequence[Candidate]
    ) -> Mapping[int, ReadSpan]: ...


class ExtractiveGenerator:
    """A `Generator` without a language model: it quotes the sentences that answer.

    A `reader`, if there is one, helps to choose them, and points out the words that answer.

    Sentences are embedded in `pool` one by one as queries are, not as passages: that way they
    have a question's priority and never wait behind a batch of ingestion. Their vectors are
    remembered, as the same passages are asked about again and again. Without `pool` it has two
    threads of its own.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        pool: ThreadPoolExecutor | None = None,
        options: ChooseOptions | None = None,
        reader: Reading | None = None,
    ) -> None:
        self._embedder = embedder
        self._reader = reader
        self._pool = pool or ThreadPoolExecutor(2, "steelyard-extractive")
        self._options = options or ChooseOptions()
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self._lock = Lock()

    @property
    def model(self) -> str:
        return EXTRACTIVE if self._reader is None else f"{EXTRACTIVE}, {self._reader.model}"

    async def generate(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Piece, None]:
        """Stream the quoted sentences, each with its marker, or the refusal; then a `Finish`.

        `history` is not read: the question must say what it is about.
        """
        by_rank = _by_rank(passages)
        weighed = await compute(self._pool, self._weigh, question, by_rank)
        spans: Mapping[int, ReadSpan] = {}
        if self._reader is not None and weighed.found:
            spans = await self._reader.read(question, by_rank, weighed.found)
        quoted = _quoted(decide(weighed, spans=spans, options=self._options), by_rank)
        for word in re.findall(r"\s*\S+", quoted.text):
            yield Token(word)
        yield Finish(confidence=quoted.confidence, short=quoted.short)

    def answer(self, question: str, passages: Sequence[Passage]) -> str:
        """Return the whole answer's text, as `quote` does."""
        return self.quote(question, passages).text

    def quote(self, question: str, passages: Sequence[Passage]) -> "Quoted":
        """Return the whole answer, without the reader; blocking, some tens of milliseconds.

        Passages rank by their scores, in whatever order they are numbered; equal ones as given.
        """
        by_rank = _by_rank(passages)
        return _quoted(decide(self._weigh(question, by_rank), options=self._options), by_rank)

    def _weigh(self, question: str, by_rank: Sequence[Passage]) -> Weighed:
        return weigh(question, by_rank, embed=self._embed)

    def _embed(self, text: str) -> Vector:
        with self._lock:
            known = self._vectors.get(text)
            if known is not None:
                self._vectors.move_to_end(text)
                return known
        vector = self._embedder.embed_query(text)
        with self._lock:
            self._vectors[text] = vector
            while len(self._vectors) > _MAX_REMEMBERED:
                self._vectors.popitem(last=False)
        return vector


def _by_rank(passages: Sequence[Passage]) -> list[Passage]:
    return sorted(passages, key=lambda passage: -passage.score)


def _quoted(choice: Choice, by_rank: Sequence[Passage]) -> Quoted:
    if not choice.answers:
        return Quoted(REFUSAL, choice.confidence)
    quotes = [(pick.text, by_rank[pick.place].n) for pick in choice.picks]
    span = choice.span
    short = "" if span is None else by_rank[span.place].text[span.start : span.end]
    return Quoted(join_quotes(quotes), choice.confidence, short)


def join_quotes(quotes: Sequence[tuple[str, int]]) -> str:
    """Return quotations as one text, each (of a list, each item) followed by its marker `[n]`.

    Markers that a document itself contains are left out, as they would cite a wrong source.
    Rows, list items and pieces without a full stop stand on lines of their own.
    """
    text = ""
    for quote, n in quotes:
        clean = _FOREIGN_MARK.sub("", quote).strip()
        alone = _LINE.match(clean) or not re.search(r"[.!?。！？][\"'”’)\]]*\s\[\d+\]$", text)
        marked = _LIST_BREAK.sub(f" [{n}]\n", clean) + f" [{n}]"
        text += ("" if not text else "\n\n" if alone else " ") + marked
    return text
