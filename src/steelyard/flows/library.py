"""The documents of a home: submit, follow to their end, list, read, delete."""

import asyncio
import hashlib
import logging
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from steelyard.core.documents import (
    DEFAULT_COLLECTION,
    PUBLIC_GROUP,
    DocumentRow,
    MetadataValue,
    State,
)
from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import Principal
from steelyard.flows.sources import FoundFile, document_id, file_uri, find_files, path_of
from steelyard.flows.work import Work
from steelyard.infra.concurrent import Workers, compute
from steelyard.infra.files import explained, write_atomic
from steelyard.store import OPERATOR, DocumentPage, Pending, Store, Submission, Ticket

log = logging.getLogger(__name__)

MAX_ID_CHARS = 500
_LOG_WAITS_S = (0.02, 0.1, 0.4)  # an answer is given before it is logged
SUBMIT_AT_ONCE = 64
PAGE = 1000
# A text that is put keeps its own markup if its uri names one; otherwise it is Markdown.
TEXT_SUFFIXES = frozenset({".md", ".markdown", ".rst", ".adoc", ".asciidoc", ".txt", ".tex"})


@dataclass(frozen=True, slots=True)
class NewText:
    """A document given as text; None keeps what is usual (title from the text, public)."""

    id: str
    text: str
    title: str | None = None
    uri: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    collection: str = DEFAULT_COLLECTION


@dataclass(frozen=True, slots=True)
class Upload:
    filename: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Receipt:
    """A write's promise: these submissions will end. `snapshot` is the newest seq now."""

    tickets: tuple[Ticket, ...]
    snapshot: int

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(ticket.id for ticket in self.tickets)


@dataclass(frozen=True, slots=True)
class Synced:
    """What one look at the given paths found: `tickets` of what is new or changed."""

    tickets: tuple[Ticket, ...]
    unchanged: int
    removed: int


@dataclass(frozen=True, slots=True)
class ReadDocument:
    row: DocumentRow
    text: str


