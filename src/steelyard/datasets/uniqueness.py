"""Whether a question has one answer among all documents: what makes a synthetic one fair."""

from collections import defaultdict
from collections.abc import Iterable

from steelyard.core.documents import Document
from steelyard.core.sentences import split_sentences
from steelyard.core.words import content_stems, fold, stems
from steelyard.datasets.facts import Fact, plain
from steelyard.datasets.tables import tables_of

# Words of a question that a statement of the answer need not repeat.
_ASKING = frozenset(stems("long often much time page stand question within"))


class Statements:
    """Every sentence and table row of a home, found by the words in them."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._texts: list[str] = []
        self._documents: list[int] = []
        self._by_stem: dict[str, set[int]] = defaultdict(set)
        self._documents_by_stem: dict[str, set[int]] = defaultdict(set)
        for number, document in enumerate(documents):
            for stem in set(content_stems(document.text)):
                self._documents_by_stem[stem].add(number)
            for start, end in split_sentences(document.text):
                self._add(number, plain(document.text[start:end]))
            for table in tables_of(document):
                for row in table.rows:
                    for column, cell in row.cells.items():
                        self._add(number, f"{row.name} {column} {cell}")

    def contradicts(self, fact: Fact) -> bool:
        """Tell whether some statement speaks of all that the question does and gives none of
        its answers: it may be another answer."""
        asked = set(content_stems(fact.question)) - _ASKING
        if not asked:
            return True
        answers = [fold(answer) for answer in fact.answers]
        found = set.intersection(*(self._by_stem.get(stem, set()) for stem in asked))
        texts = (self._texts[number] for number in found)
        return any(not any(answer in text for answer in answers) for text in texts)

    def documents_with(self, text: str) -> set[int]:
        """Return the numbers of the documents that hold every word of `text`."""
        asked = set(content_stems(text))
        return set.intersection(
            *(self._documents_by_stem.get(stem, set()) for stem in asked or {""})
        )

    def _add(self, document: int, text: str) -> None:
        number = len(self._texts)
        self._texts.append(fold(text))
        self._documents.append(document)
        for stem in set(content_stems(text)):
            self._by_stem[stem].add(number)
