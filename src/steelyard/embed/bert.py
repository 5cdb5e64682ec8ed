"""Embeddings from a BERT-family encoder on ONNX Runtime."""

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.core.errors import SetupError
from steelyard.core.protocols import EmbeddedPassages
from steelyard.core.ranking import Matrix, Vector
from steelyard.embed.options import EmbedOptions
from steelyard.infra.bert import (
    BertTokenizer,
    BuiltEncoder,
    EncoderSession,
    SessionOptions,
    open_session,
    open_tokenizer,
    read_card,
    ready_encoder,
)
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.infra.models import file_sha256, find_model

_MAX_QUERY_RUNS = 2  # more at once only share the same cores
_NICENESS = 10


class BertEmbedder:
    """Embeds texts of any length; what lies beyond the model's limit is not seen.

    Each text is run alone: int8 activations are scaled by the largest value of a run, so in a
    batch a text's embedding would depend on its neighbours. Two runs of one thread each are
    faster than one run of two threads.
    """

    def __init__(self, options: EmbedOptions | None = None) -> None:
        """Find, build if needed, and open the encoder.

        Raises:
            SetupError: the model is missing, damaged or of an unknown kind.
        """
        self.options = options or EmbedOptions()
        if self.options.passage_threads < 1:
            raise SetupError(
                f"embed.passage_threads {self.options.passage_threads} is too few; set 1 or more"
            )
        path = find_model(self.options.model, allow_download=self.options.allow_download)
        adapter = Path(self.options.adapter).expanduser() if self.options.adapter else None
        self.encoder: BuiltEncoder = ready_encoder(
            path, precision=self.options.precision, adapter=adapter
        )
        prompts = read_card(path).prompts
        self._query_prefix = _first(self.options.query_prefix, prompts.get("query"))
        self._passage_prefix = _first(
            self.options.passage_prefix, prompts.get("passage"), prompts.get("document")
        )
        self._tokenizer = BertTokenizer(open_tokenizer(path))
        self._tokenizer_sha256 = file_sha256(path / "tokenizer.json")
        self._limit = self._checked_limit()
        self._session: EncoderSession = open_session(
            self.encoder.folder / GRAPH_FILE, SessionOptions(threads=1)
        )
        self._query_permits = threading.BoundedSemaphore(_MAX_QUERY_RUNS)
        self._window = 2 * self.options.passage_threads  # runs that one call may have waiting
        self._passage_pool = ThreadPoolExecutor(
            self.options.passage_threads, "steelyard-embed", initializer=_be_nice
        )

    @cached_property
    def fingerprint(self) -> str:
        """Return what decides a passage's vector, hashed: two vectors compare only if equal.

        The query prefix is left out: it changes questions, not what is stored.
        """
        parts = {
            "encoder": self.encoder.identity,
            "precision": self.encoder.precision,
            "tokenizer": self._tokenizer_sha256,
            "max_tokens": self._limit,
            "passage_prefix": self._passage_prefix,
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"bert-{self.encoder.precision}-{digest[:16]}"

    @property
    def dim(self) -> int:
        return self.encoder.dim

    @property
    def tokenizer(self) -> BertTokenizer:
        return self._tokenizer

    @cached_property
    def max_tokens(self) -> int:
        """Return how many tokens of a passage are seen, special tokens and prefix not counted."""
        prefix = self._tokenizer.count([self._passage_prefix])[0]
        return self._limit - self._tokenizer.num_special - prefix

    def embed_query(self, text: str) -> Vector:
        """Return the unit vector of a question; blocking, a few milliseconds."""
        ids = self._ids(self._query_prefix + text)
        with self._query_permits:
            return self._session.embed(ids)

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        """Return one row per text, in order; blocking and CPU-bound, at low priority.

        Calls from several threads share `passage_threads` cores fairly: a long list does not
        keep a short one waiting.
        """
        return self.embed_tokenized(texts).vectors

    def embed_tokenized(self, texts: Sequence[str]) -> EmbeddedPassages:
        """Return what `embed_passages` returns, and each text's token ids."""
        rows_ND = np.empty((len(texts), self.dim), np.float32)
        token_ids: list[NDArray[np.int32]] = []
        runs: deque[Future[NDArray[np.int32]]] = deque()
        try:
            for row_D, text in zip(rows_ND, texts, strict=True):
                if len(runs) == self._window:
                    token_ids.append(runs.popleft().result())
                runs.append(self._passage_pool.submit(self._embed_passage, text, row_D))
            while runs:
                token_ids.append(runs.popleft().result())
        finally:
            for run in runs:
                run.cancel()
        return EmbeddedPassages(rows_ND, token_ids)

    def close(self) -> None:
        """End the passage threads; `embed_passages` may not be called again."""
        self._passage_pool.shutdown(wait=True, cancel_futures=True)

    def _embed_passage(self, text: str, row_D: Vector) -> NDArray[np.int32]:
        """Fill in a passage's vector and return its own token ids."""
        prefix = self._passage_prefix
        tokens = self._tokenizer.tokens(prefix + text, limit=self._limit, prefix_chars=len(prefix))
        row_D[:] = self._session.embed(np.array(tokens.whole, np.int32))
        return tokens.own

    def _ids(self, text: str) -> NDArray[np.int32]:
        return np.array(self._tokenizer.ids(text, limit=self._limit), np.int32)

    def _checked_limit(self) -> int:
        wanted = self.options.max_tokens
        limit = self.encoder.max_tokens if wanted is None else wanted
        taken = self._tokenizer.num_special + max(
            self._tokenizer.count([self._query_prefix, self._passage_prefix])
        )
        if not taken < limit <= self.encoder.max_tokens_possible:
            raise SetupError(
                f"embed.max_tokens {limit} does not suit model {self.options.model!r}; set "
                f"{taken + 1} to {self.encoder.max_tokens_possible}"
            )
        return limit


def _first(*choices: str | None) -> str:
    return next((choice for choice in choices if choice is not None), "")


def _be_nice() -> None:
    """Yield the cores to questions; where the system refuses, only speed is lost."""
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
