"""API keys: who a secret stands for. Only a hash of it is kept."""

import hashlib
import hmac
import secrets
import sqlite3
import time

from steelyard.core.errors import InputError, NotFound
from steelyard.core.ranking import Principal
from steelyard.infra.sqlite import Database
from steelyard.store.codec import checked_name, dump_groups, load_groups
from steelyard.store.records import ApiKey

_PREFIX = "sy"
_ID_BYTES = 6
_SECRET_BYTES = 32
_NOBODY = hashlib.sha256(b"").digest()


class Keys:
    """A secret is `sy_ID_RANDOM`: the id finds the row, the hash of the whole proves it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_key(self, name: str, groups: tuple[str, ...], *, operator: bool = False) -> str:
        """Make a key for a principal called `name`; return its secret, shown only now.

        Raises:
            InputError: the name is taken or not storable.
        """
        checked_name(name, what="A key's name")
        key_id = secrets.token_hex(_ID_BYTES)
        secret = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        row = (key_id, name, _hash(secret), dump_groups(groups), int(operator), time.time())
        with self._database.writing() as connection:
            if _exists(connection, name):
                raise InputError(
                    f"A key named {name!r} exists: remove it first or choose another name",
                    code="name_taken",
                )
            connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?)", row)
        return secret

    def principal_for(self, secret: str) -> Principal | None:
        """Return whom a secret stands for, or None; takes as long for a wrong as a right one."""
        _, _, rest = secret.partition("_")
        key_id, _, _ = rest.partition("_")
        known = key_id.isascii() and "\0" not in key_id
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT sha256, name, groups, operator FROM api_keys WHERE id = ?",
                (key_id if known else "",),
            ).fetchone()
        right = hmac.compare_digest(_hash(secret), row[0] if row else _NOBODY)
        if row is None or not right:
            return None
        return Principal(id=row[1], groups=frozenset(load_groups(row[2])), operator=bool(row[3]))

    def list_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name, groups, operator, created_at FROM api_keys ORDER BY created_at, name"
            ).fetchall()
        return [ApiKey(name, load_groups(groups), bool(op), at) for name, groups, op, at in rows]

    def remove_key(self, name: str) -> None:
        """Make a key void, from the next request on.

        Raises:
            NotFound: no key has this name.
        """
        with self._database.writing() as connection:
            if not connection.execute("DELETE FROM api_keys WHERE name = ?", (name,)).rowcount:
                raise NotFound(f"No key is named {name!r}: see `steelyard keys`")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _exists(connection: sqlite3.Connection, name: str) -> bool:
    return (
        connection.execute("SELECT 1 FROM api_keys WHERE name = ?", (name,)).fetchone() is not None
    )
