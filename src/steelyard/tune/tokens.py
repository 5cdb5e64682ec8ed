"""Texts → token ids, every token of them accounted for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from steelyard.core.errors import InputError
from steelyard.core.tuning import TokenAccount
from steelyard.infra.bert import open_tokenizer

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Cut:
    """A text as a model sees it: `ids` with special tokens; its own tokens kept and cut off."""

    ids: Ids
    kept: int
    cut: int


class Texts:
    """A model's tokenizer, for single texts; takes any string, as serving does."""

    def __init__(self, path: Path) -> None:
        self._tokenizer: Tokenizer = open_tokenizer(path)

    @property
    def num_special(self) -> int:
        return int(self._tokenizer.num_special_tokens_to_add(False))

    def encodings(self, texts: Sequence[str]) -> list[Encoding]:
        """Return each text's own tokens, with their places in the text; nothing is cut."""
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        found: list[Encoding] = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return found

    def cut(self, texts: Sequence[str], *, prefix: str = "", limit: int) -> list[Cut]:
        """Return texts as `prefix` and they are seen: at most `limit` tokens, special ones too."""
        room = limit - self.num_special
        made: list[Cut] = []
        for encoding in self.encodings([prefix + text for text in texts]):
            whole = len(encoding)
            before = sum(start < len(prefix) for start, _ in encoding.offsets) if prefix else 0
            encoding.truncate(room)
            ids = self._tokenizer.post_process(encoding, None, True).ids
            kept = len(encoding) - before
            made.append(Cut(np.array(ids or [0], np.int32), kept, whole - before - kept))
        return made


def key_of(text: str) -> int:
    """Return a number that equal texts share, white space apart."""
    digest = hashlib.sha256(" ".join(text.split()).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def added(accounts: Sequence[TokenAccount]) -> TokenAccount:
    """Return the sum of accounts."""
    total = TokenAccount()
    for one in accounts:
        sums = {f.name: getattr(total, f.name) + getattr(one, f.name) for f in fields(one)}
        total = replace(total, **sums)
    return total


def check_account(account: TokenAccount, *, allow_lost: float, max_tokens: int) -> None:
    """Check that something is learnt, and that not too much of it is lost.

    Raises:
        InputError: no row or no target token is left, or too many target tokens are cut or
            dropped.
    """
    if not account.rows_kept:
        raise InputError(
            f"no row is left to learn from: all {account.rows_dropped:,} were dropped; see the "
            "reasons above, or `steelyard data validate`",
            code="no_rows",
        )
    if not account.targets_kept:
        raise InputError(
            f"no target token is left in {account.rows_kept:,} rows: the loss would be 0 and "
            f"teach nothing; raise max_tokens above {max_tokens}, or give rows with targets",
            code="no_targets",
        )
    if account.lost_share > allow_lost:
        raise InputError(
            f"{account.lost_share:.1%} of the target tokens ({account.targets_lost:,} of "
            f"{account.targets_kept + account.targets_lost:,}, in {account.rows_truncated:,} cut "
            f"and {account.rows_dropped:,} dropped rows) would be lost, more than "
            f"{allow_lost:.1%}; raise max_tokens above {max_tokens}, shorten the rows, or accept "
            f"it by --allow-lost {_above(account.lost_share)}",
            code="tokens_lost",
        )


def _above(share: float) -> float:
    return min(1.0, (int(share * 100) + 1) / 100)
