"""One embedder's world over a home: what embeds, the index of its vectors, how documents are read.

Whatever compares vectors is taken from one space, so no question of one embedder can meet an
index of another's.
"""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from steelyard.chunk import CHUNKER_VERSION, StructureChunker
from steelyard.core.protocols import Embedder
from steelyard.flows.ingest import Recipe
from steelyard.index import Shadows
from steelyard.infra.concurrent import Workers
from steelyard.parse import PARSER_VERSION, FileParser
from steelyard.parts import make_embedder
from steelyard.retrieve import QuestionEmbedder
from steelyard.settings import Settings
from steelyard.store import Store


class Space:
    """Parts are made when they are first used; `close` is safe where none was made."""

    def __init__(
        self,
        home: Path,
        settings: Settings,
        *,
        store: Store,
        workers: Workers,
        parser: Callable[[], FileParser],
    ) -> None:
        self.settings = settings
        self._home = home
        self._store = store
        self._workers = workers
        self._parser = parser

    @cached_property
    def embedder(self) -> Embedder:
        made = make_embedder(self.settings)
        self._store.claim_embedder(made.fingerprint, made.dim)
        return made

    @cached_property
    def index(self) -> Shadows:
        embedder = self.embedder
        return Shadows.open(
            self._home / "index",
            self._store,
            dim=embedder.dim,
            fingerprint=embedder.fingerprint,
            options=self.settings.index,
        )

    @cached_property
    def questions(self) -> QuestionEmbedder:
        return QuestionEmbedder(self.embedder, pool=self._workers.query)

    @cached_property
    def recipe(self) -> Recipe:
        chunk = self.settings.chunk
        parts = (PARSER_VERSION, CHUNKER_VERSION, repr(chunk), self.embedder.fingerprint)
        return Recipe(
            name=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32],
            parser=self._parser(),
            chunker=StructureChunker(self.embedder.tokenizer, chunk),
            embedder=self.embedder,
        )

    def missing(self) -> list[str]:
        """Name the parts that a question needs and that are not made yet."""
        return [name for name in ("embedder", "index") if name not in self.__dict__]

    def close(self) -> None:
        """Save the index, and end the embedder's threads."""
        for name in ("index", "embedder"):
            part = self.__dict__.get(name)
            if close := getattr(part, "close", None):
                close()
