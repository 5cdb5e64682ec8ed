"""The house's parts in a row, in memory, for benches that look inside a search.

What is found, and how well, is measured by `steelyard eval run` (results.py), as it is served;
this is for trying what is not.
"""

from collections.abc import Iterable
from dataclasses import replace

from legs import KeptVectors, Legs
from sets import SetDocument

from steelyard.core.protocols import Chunker
from steelyard.core.ranking import Ranking
from steelyard.parse import FileParser
from steelyard.retrieve import RetrieveOptions, fuse_convex

SERVED = RetrieveOptions()


class System:
    """The house's parts in a row, in memory: documents in, ranked documents out."""

    def __init__(self, vectors: KeptVectors, chunker: Chunker) -> None:
        self._vectors = vectors
        self._chunker = chunker
        self._parser = FileParser()
        self._owners: list[str] = []  # of each chunk
        self.texts: list[str] = []  # of each chunk, as embedded

    def add(self, documents: Iterable[SetDocument]) -> int:
        """Index documents, once; return the number of their chunks."""
        for document in documents:
            parsed = self._parser.parse(document.text.encode(), filename=document.filename)
            parsed = replace(parsed, title=document.title)
            for chunk in self._chunker.chunk(parsed):
                self.texts.append(chunk.embedded_text(document.title))
                self._owners.append(document.id)
        self._legs = Legs(self.texts, self._vectors)
        self._parser.close()
        return len(self.texts)

    def find(self, text: str) -> Ranking:
        """Return the chunks found for a question, fused as they are served."""
        depth = SERVED.pool
        legs = [self._legs.dense(text, k=depth), self._legs.lexical(text, k=depth)]
        return fuse_convex(legs, weights=[SERVED.dense_share, 1 - SERVED.dense_share])

    def documents(self, ranking: Ranking, k: int) -> list[str]:
        """Return the documents of a ranking of chunks, each where its best chunk is."""
        return list(dict.fromkeys(self._owners[chunk_id] for chunk_id in ranking.chunk_ids))[:k]

    def close(self) -> None:
        self._legs.close()
