"""Language models that already run on this machine."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from steelyard.core.errors import UpstreamError
from steelyard.infra.http import open_client, upstream_error


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """An OpenAI-compatible server found on this machine. `url` ends in /v1."""

    name: str
    url: str
    models: tuple[str, ...]


USUAL_PLACES = (
    ("Ollama", 11434),
    ("vLLM", 8000),
    ("LM Studio", 1234),
    ("llama.cpp", 8080),
)
"""Default ports of the usual local servers. 8080 is Steelyard's own port too: see `OWNER`."""

OWNER = "steelyard"
"""What our own `/v1/models` gives as `owned_by`, so that we never ask ourselves for answers."""

_NOT_CHAT = ("embed", "rerank", "bge-", "minilm", "whisper")


async def discover_local(
    *, timeout_s: float = 0.3, skip_ports: Sequence[int] = ()
) -> list[LocalEndpoint]:
    """Return the servers found on the usual ports, in the order of `USUAL_PLACES`.

    All are asked at once, so this takes `timeout_s` at most. It never raises: who does not
    answer, or answers anything but a list of models, is not there. `skip_ports` are our own.
    """
    places = [place for place in USUAL_PLACES if place[1] not in skip_ports]
    found = await asyncio.gather(*(_look(name, port, timeout_s) for name, port in places))
    return [endpoint for endpoint in found if endpoint is not None]


async def _look(name: str, port: int, timeout_s: float) -> LocalEndpoint | None:
    url = f"http://127.0.0.1:{port}/v1"
    try:
        async with asyncio.timeout(timeout_s), open_client(url) as client:
            models = await list_models(client, url)
    except (UpstreamError, TimeoutError):
        return None
    return LocalEndpoint(name, url, models) if models else None


async def list_models(client: httpx2.AsyncClient, url: str) -> tuple[str, ...]:
    """Return the names of the chat models at `url` (ending in /v1), in the server's order.

    Raises:
        UpstreamError: no answer, or one that is no list of models.
    """
    where = f"{url}/models"
    try:
        response = await client.get(where)
        response.raise_for_status()
        rows = response.json()["data"]
        names = [row["id"] for row in rows if row.get("owned_by") != OWNER]
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise upstream_error(error, where=where) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UpstreamError(f"{where} is no list of models; is it an OpenAI-style API?") from error
    chat = [name for name in names if isinstance(name, str) and not _is_other(name)]
    return tuple(chat)


def _is_other(name: str) -> bool:
    return any(word in name.lower() for word in _NOT_CHAT)
