"""What replicas of one home know of each other: a name for their truth, and a secret."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steelyard.cache import AnswerCache
from steelyard.cache.shared import SharedCache
from steelyard.core.errors import SetupError
from steelyard.infra.files import explained

KEY_FILE = "cache.key"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class HomeKey:
    """`home_id` is that of one file: a copied home, whose chunk ids go their own way, has its
    own, though the copy has the same `secret`."""

    home_id: str
    secret: bytes


def home_key(home: Path, database: Path) -> HomeKey:
    """Read the home's key, made at first use and readable by its owner only.

    Raises:
        SetupError: it cannot be made, or is damaged.
    """
    path = home / KEY_FILE
    with explained(path):
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_SECRET_BYTES))
        text = path.read_text(encoding="ascii", errors="replace")
        inode = database.stat().st_ino
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != _SECRET_BYTES:
        raise SetupError(f"{str(path)!r} is damaged; remove it and start every replica again")
    return HomeKey(home_id=f"{secret.hex()[:16]}-{inode}", secret=secret)


def open_shared(url: str, cache: AnswerCache, *, home: Path, database: Path) -> SharedCache:
    """Join the cache with those of the home's other replicas at `url`.

    Raises:
        SetupError: the extra is missing, the address is wrong, or the key is damaged.
    """
    key = home_key(home, database)
    return SharedCache(url, cache, secret=key.secret, home_id=key.home_id)
