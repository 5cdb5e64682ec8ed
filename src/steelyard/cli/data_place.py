"""Where rows are made: over the home's own documents, or over those of a question set."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from steelyard.app import open_app
from steelyard.arms.laboratory import Laboratory
from steelyard.arms.specs import BUILT_IN
from steelyard.bundle import Bundle
from steelyard.cli.options import names_of
from steelyard.core.errors import InputError
from steelyard.core.ranking import Principal
from steelyard.core.training import Reading
from steelyard.datasets import find_set, is_set, read_set
from steelyard.datasets.training import find_version, is_version, read_kept
from steelyard.flows.training_desk import Desk
from steelyard.infra.concurrent import Workers
from steelyard.store import Store


class _Home(Protocol):
    @property
    def store(self) -> Store: ...

    @property
    def workers(self) -> Workers: ...


@dataclass(frozen=True, slots=True)
class Place:
    """`over` names a question set whose documents are searched; "": those of the home."""

    home: Path
    over: str
    collection: str
    groups: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def opened(self, on_fill: Callable[[int, int], None]) -> AsyncIterator[Desk]:
        """Open it; what a set has no home for yet is ingested, which `on_fill` is told."""
        if not self.over:
            app = open_app(self.home, flags=self.settings)
            try:
                yield desk_of(app, app.champion, collection=self.collection, groups=self.groups)
            finally:
                await app.aclose()
                app.close()
            return
        questions = read_set(find_set(self.home, self.over), unreviewed=True)
        if not questions.documents:
            raise InputError(
                f"{self.over!r} is a set without documents: leave --over out to search the home's"
            )
        laboratory = Laboratory(self.home, flags=self.settings, on_fill=on_fill)
        async with laboratory.opened(questions, [BUILT_IN["hybrid"]]) as held:
            (arm,) = held.arms
            yield desk_of(arm, arm.bundle, collection=self.collection, groups=self.groups)


def desk_of(home: _Home, bundle: Bundle, *, collection: str, groups: str) -> Desk:
    """Return the parts of a home with which rows are made, for those who may read `groups`."""
    return Desk(
        name=bundle.name,
        store=home.store,
        pool=home.workers.query,
        retriever=bundle.retriever,
        context=bundle.context,
        embedder=bundle.space.embedder,
        index=bundle.space.index,
        reranker=bundle.reranker,
        principal=Principal("training", frozenset(names_of(groups))),
        collection=collection,
        llm=bundle.settings.llm,
    )


def known_answers(home: Path, places: Sequence[str]) -> dict[str, list[str]]:
    """Return accepted answers by question, from versions of reader rows and from sets.

    Raises:
        NotFound: there is neither of that name.
    """
    known: dict[str, list[str]] = {}
    for place in places:
        if not is_set(home, place) and is_version(home, place):
            for row in read_kept(home, find_version(home, place)):
                if isinstance(row.example, Reading):
                    said = known.setdefault(row.example.question, [])
                    said += [span.text for span in row.example.answers]
            continue
        for question in read_set(find_set(home, place), unreviewed=True).questions:
            known.setdefault(question.text, []).extend(question.answers)
    return known
