"""Reranking by another server's `/v1/rerank`, in the shape that Cohere and Jina share."""

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urldefrag

import httpx2

from steelyard.core.errors import InputError, SetupError, UpstreamError
from steelyard.core.ranking import RerankPassage
from steelyard.infra.http import endpoint_root, open_client, upstream_error
from steelyard.rerank.options import MAX_TOKENS, RerankOptions

KEY_VARIABLE = "STEELYARD_RERANK_KEY"

# Servers refuse or cut a pair that is too long, and count by tokenizers that we do not have: a
# question may take half of the pair, at the length of a long token.
_CHARS_PER_TOKEN = 8


def is_endpoint(model: str) -> bool:
    """Tell whether `rerank.model` names a server, not a model on this machine."""
    return model.strip().lower().startswith(("http://", "https://"))


class EndpointReranker:
    """A `Reranker` over one endpoint. The key is read once, here, and never shown."""

    def __init__(self, options: RerankOptions) -> None:
        """Prepare a client; nothing is sent yet.

        Raises:
            SetupError: `options.model` is no usable URL.
        """
        url, self._name = urldefrag(options.model.strip())
        try:
            self._url = endpoint_root(url) + "/rerank"
        except InputError as error:
            raise SetupError(
                f"rerank.model: {error}; set it to a URL such as http://127.0.0.1:8000/v1#MODEL"
            ) from error
        self._question_chars = _CHARS_PER_TOKEN * (options.max_tokens or MAX_TOKENS) // 2
        key = os.environ.get(KEY_VARIABLE, "").strip()
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self._client = open_client(self._url, headers=headers)

    @property
    def model(self) -> str:
        return f"{self._url}#{self._name}" if self._name else self._url

    @property
    def tokenizer_identity(self) -> str:
        """Return "": an endpoint takes texts, and no token ids."""
        return ""

    async def scores(
        self, question: str, passages: Sequence[RerankPassage], *, budget_s: float
    ) -> list[float]:
        """Return scores of all passages; no budget or no passage: [].

        Raises:
            UpstreamError: no whole, finite answer came within `budget_s`.
        """
        if budget_s <= 0 or not passages:
            return []
        body: dict[str, Any] = {
            "query": _utf8(question[: self._question_chars]),
            "documents": [_utf8(passage.text) for passage in passages],
            "top_n": len(passages),
        }
        if self._name:
            body["model"] = self._name
        try:
            async with asyncio.timeout(budget_s):
                response = await self._client.post(self._url, json=body)
                response.raise_for_status()
        except TimeoutError as error:
            raise UpstreamError(
                f"{self._url} gave no scores within {budget_s * 1000:.0f} ms; it may be overloaded "
                "or too slow for the budget"
            ) from error
        except httpx2.HTTPError as error:
            raise upstream_error(error, where=self._url) from error
        return self._read(response, num_passages=len(passages))

    async def aclose(self) -> None:
        await self._client.aclose()

    def _read(self, response: httpx2.Response, *, num_passages: int) -> list[float]:
        try:
            rows = response.json()["results"]
            found = {_index(row): _score(row) for row in rows}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UpstreamError(
                f"{self._url} answered what is no list of scores ({type(error).__name__}: "
                f"{str(error)[:100]}); is it a /v1/rerank endpoint?"
            ) from error
        if len(rows) != num_passages or set(found) != set(range(num_passages)):
            raise UpstreamError(
                f"{self._url} gave {len(rows)} scores for {num_passages} passages, or for others "
                "than were sent; is it a /v1/rerank endpoint?"
            )
        wrong = [score for score in found.values() if not math.isfinite(score)]
        if wrong:
            raise UpstreamError(f"{self._url} gave the score {wrong[0]}; its model is broken")
        return [found[at] for at in range(num_passages)]


def _index(row: Mapping[str, Any]) -> int:
    index = row["index"]
    if isinstance(index, bool) or not isinstance(index, int):
        raise TypeError(f"index {index!r} is no whole number")
    return index


def _score(row: Mapping[str, Any]) -> float:
    score = row["relevance_score"]
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise TypeError(f"relevance_score {score!r} is no number")
    return float(score)


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
