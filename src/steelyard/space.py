"""One embedder's world over a home: what embeds, the index of its vectors, how documents are read.

Whatever compares vectors is taken from one space, so no question of one embedder can meet an
index of another's.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import cached_property
from pathlib import Path

from steelyard.chunk import CHUNKER_VERSION, StructureChunker
from steelyard.core.protocols import Embedder
from steelyard.embed import EmbedOptions
from steelyard.flows.ingest import Recipe
from steelyard.index import Shadows
from steelyard.infra.concurrent import Workers
from steelyard.parse import PARSER_VERSION, FileParser
from steelyard.parts import make_embedder
from steelyard.retrieve import QuestionEmbedder
from steelyard.settings import Settings
from steelyard.store import HeldEmbedder, Store


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
        claims: bool = True,
        may_lag: Callable[[str], bool] = lambda fingerprint: False,
    ) -> None:
        """`claims`: it is to be the home's; else it stands beside the home's.

        `may_lag` tells whether the home may still be another embedder's although the settings say
        this one, by its fingerprint: because a switch to it is under way. That one serves then.
        """
        self.settings = settings
        self._home = home
        self._store = store
        self._workers = workers
        self._parser = parser
        self._claims = claims
        self._may_lag = may_lag

    @cached_property
    def embedder(self) -> Embedder:
        made = make_embedder(self.settings)
        if not self._claims:
            return made
        owner = self._store.home_embedder()
        if (
            owner is not None
            and owner.fingerprint != made.fingerprint
            and owner.options is not None
            and self._may_lag(made.fingerprint)
        ):
            _close(made)
            self.settings = replace(self.settings, embed=embed_options(owner))
            made = make_embedder(self.settings)
        self.claim(made)
        return made

    def claim(self, made: Embedder | None = None) -> None:
        """Bind the home and this process's writes to this embedder; raises SetupError."""
        made = made or self.embedder
        self._store.claim_embedder(made.fingerprint, made.dim, options=asdict(self.settings.embed))

    @cached_property
    def index(self) -> Shadows:
        embedder = self.embedder
        return Shadows.open(
            self._home / place_of(self._store, embedder.fingerprint),
            self._store.vectors_by(embedder.fingerprint),
            dim=embedder.dim,
            fingerprint=embedder.fingerprint,
            options=self.settings.index,
        )

    @cached_property
    def questions(self) -> QuestionEmbedder:
        return QuestionEmbedder(self.embedder, pool=self._workers.query)

    @cached_property
    def recipe(self) -> Recipe:
        embedder, chunk = self.embedder, self.settings.chunk
        # Documents are cut by the tokenizer; another embedder with the same one cuts them alike.
        tokenizer = getattr(embedder.tokenizer, "identity", embedder.fingerprint)
        parts = (PARSER_VERSION, CHUNKER_VERSION, repr(chunk), tokenizer)
        return Recipe(
            name=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32],
            parser=self._parser(),
            chunker=StructureChunker(embedder.tokenizer, chunk),
            embedder=embedder,
        )

    @property
    def name(self) -> str:
        """Name what shapes what is found: how documents are cut, and what embeds them."""
        return f"{self.recipe.name}\0{self.embedder.fingerprint}"

    def missing(self) -> list[str]:
        """Name the parts that a question needs and that are not made yet."""
        return [name for name in ("embedder", "index") if name not in self.__dict__]

    def close(self) -> None:
        """Save the index, and end the embedder's threads."""
        for name in ("index", "embedder"):
            _close(self.__dict__.get(name))


class Spaces:
    """Makes the spaces of one home."""

    def __init__(
        self, home: Path, store: Store, workers: Workers, *, parser: Callable[[], FileParser]
    ) -> None:
        self._home = home
        self._store = store
        self._workers = workers
        self._parser = parser

    def made(self, settings: Settings, *, claims: bool) -> Space:
        """Return the space of the home, or one that stands beside it."""
        return Space(
            self._home,
            settings,
            store=self._store,
            workers=self._workers,
            parser=self._parser,
            claims=claims,
            may_lag=self._may_lag,
        )

    def may_switch(self, settings: Settings) -> bool:
        """Tell whether somebody meant the home to be given to the embedder of these settings."""
        switch = self._store.switch()
        begun = switch is not None and not switch.flipped
        if begun and switch is not None and embed_options(switch.other) == settings.embed:
            return True
        return self._governed()

    def _may_lag(self, fingerprint: str) -> bool:
        switch = self._store.switch()
        if switch is not None and switch.other.fingerprint == fingerprint:
            return True
        return self._governed()

    def _governed(self) -> bool:
        """Tell whether the registry has ever said which embedder there shall be."""
        versions = self._store.versions()
        return any(key.startswith("embed.") for one in versions for key in one.options)


def embed_options(held: HeldEmbedder) -> EmbedOptions:
    """Return what an embedder was opened with; what this version does not know is left out."""
    known = {field.name for field in fields(EmbedOptions)}
    kept = {key: value for key, value in (held.options or {}).items() if key in known}
    return EmbedOptions(**kept)  # type: ignore[arg-type]  # as JSON gave them back


def place_of(store: Store, fingerprint: str) -> str:
    """Return the folder of the home that an embedder's index lies in."""
    switch = store.switch()
    held = [store.home_embedder(), None if switch is None else switch.other]
    return next((one.place for one in held if one and one.fingerprint == fingerprint), "index")


def _close(part: object) -> None:
    if close := getattr(part, "close", None):
        close()