class Library:
    def __init__(
        self,
        *,
        store: Store,
        work: Work,
        workers: Workers,
        inbox: Path,
        recipe: Callable[[], str],
        catch_up: Callable[[], int],
    ) -> None:
        """`inbox` keeps the bytes of uploads and texts until they are read. `recipe` is asked
        for only when files are compared: making it loads the embedder. `catch_up` brings the
        index up to the truth."""
        self._store = store
        self._work = work
        self._workers = workers
        self._inbox = inbox
        self._recipe = recipe
        self._catch_up = catch_up

    async def put_text(self, new: NewText, *, principal: Principal = OPERATOR) -> Receipt:
        """Queue a text as one document, new or replaced; it survives a crash from here on.

        Raises:
            InputError: the id or the text cannot be stored.
        """
        return await self.put_texts([new], principal=principal)

    async def put_texts(
        self, new: Sequence[NewText], *, principal: Principal = OPERATOR, urgent: bool = True
    ) -> Receipt:
        """Queue texts as documents, all or none; raises as `put_text` does."""
        for one in new:
            _check_id(one.id)
        submissions = await compute(
            self._workers.query, lambda: [self._keep_text(one) for one in new]
        )
        return await self._submit(submissions, principal, urgent=urgent)

    async def add_uploads(
        self,
        uploads: Sequence[Upload],
        *,
        collection: str = DEFAULT_COLLECTION,
        groups: tuple[str, ...] | None = None,
        principal: Principal = OPERATOR,
    ) -> Receipt:
        """Queue uploaded files; the same name in the same collection replaces."""
        submissions = [
            await compute(self._workers.query, self._receive, upload, collection, groups)
            for upload in uploads
        ]
        return await self._submit(submissions, principal)

    async def sync(
        self,
        roots: Sequence[Path],
        *,
        collection: str = DEFAULT_COLLECTION,
        groups: tuple[str, ...] = (PUBLIC_GROUP,),
        exclude: Sequence[Path] = (),
    ) -> Synced:
        """Submit new and changed files below `roots`; delete documents whose file vanished."""
        tickets: list[Ticket] = []
        unchanged = 0
        files = find_files(roots, exclude=exclude)
        while True:
            batch, same = await compute(
                self._workers.ingest, self._changed_files, files, collection, groups
            )
            if not batch and not same:
                break
            receipt = await self._submit(batch, OPERATOR, urgent=False)
            tickets += receipt.tickets
            unchanged += len(same)
            for one in same:
                self._work.skip_unchanged(one)
        removed = await self._remove_vanished(roots, collection)
        return Synced(tuple(tickets), unchanged, removed)

    async def touched(
        self,
        paths: Sequence[Path],
        *,
        collection: str = DEFAULT_COLLECTION,
        groups: tuple[str, ...] = (PUBLIC_GROUP,),
    ) -> None:
        """Submit these files if they exist and changed; delete their documents if they are gone."""
        there = iter([FoundFile(p, p.stat().st_size) for p in paths if p.is_file()])
        batch, _ = await compute(
            self._workers.ingest, self._changed_files, there, collection, groups
        )
        if batch:
            await self._submit(batch, OPERATOR)
        gone = [document_id(file_uri(path)) for path in paths if not path.exists()]
        if gone:
            try:
                await self.delete(gone, collection=collection, principal=OPERATOR)
            except NotFound:  # a temporary file of an editor
                log.debug("nothing_to_delete num=%d", len(gone))

    async def resume(self) -> int:
        """Queue what a crash left on its way and return how many."""
        pending = await compute(self._workers.ingest, self._store.pending)
        self._work.add(pending)
        return len(pending)

    async def settled(self, tickets: Sequence[Ticket]) -> int:
        """Wait until these submissions have ended and searches see it; return the seq seen."""
        await self._work.settled(tickets)
        return await compute(self._workers.ingest, self._catch_up)

    async def delete(self, ids: Sequence[str], *, collection: str, principal: Principal) -> int:
        """Delete documents, invisible from the next query on; return the new seq.

        Raises:
            NotFound: none of them exists or may be seen by the principal.
        """
        deletion = await compute(
            self._workers.query, self._store.delete, collection, ids, principal=principal
        )
        return deletion.seq

    async def documents(
        self,
        principal: Principal,
        *,
        collection: str | None,
        state: State | None,
        after: str | None,
        limit: int,
    ) -> DocumentPage:
        return await compute(
            self._workers.query,
            self._store.documents,
            principal=principal,
            collection=collection,
            state=state,
            after=after,
            limit=limit,
        )

    async def row(self, collection: str, identity: str, principal: Principal) -> DocumentRow:
        return await compute(
            self._workers.query, self._store.document, collection, identity, principal=principal
        )

    async def document(self, collection: str, identity: str, principal: Principal) -> ReadDocument:
        """Return a document with its extracted text, "" for one that was never read.

        Raises:
            NotFound: there is none that the principal may see.
        """
        row = await self.row(collection, identity, principal)
        try:
            text = await compute(
                self._workers.query, self._store.text, collection, identity, principal=principal
            )
        except NotFound:
            text = ""
        return ReadDocument(row, text)

    async def add_feedback(
        self, answer_id: str, *, rating: str, comment: str, correction: str, principal: Principal
    ) -> None:
        """Note a rating, as `Store.add_feedback` does; one that overtakes the log waits for it."""
        rate = partial(
            self._store.add_feedback,
            answer_id,
            rating,
            comment=comment,
            correction=correction,
            principal=principal,
        )
        for wait_s in _LOG_WAITS_S:
            try:
                return await compute(self._workers.query, rate)
            except NotFound:
                await asyncio.sleep(wait_s)
        return await compute(self._workers.query, rate)

    async def _submit(
        self, submissions: Sequence[Submission], principal: Principal, *, urgent: bool = True
    ) -> Receipt:
        tickets: list[Ticket] = []
        if submissions:
            tickets = await compute(
                self._workers.query, self._store.submit_many, submissions, principal=principal
            )
            jobs = [
                Pending(ticket, submission, State.QUEUED)
                for ticket, submission in zip(tickets, submissions, strict=True)
            ]
            self._work.add(jobs, urgent=urgent)
        return Receipt(tuple(tickets), self._store.last_seq())

    def _changed_files(
        self, files: Iterator[FoundFile], collection: str, groups: tuple[str, ...]
    ) -> tuple[list[Submission], list[str]]:
        """Take the next files; return submissions of the changed and uris of the unchanged."""
        changed: list[Submission] = []
        same: list[str] = []
        for file in islice(files, SUBMIT_AT_ONCE):
            uri = file_uri(file.path)
            submission = Submission(
                id=document_id(uri),
                uri=uri,
                collection=collection,
                groups=groups,
                path=str(file.path),
                size_bytes=file.size_bytes,
            )
            try:
                with file.path.open("rb") as content:
                    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError:  # unreadable: the pipeline says why; gone: it says that
                changed.append(submission)
                continue
            if self._store.unchanged(submission, sha256=sha256, recipe=self._recipe()):
                same.append(uri)
            else:
                changed.append(submission)
        return changed, same

    async def _remove_vanished(self, roots: Sequence[Path], collection: str) -> int:
        gone: list[str] = []
        after: str | None = None
        while True:
            page = await self.documents(
                OPERATOR, collection=collection, state=None, after=after, limit=PAGE
            )
            gone += await compute(self._workers.ingest, _vanished, page.rows, roots)
            after = page.next
            if after is None:
                break
        if gone:
            await self.delete(gone, collection=collection, principal=OPERATOR)
        return len(gone)

    def _keep_text(self, new: NewText) -> Submission:
        """Keep a text's bytes in the inbox."""
        uri = new.uri or f"steelyard:{new.id}"
        suffix = PurePosixPath(uri).suffix.lower()
        named = PurePosixPath(new.uri or new.id).stem or "text"
        path = self._inbox_path(named + (suffix if suffix in TEXT_SUFFIXES else ".md"))
        content = new.text.encode("utf-8")
        self._write(path, content)
        return Submission(
            id=new.id,
            uri=uri,
            collection=new.collection,
            title=new.title or "",
            groups=(PUBLIC_GROUP,) if new.groups is None else new.groups,
            metadata=new.metadata,
            path=str(path),
            size_bytes=len(content),
        )

    def _receive(
        self, upload: Upload, collection: str, groups: tuple[str, ...] | None
    ) -> Submission:
        """Keep an uploaded file's bytes in the inbox."""
        path = self._inbox_path(upload.filename)
        with explained(path):
            self._inbox.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as kept:
                shutil.copyfileobj(upload.file, kept, 1 << 20)
        uri = f"upload:{upload.filename}"
        return Submission(
            id=document_id(uri),
            uri=uri,
            collection=collection,
            groups=groups or (PUBLIC_GROUP,),
            path=str(path),
            size_bytes=path.stat().st_size,
        )

    def _inbox_path(self, filename: str) -> Path:
        """Return a fresh path whose last part keeps the name's end, which tells the format."""
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in filename)[-80:]
        return self._inbox / f"{uuid.uuid4().hex}-{safe.lstrip('.') or 'upload'}"

    def _write(self, path: Path, content: bytes) -> None:
        with explained(path):
            self._inbox.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)


def _vanished(rows: Sequence[DocumentRow], roots: Sequence[Path]) -> list[str]:
    """Return the ids of documents that were files under `roots` and are no more."""
    gone = []
    for row in rows:
        path = path_of(row.uri)
        inside = path is not None and any(path == r or r in path.parents for r in roots)
        if inside and path is not None and not path.exists():
            gone.append(row.id)
    return gone


def _check_id(identity: str) -> None:
    if not identity or len(identity) > MAX_ID_CHARS or not identity.isprintable():
        raise InputError(
            f"the document id {identity[:60]!r} must be 1 to {MAX_ID_CHARS} printable characters",
            code="bad_id",
        )
