"""The Python door: one synchronous object over an open home."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from steelyard.app import App, open_app
from steelyard.core.chat import Answer, AnswerEvent, Message
from steelyard.core.documents import DEFAULT_COLLECTION, DocumentRow, MetadataValue, State
from steelyard.core.errors import InputError
from steelyard.core.ranking import PUBLIC, Principal, Query, SearchResult
from steelyard.flows.answer import Wish, finished
from steelyard.flows.library import NewText
from steelyard.flows.work import Ended
from steelyard.infra.concurrent import LoopThread

OWNER = Principal(id="owner", groups=PUBLIC.groups, operator=True)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of files that were added: counts, and those that could not be read."""

    num_searchable: int
    num_unchanged: int
    num_removed: int
    problems: tuple[Ended, ...]


class Steelyard:
    """An open home, for scripts and notebooks; use it with `with`, or call `close`.

    Methods block; several threads may call them. `groups` says as whom to search: default
    `public`. Every option of `steelyard settings` can be given as `options`, by its dotted key.

    Raises:
        SetupError: the home or an option is wrong; the message says what to do.
    """

    def __init__(
        self, home: str | Path = ".steelyard", *, options: Mapping[str, Any] | None = None
    ) -> None:
        self._app: App = open_app(Path(home), flags=options)
        self._loop = LoopThread()
        self._working = self._app.working()
        try:
            self._loop.run(self._working.__aenter__())
        except BaseException:
            self._loop.close()
            self._app.close()
            raise

    def add(
        self,
        *paths: str | Path,
        collection: str = DEFAULT_COLLECTION,
        groups: Sequence[str] = ("public",),
    ) -> Added:
        """Read files and folders; return when each is searchable or has a reason not to be.

        Files that vanished from a given folder are removed; unchanged ones cost nothing.

        Raises:
            InputError: a path does not exist.
        """
        ended: list[Ended] = []
        synced = self._loop.run(
            self._app.add_paths(
                paths, collection=collection, groups=tuple(groups), on_end=ended.append
            )
        )
        good = [e for e in ended if e.state is State.SEARCHABLE and not e.unchanged]
        return Added(
            num_searchable=len(good),
            num_unchanged=synced.unchanged,
            num_removed=synced.removed,
            problems=tuple(e for e in ended if e.state is not State.SEARCHABLE),
        )

    def add_text(
        self,
        id: str,
        text: str,
        *,
        title: str | None = None,
        uri: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        groups: Sequence[str] | None = None,
        collection: str = DEFAULT_COLLECTION,
    ) -> DocumentRow:
        """Create or replace one document from its text; return it in its terminal state."""
        new = NewText(
            id=id,
            text=text,
            title=title,
            uri=uri,
            metadata=metadata or {},
            groups=None if groups is None else tuple(groups),
            collection=collection,
        )

        async def put() -> DocumentRow:
            receipt = await self._app.library.put_text(new)
            await self._app.library.settled(receipt.tickets)
            return await self._app.library.row(collection, id, OWNER)

        return self._loop.run(put())

    def delete(self, *ids: str, collection: str = DEFAULT_COLLECTION) -> int:
        """Delete documents, invisible from the next search on; return the snapshot.

        Raises:
            NotFound: none of them exists.
        """
        if not ids:
            raise InputError("delete needs at least one document id")
        library = self._app.library
        return self._loop.run(library.delete(ids, collection=collection, principal=OWNER))

    def documents(
        self, *, collection: str | None = None, state: State | None = None
    ) -> Iterator[DocumentRow]:
        """Yield every document with its state, in the order of submission."""
        after: str | None = None
        while True:
            page = self._loop.run(
                self._app.library.documents(
                    OWNER, collection=collection, state=state, after=after, limit=1000
                )
            )
            yield from page.rows
            after = page.next
            if after is None:
                return

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        collection: str = DEFAULT_COLLECTION,
        filter: Mapping[str, Any] | None = None,
        groups: Sequence[str] = ("public",),
    ) -> SearchResult:
        """Return the k best passages.

        Raises:
            InputError: the query is empty or too long, or the filter is wrong.
        """
        asked = _query(query, k, collection, filter, groups)

        async def searched() -> SearchResult:
            with self._app.serving.hold() as bundle:
                return await bundle.retriever.search(asked)

        return self._loop.run(searched())

    def ask(
        self,
        question: str,
        *,
        k: int = 8,
        collection: str = DEFAULT_COLLECTION,
        filter: Mapping[str, Any] | None = None,
        groups: Sequence[str] = ("public",),
        history: Sequence[Message] = (),
    ) -> Answer:
        """Return the finished, cited answer.

        Raises:
            InputError: the question is empty or too long, or the filter is wrong.
            UpstreamError: the language model failed.
        """
        asked = _query(question, k, collection, filter, groups)
        return self._loop.run(finished(self._app.stream(asked, Wish(history=history))))

    def ask_stream(
        self,
        question: str,
        *,
        k: int = 8,
        collection: str = DEFAULT_COLLECTION,
        filter: Mapping[str, Any] | None = None,
        groups: Sequence[str] = ("public",),
        history: Sequence[Message] = (),
    ) -> Iterator[AnswerEvent]:
        """Yield `Sources`, then `Token`s, then one `Done` or `Failed`."""
        asked = _query(question, k, collection, filter, groups)
        events = self._app.stream(asked, Wish(history=history))
        try:
            while True:
                try:
                    yield self._loop.run(anext(events))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run(events.aclose())

    def close(self) -> None:
        """Stop the background work, save the index, and close the home."""
        with contextlib.suppress(RuntimeError):  # closed before
            self._loop.run(self._working.__aexit__(None, None, None))
            self._loop.close()
            self._app.close()

    def __enter__(self) -> "Steelyard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _query(
    text: str,
    k: int,
    collection: str,
    filter: Mapping[str, Any] | None,
    groups: Sequence[str],
) -> Query:
    principal = Principal("owner", frozenset(groups), operator=True)
    return Query(text=text, principal=principal, k=k, collection=collection, filter=filter or {})
