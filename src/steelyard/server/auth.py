"""Who asks: an API key's principal, or `public` on an unauthenticated loopback server."""

from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from steelyard.core.errors import Forbidden, InputError
from steelyard.core.ranking import PUBLIC, Principal
from steelyard.server.errors import on_steelyard_error

# On an unauthenticated loopback server the caller owns the machine: it manages every document,
# and searches as `public`.
LOOPBACK_OWNER = Principal(id=PUBLIC.id, groups=PUBLIC.groups, operator=True)


class Keys(Protocol):
    def principal_for(self, secret: str) -> Principal | None: ...


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be reached from this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Door:
    """Turns a request into a principal.

    With `required`, a request needs `Authorization: Bearer KEY`. Without, the server is bound to
    loopback and everybody is `LOOPBACK_OWNER`.
    """

    def __init__(self, keys: Keys, *, required: bool) -> None:
        self._keys = keys
        self.required = required

    def principal(self, request: Request) -> Principal:
        """Raise InputError(code="unauthorized") for a missing or unknown key."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if not self.required:
            return LOOPBACK_OWNER
        if scheme.lower() != "bearer" or not secret.strip():
            raise InputError(
                "this server needs an API key; send `Authorization: Bearer KEY` "
                "(make one with `steelyard keys add NAME`)",
                code="unauthorized",
            )
        principal = self._keys.principal_for(secret.strip())
        if principal is None:
            raise InputError("the API key is not known; ask the operator", code="unauthorized")
        return principal

    def operator(self, request: Request, *, to: str = "change documents") -> Principal:
        principal = self.principal(request)
        if not principal.operator:
            raise Forbidden(f"{principal.id!r} may not {to}; use an operator's key")
        return principal


class LocalOnly:
    """Keeps web pages of other sites away from an unauthenticated loopback server.

    A foreign `Host` (DNS rebinding) or `Origin` (a cross-site request from the owner's browser)
    is refused before any route sees it.
    """

    def __init__(self, app: ASGIApp, *, active: bool) -> None:
        self._app = app
        self._active = active

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._active and scope["type"] == "http":
            request = Request(scope)
            foreign = self._foreign(request)
            if foreign is not None:
                error = Forbidden(
                    f"{foreign} is not this machine; without API keys only local pages are served",
                    code="foreign_origin",
                )
                response = await on_steelyard_error(request, error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    @staticmethod
    def _foreign(request: Request) -> str | None:
        host = request.headers.get("host", "localhost")
        if not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return f"host {host!r}"
        origin = request.headers.get("origin")
        if origin and origin != "null" and urlsplit(origin).netloc != host:
            return f"origin {origin!r}"
        return f"origin {origin!r}" if origin == "null" else None
