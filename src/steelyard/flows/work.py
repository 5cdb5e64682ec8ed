"""The queue between those who submit documents and the pipeline that reads them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from time import monotonic

from steelyard.core.documents import State
from steelyard.store import Pending, Ticket


@dataclass(frozen=True, slots=True)
class Ended:
    """A submission's end, as told to whoever watches.

    `unchanged`: the served version is the same, nothing was done. `superseded`: a newer
    submission of the same document is on its way, or the document was deleted. `took_s`: from
    the submission to its end; None if it was never queued here.
    """

    ticket: Ticket
    uri: str
    state: State
    error: str | None = None
    num_chunks: int = 0
    unchanged: bool = False
    superseded: bool = False
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Open:
    """A submission that has not ended."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = field(default_factory=monotonic)


class Work:
    """Lives on one event loop; every method is called there."""

    def __init__(self) -> None:
        self.num_submitted = 0
        self.num_ended = 0
        self._order = count()
        self._queue: asyncio.PriorityQueue[tuple[int, int, Pending]] = asyncio.PriorityQueue()
        self._open: dict[Ticket, _Open] = {}
        self._listeners: list[Callable[[Ended], None]] = []

    def listen(self, listener: Callable[[Ended], None]) -> None:
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[Ended], None]) -> None:
        self._listeners.remove(listener)

    @property
    def num_open(self) -> int:
        return len(self._open)

    def oldest_s(self) -> float:
        """Return how long ago the oldest submission that has not ended was made; 0: none."""
        first = next(iter(self._open.values()), None)  # in the order of submission
        return monotonic() - first.since if first else 0.0

    def add(self, jobs: Sequence[Pending], *, urgent: bool = False) -> None:
        """Queue submissions; urgent ones (an edited file, an upload) pass a long backlog.

        One that is open already is passed over: what is submitted while a home resumes is found
        twice, and whoever waits for it waits for the first.
        """
        for job in jobs:
            if job.ticket in self._open:
                continue
            self.num_submitted += 1
            self._open[job.ticket] = _Open()
            self._queue.put_nowait((0 if urgent else 1, next(self._order), job))

    def put_back(self, job: Pending) -> None:
        """Queue a taken job again: it was not its fault."""
        self._queue.put_nowait((0, next(self._order), job))

    def skip_unchanged(self, uri: str) -> None:
        """Tell listeners of a document that was not even submitted."""
        self.num_submitted += 1
        nobody = Ticket(collection="", id="", version=0)
        self.end(Ended(nobody, uri, State.SEARCHABLE, unchanged=True))

    async def take(self) -> Pending:
        _, _, job = await self._queue.get()
        return job

    def end(self, ended: Ended) -> None:
        self.num_ended += 1
        one = self._open.pop(ended.ticket, None)
        if one is not None:
            ended = replace(ended, took_s=monotonic() - one.since)
            one.ended.set()
        for listener in tuple(self._listeners):
            listener(ended)

    async def settled(self, tickets: Sequence[Ticket]) -> None:
        """Wait until each of these submissions has ended; unknown ones have."""
        for ticket in tickets:
            one = self._open.get(ticket)
            if one is not None:
                await one.ended.wait()

    async def drained(self) -> None:
        """Wait until nothing is open."""
        while self._open:
            await self.settled(list(self._open))
