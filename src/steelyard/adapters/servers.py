"""The servers that take an adapter while they run: vLLM and SGLang, each in its own words."""

import math
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx2

from steelyard.adapters.limits import DEFAULT_MAX_RANK, Limits
from steelyard.core.errors import InputError, UpstreamError
from steelyard.infra.http import endpoint_root, foreign_message, open_client, upstream_error

TOP = 5  # OpenAI's own limit
LOAD_TIMEOUT_S = 120.0
_TIMEOUT_S = 30.0


class AdapterServer(Protocol):
    """A running model server that loads adapters by name."""

    @property
    def limits(self) -> Limits: ...

    async def base(self) -> str:
        """Return the name that the server knows its base by."""
        ...

    async def loaded(self) -> dict[str, str]:
        """Return each loaded adapter's name and, where the server tells it, its path."""
        ...

    async def load(self, name: str, path: str) -> None: ...

    async def unload(self, name: str) -> None: ...

    def model_of(self, base: str, name: str) -> str:
        """Return what a request calls an adapter."""
        ...

    async def next_tokens(self, model: str, prompt: str) -> dict[str, float]:
        """Return the likeliest next tokens' texts and log-probabilities."""
        ...

    async def aclose(self) -> None: ...


class _OpenAIServer:
    """What vLLM and SGLang share."""

    name = "the server"

    def __init__(self, url: str, *, key: str = "", max_rank: int = 0) -> None:
        self.url = endpoint_root(url)
        self._max_rank = max_rank
        headers = {"Authorization": f"Bearer {key}"} if key else None
        self._client = open_client(self.url, headers=headers)

    @property
    def limits(self) -> Limits:
        return Limits(self.name, max_rank=self._max_rank)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def next_tokens(self, model: str, prompt: str) -> dict[str, float]:
        """Ask `/v1/completions` for one token; raw text, so that no template comes between."""
        body = {
            "model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "logprobs": TOP,
            "seed": 0,
        }  # fmt: skip
        told = await self._post(f"{self.url}/completions", body)
        try:
            (top,) = told["choices"][0]["logprobs"]["top_logprobs"]
            found = {str(token): float(value) for token, value in top.items()}
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UpstreamError(
                f"{self.url} gives no log-probabilities of a completion, so nothing about its "
                "adapters can be proved; start it without whatever forbids them"
            ) from error
        if not found or not all(map(math.isfinite, found.values())):
            raise UpstreamError(f"{self.url} gives log-probabilities that are no numbers")
        return found

    async def _cards(self) -> list[Mapping[str, Any]]:
        try:
            response = await self._client.get(f"{self.url}/models", timeout=_TIMEOUT_S)
            response.raise_for_status()
            cards = response.json()["data"]
        except httpx2.HTTPError as error:
            raise upstream_error(error, where=f"{self.url}/models") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UpstreamError(f"{self.url}/models is no list of models") from error
        return [card for card in cards if isinstance(card, dict) and card.get("id")]

    async def base(self) -> str:
        for card in await self._cards():
            if not card.get("parent"):
                return str(card["id"])
        raise UpstreamError(f"{self.url} serves no model; start it with one")

    async def loaded(self) -> dict[str, str]:
        cards = await self._cards()
        return {str(one["id"]): str(one.get("root") or "") for one in cards if one.get("parent")}

    async def _post(self, url: str, body: Mapping[str, Any]) -> Any:
        try:
            response = await self._client.post(url, json=body, timeout=LOAD_TIMEOUT_S)
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise upstream_error(error, where=url) from error
        try:
            return response.json()
        except ValueError:
            return {}  # vLLM confirms a load in plain words


class VllmServer(_OpenAIServer):
    """vLLM with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`.

    Source: its documentation, "Dynamically serving LoRA adapters"; adapters appear in
    `/v1/models` with `parent` (the base) and `root` (the path).
    """

    name = "vLLM"

    def __init__(self, url: str, *, key: str = "", max_rank: int = 0) -> None:
        super().__init__(url, key=key, max_rank=max_rank or DEFAULT_MAX_RANK)

    def model_of(self, base: str, name: str) -> str:
        return name

    async def load(self, name: str, path: str) -> None:
        body = {"lora_name": name, "lora_path": path}
        try:
            await self._post(f"{self.url}/load_lora_adapter", body)
        except UpstreamError as error:
            if "404" in str(error):
                raise UpstreamError(
                    f"{self.url} takes no adapters while it runs; start vLLM with --enable-lora "
                    "and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
                ) from error
            raise

    async def unload(self, name: str) -> None:
        await self._post(f"{self.url}/unload_lora_adapter", {"lora_name": name})


class SglangServer(_OpenAIServer):
    """SGLang with `--enable-lora`, `--max-lora-rank` and `--lora-target-modules`.

    Its endpoints lie at the root, answer `success` false with status 400, and a request names
    an adapter as `BASE:ADAPTER`.
    """

    name = "SGLang"

    def __init__(self, url: str, *, key: str = "", max_rank: int = 0) -> None:
        super().__init__(url, key=key, max_rank=max_rank)
        parts = urlsplit(self.url)
        self._root = urlunsplit((parts.scheme, parts.netloc, "", "", ""))

    def model_of(self, base: str, name: str) -> str:
        return f"{base}:{name}"

    async def load(self, name: str, path: str) -> None:
        await self._told("load_lora_adapter", {"lora_name": name, "lora_path": path})

    async def unload(self, name: str) -> None:
        await self._told("unload_lora_adapter", {"lora_name": name})

    async def _told(self, verb: str, body: Mapping[str, Any]) -> None:
        told = await self._post(f"{self._root}/{verb}", body)
        if isinstance(told, dict) and told.get("success") is False:
            said = foreign_message(str(told.get("error_message") or ""))
            raise UpstreamError(f"{self._root}/{verb} refused: {said or 'without a reason'}")


SERVERS: Mapping[str, type[VllmServer] | type[SglangServer]] = {
    "vllm": VllmServer,
    "sglang": SglangServer,
}


def open_server(kind: str, url: str, *, key: str = "", max_rank: int = 0) -> AdapterServer:
    """Return a client of a running server; nothing is sent yet.

    Raises:
        InputError: the kind is unknown, or the URL none.
    """
    if kind not in SERVERS:
        raise InputError(f"server {kind!r} is unknown; known: {', '.join(SERVERS)}")
    return SERVERS[kind](url, key=key, max_rank=max_rank)
