"""Lets in who has the address of a server: a token that nobody guesses, and a `Host` that is the server's own.

A name that somebody lets point to this machine (DNS rebinding) is refused by `Host`.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""


class Guard:
    """An ASGI application that answers 403 in place of `app`, but to those who are let in.

    Their path begins with `token`, and `is_own` says that their request is for this server.
    """

    def __init__(self, app: Any, is_own: Callable[[Request], bool]) -> None:
        self._app, self._is_own = app, is_own
        self.token = secrets.token_urlsafe(24)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        request = Request(scope)
        is_let_in = scope["type"] == "http" and self._knows_token(request) and self._is_own(request)
        await (self._app if is_let_in else Response(status_code=403))(scope, receive, send)

    def _knows_token(self, request: Request) -> bool:
        given = request.url.path.split("/")[1] if "/" in request.url.path else ""
        return hmac.compare_digest(given.encode(), self.token.encode())


def is_named(request: Request, own: str, *, of_all: bool = False) -> bool:
    """Says whether the `Host` of a request is this machine or `own`, where the server listens.

    With `of_all` any IP address will do where that is all of the machine's.
    """
    name = urlsplit(f"http://{request.headers.get('host', '')}").hostname or ""
    if name in {own, "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(name)
        return address.is_loopback or (of_all and ipaddress.ip_address(own).is_unspecified)
    except ValueError:
        return False
