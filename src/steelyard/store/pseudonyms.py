"""Pseudonyms: the query log tells users apart, and nobody can tell from it who they are."""

import hashlib
import os
import secrets
from functools import cached_property
from pathlib import Path

from steelyard.core.errors import SetupError
from steelyard.infra.files import explained, make_folder

_SECRET_BYTES = 32
_PSEUDONYM_BYTES = 12


class Pseudonyms:
    """Keyed hashes of names. The key lies in a file of its own, which only its owner can read:
    with it deleted, what is in the log can never be traced back."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, name: str) -> str:
        """Return the pseudonym of `name`, the same one for ever in this home; "" of ""."""
        if not name:
            return ""
        whole = hashlib.blake2b(
            name.encode("utf-8", "replace"), key=self._secret, digest_size=_PSEUDONYM_BYTES
        )
        return whole.hexdigest()

    @cached_property
    def _secret(self) -> bytes:
        with explained(self._path):
            if not self._path.exists():
                self._make()
            secret = self._path.read_bytes()
        if len(secret) != _SECRET_BYTES:
            raise SetupError(
                f"{str(self._path)!r} has {len(secret)} bytes instead of {_SECRET_BYTES}; "
                "remove it (users then count as new ones)"
            )
        return secret

    def _make(self) -> None:
        """Write a new secret, unless another process was quicker."""
        make_folder(self._path.parent)
        beside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(beside, self._path)
            except FileExistsError:
                return
        finally:
            beside.unlink(missing_ok=True)
