"""Telling an edge cache what changed: answers made from changed documents leave it.

An answer carries surrogate keys: one for each document it is made from, one for each collection
that was searched, its bundle, and `steelyard`. A new or changed document may change any answer
of its collection, so it purges the collection's key; a deleted one purges only its own.
"""

import asyncio
import hashlib
import json
import logging
import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2

from steelyard.core.errors import SetupError, SteelyardError
from steelyard.core.protocols import Change
from steelyard.infra.concurrent import Workers, compute, together
from steelyard.infra.files import write_atomic
from steelyard.infra.http import open_client, upstream_error
from steelyard.store import Span, Store

log = logging.getLogger(__name__)

EVERYTHING = "steelyard"
TOKEN_VARIABLE = "STEELYARD_PURGE_TOKEN"
MAX_KEYS = 500  # of one request; more at once purge everything instead
CHANGES_AT_ONCE = 20_000
POLL_S = 0.05
ANSWER_WITHIN_S = 10.0
FIRST_RETRY_S = 0.5
MAX_RETRY_S = 30.0


def document_key(collection: str, identity: str) -> str:
    return "d" + _hash(collection, identity)


def collection_key(collection: str) -> str:
    return "c" + _hash(collection)


def _hash(*parts: str) -> str:
    """Return 16 hex digits: a key is short, safe in a header, and tells no name."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def check_purge_url(url: str) -> None:
    """Raise SetupError for a URL that no purge could be posted to."""
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        parts = httpx2.URL("")
    if parts.scheme not in ("http", "https") or not parts.host:
        raise SetupError(
            f"serve.purge_url = {url!r} is no http(s) URL; "
            "run `steelyard serve --set serve.purge_url=https://edge.example/__purge`"
        )
    if parts.userinfo:
        raise SetupError(
            f"serve.purge_url holds a password; run `export {TOKEN_VARIABLE}=...` instead"
        )


class Owners:
    """Which document a chunk belonged to, also after it is gone; 24 bytes a version.

    Chunks of one version are numbered in one piece, and numbers only grow.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._firsts = array("q")
        self._ends = array("q")
        self._keys = array("Q")
        self.add(spans)

    def add(self, spans: Sequence[Span]) -> None:
        for span in spans:
            if self._firsts and span.first_chunk <= self._firsts[-1]:
                continue  # known already
            self._firsts.append(span.first_chunk)
            self._ends.append(span.first_chunk + span.num_chunks)
            self._keys.append(int(document_key(span.collection, span.id)[1:], 16))

    def key(self, chunk_id: int) -> str | None:
        """Return the key of a chunk's document; None if it was never told."""
        at = bisect_right(self._firsts, chunk_id) - 1
        return f"d{self._keys[at]:016x}" if at >= 0 and chunk_id < self._ends[at] else None

    def __len__(self) -> int:
        return len(self._firsts)


