"""What a cache may do with an answer, and how to tell cheaply that it still holds."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass

from steelyard.app import App
from steelyard.core.chat import Answer
from steelyard.core.errors import SetupError
from steelyard.core.ranking import Principal, Query
from steelyard.flows.purge import EVERYTHING, EdgePurge, collection_key, document_key

MAX_VALIDATORS = 10_000
NOTE = "edge.json"


@dataclass(frozen=True, slots=True)
class Validator:
    """The tag of an answer that was complete at `seq`; `uris` are its sources'."""

    etag: str
    seq: int
    keys: tuple[str, ...]
    uris: tuple[str, ...]


class Edge:
    """The server's dealings with caches in front of it.

    The tag of an answer is a hash of its bytes, the same on every replica. Which tag a question
    had, and at what state of the truth, is remembered here: as long as nothing was committed
    since and no source vanished, the tag is known to hold without a search.
    """

    def __init__(self, app: App, *, keyed: bool) -> None:
        """`keyed`: a request needs an API key.

        Raises:
            SetupError: an option about the edge is wrong.
        """
        options = app.settings.serve
        if options.edge_ttl_s < 1:
            raise SetupError(
                f"serve.edge_ttl_s = {options.edge_ttl_s} must be at least 1; to leave nothing "
                "to an edge, run `steelyard serve --set serve.purge_url=`"
            )
        if options.public_key:
            _check_public_key(app, options.public_key)
        self.keyed = keyed
        self._app = app
        self._public_key = options.public_key
        self._ttl_s = options.edge_ttl_s
        self._validators: OrderedDict[bytes, Validator] = OrderedDict()
        self.purge: EdgePurge | None = None
        if options.purge_url:
            self.purge = EdgePurge(
                app.store,
                app.workers,
                url=options.purge_url,
                note=app.home / NOTE,
                bundle=lambda: app.bundle,
            )

    async def keep_told(self) -> None:
        """Tell the edge what changes, until cancelled."""
        if self.purge is not None:
            await self.purge.run()

    def public(self, principal: Principal) -> bool:
        """Tell whether what this principal is answered may be shown to anybody."""
        if not self.keyed:
            return True
        return principal.id == self._public_key and not principal.operator

    def current(self, query: Query) -> Validator | None:
        """Return the tag that this question's answer certainly has now, if that is known."""
        key = _key(query, self._app.bundle)
        known = self._validators.get(key)
        if known is None:
            return None
        if known.seq != self._app.store.last_seq() or any(map(self._app.vanished, known.uris)):
            del self._validators[key]
            return None
        self._validators.move_to_end(key)
        return known

    def remember(self, query: Query, answer: Answer, etag: str) -> Validator:
        """Note what an answer's tag is; it counts as known if the answer was complete."""
        made_of = dict.fromkeys((source.document_id, source.uri) for source in answer.sources)
        collections = [one.collection for one in query.each_collection()]
        documents = {
            document_key(collection, identity): None
            for collection in collections
            for identity, _ in made_of
        }
        keys = (EVERYTHING, answer.bundle, *map(collection_key, collections), *documents)
        made = Validator(etag, answer.snapshot, keys, tuple(uri for _, uri in made_of))
        if made.seq == self._app.store.last_seq():
            key = _key(query, answer.bundle)
            self._validators[key] = made
            self._validators.move_to_end(key)
            if len(self._validators) > MAX_VALIDATORS:
                self._validators.popitem(last=False)
        return made

    def headers(self, validator: Validator, *, public: bool) -> dict[str, str]:
        """Return what caches are told about an answer that they may keep.

        An edge may serve it unasked only while purges reach it and the answer was complete when
        it was given: a change after that moment is purged after it.
        """
        headers = {"ETag": validator.etag}
        if self.keyed:
            headers["Vary"] = "Authorization"
        if not public:
            return headers | {"Cache-Control": "private, no-cache"}
        # nginx keeps nothing that says no-cache; expired since 1970, it is kept to be
        # revalidated. It must come before Cache-Control.
        headers["X-Accel-Expires"] = "@1"
        told = self.purge is not None and self.purge.settled
        # What another bundle answers now was purged already: a late answer would stay.
        if self._app.bundle not in validator.keys:
            told = False
        if told and validator.seq == self._app.store.last_seq():
            control = f"public, max-age=0, must-revalidate, s-maxage={self._ttl_s}"
        else:
            control = "public, no-cache"
        return headers | {
            "Cache-Control": control,
            "Surrogate-Key": " ".join(validator.keys),
            "Cache-Tag": ",".join(validator.keys),
        }


def _key(query: Query, bundle: str) -> bytes:
    collections = [one.collection for one in query.each_collection()]
    groups = sorted(query.principal.groups)
    parts = [query.text, query.k, collections, groups, bundle]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _check_public_key(app: App, name: str) -> None:
    found = [key for key in app.store.list_keys() if key.id == name]
    if not found:
        raise SetupError(
            f"serve.public_key = {name!r} is no API key of this home; run `steelyard keys add "
            f"{name}`"
        )
    if found[0].operator:
        raise SetupError(
            f"serve.public_key = {name!r} is an operator's key, which must not be shared; run "
            "`steelyard keys add NAME` for one that only reads"
        )