class EdgePurge:
    """Follows the truth and posts `{"keys": [...]}` to one URL.

    What could not be delivered is kept (as a set of keys, at most `MAX_KEYS`), tried again, and
    remembered over a restart, which then purges everything.
    """

    def __init__(
        self, store: Store, workers: Workers, *, url: str, note: Path, bundle: Callable[[], str]
    ) -> None:
        """`note` is the file that remembers up to where the edge was told.

        Raises:
            SetupError: `url` is no http(s) URL.
        """
        check_purge_url(url)
        self._store = store
        self._workers = workers
        self._url = url
        self._note = note
        self._bundle = bundle
        self._seq = 0
        self._told_bundle = ""
        self._pending: set[str] = {EVERYTHING}
        self._sending: set[str] = set()
        self._work = asyncio.Event()
        self._failing = False

    @property
    def settled(self) -> bool:
        """Tell whether the edge knows of every change that was seen here."""
        return not self._pending and not self._sending

    async def run(self) -> None:
        """Work until cancelled."""
        token = os.environ.get(TOKEN_VARIABLE, "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with open_client(self._url, headers=headers) as client:
                owners = await self._begin()
                await together(self._follow(owners), self._deliver(client))
        except Exception:  # never settled again: answers are no longer left to the edge
            self._pending = {EVERYTHING}
            log.exception("purge_stopped")

    async def _begin(self) -> Owners:
        """Find out where the edge was left: what changed while nobody looked purges all."""
        self._seq = self._store.last_seq()
        self._told_bundle = self._bundle()
        if self._read_note() == self._state():
            self._pending.clear()
        self._work.set()
        return Owners(await compute(self._workers.ingest, self._store.spans))

    async def _follow(self, owners: Owners) -> None:
        seen: int | None = None
        enough = 2 * len(owners) + 100_000
        while True:
            version = self._store.data_version()
            bundle = self._bundle()
            if bundle != self._told_bundle:
                self._add({self._told_bundle})
                self._told_bundle = bundle
            if version != seen:
                try:
                    await self._look(owners)
                    seen = version
                except SteelyardError as error:
                    log.warning("purge_looks_again reason=%s", error)
            if len(owners) > enough:  # many versions later: forget those that went
                owners = Owners(await compute(self._workers.ingest, self._store.spans))
                enough = 2 * len(owners) + 100_000
            await asyncio.sleep(POLL_S)

    async def _look(self, owners: Owners) -> None:
        while self._seq != self._store.last_seq():
            changes = await compute(
                self._workers.ingest, self._store.changes, after=self._seq, limit=CHANGES_AT_ONCE
            )
            if changes is None:  # the log does not reach back so far
                seq = self._store.last_seq()
                owners.add(await compute(self._workers.ingest, self._store.spans))
                self._seq = seq
                self._add({EVERYTHING})
            elif changes:
                added = [change.chunk_id for change in changes if change.added]
                spans = await compute(self._workers.ingest, self._store.spans, added)
                owners.add(spans)
                self._seq = changes[-1].seq
                self._add(keys_of(changes, spans, owners))

    def _add(self, keys: set[str]) -> None:
        self._pending |= keys
        if EVERYTHING in self._pending or len(self._pending) > MAX_KEYS:
            self._pending = {EVERYTHING}
        self._work.set()

    async def _deliver(self, client: httpx2.AsyncClient) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            await self._work.wait()
            self._work.clear()
            if not self._pending:
                continue
            state = self._state()
            self._sending, self._pending = self._pending, set()
            if await self._post(client, sorted(self._sending)):
                self._sending = set()
                self._remember(state)
                retry_s = FIRST_RETRY_S
                continue
            keys, self._sending = self._sending, set()
            self._add(keys)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, MAX_RETRY_S)

    async def _post(self, client: httpx2.AsyncClient, keys: list[str]) -> bool:
        """Post one purge and tell whether it was taken; a failure is logged once a row."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                response = await client.post(self._url, json={"keys": keys})
                response.raise_for_status()
        except (httpx2.HTTPError, TimeoutError) as error:
            if not self._failing:
                reason = upstream_error(error, where=self._url)
                log.warning("purge_fails num_keys=%d reason=%s", len(keys), reason)
            self._failing = True
            return False
        if self._failing:
            log.warning("purge_works_again num_keys=%d", len(keys))
        self._failing = False
        log.info("purged num_keys=%d", len(keys))
        return True

    def _state(self) -> dict[str, object]:
        return {"url": self._url, "seq": self._seq, "bundle": self._told_bundle}

    def _read_note(self) -> object:
        try:
            return json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # never written, or damaged: everything is purged
            return None

    def _remember(self, state: dict[str, object]) -> None:
        try:
            write_atomic(self._note, json.dumps(state).encode())
        except SteelyardError as error:  # costs one purge of everything at the next start
            log.warning("purge_not_noted reason=%s", error)


def keys_of(changes: Sequence[Change], spans: Sequence[Span], owners: Owners) -> set[str]:
    """Return what to purge for these changes; `spans` are the documents that came."""
    keys = {document_key(span.collection, span.id) for span in spans}
    keys |= {collection_key(span.collection) for span in spans}
    for change in changes:
        if not change.added:
            key = owners.key(change.chunk_id)
            keys.add(EVERYTHING if key is None else key)
    return keys
