"""Who may speak to the app: a browser on this machine that was given the token, for a page of the app's own.

What each check stops:

| check | stops |
|---|---|
| the Host header is the app's own address | a site whose name is bound to 127.0.0.1 (DNS rebinding) |
| Origin and Sec-Fetch-Site, where a browser sends them, are the app's own | requests by another site's page |
| the token stands in a header of each request for data | other users and programs of this machine; forged requests |
| a body is JSON, of at most MAX_BODY_BYTES | forms of other sites; a body that fills the memory |
| Content-Security-Policy | anything from elsewhere, or inline, being loaded or run |
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER: Final = "x-review-token"
MAX_BODY_BYTES: Final = 2_000_000
"""Of a request: 20,000 points take 0.8 MB."""

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """A token that nobody guesses: 256 bits."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """Wraps the app: refuses whoever may not speak to it, and gives each answer its headers."""

    app: ASGIApp
    token: str
    port: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = _no_websocket(scope) or self._refusal(Headers(scope=scope), scope)
        if refused is not None:
            status, why = refused
            await JSONResponse({"error": why}, status)(scope, receive, _with_headers(send))
            return
        await self.app(scope, _limited(receive), _with_headers(send))

    def _refusal(self, headers: Headers, scope: Scope) -> tuple[int, str] | None:
        own = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        if headers.getlist("host") not in ([own[0]], [own[1]]):
            return 421, f"this app answers to {own[0]} alone"
        origin = headers.get("origin")
        if origin is not None and origin not in [f"http://{host}" for host in own]:
            return 403, "a page of another site may not speak to this app"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "a page of another site may not speak to this app"
        if scope["path"].startswith("/api/"):
            given = headers.getlist(TOKEN_HEADER)
            if len(given) != 1 or not secrets.compare_digest(given[0].encode(), self.token.encode()):
                return 401, "the token is missing or wrong: open the address that `ecg-flare review` printed"
        if scope["method"] == "POST":
            return _body_refusal(headers)
        return None


def _no_websocket(scope: Scope) -> tuple[int, str] | None:
    return None if scope["type"] == "http" else (403, "this app has no sockets")


def _body_refusal(headers: Headers) -> tuple[int, str] | None:
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return 415, "expected application/json"
    length = headers.get("content-length", "")
    if not length.isascii() or not length.isdigit():
        return 411, "expected a content-length"
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:
        return 413, f"the request has {length[:20]} bytes; at most {MAX_BODY_BYTES} are taken"
    return None


def _limited(receive: Receive) -> Receive:
    """Cut off a body that is longer than it said."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return {"type": "http.disconnect"} if taken > MAX_BODY_BYTES else message

    return limited


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sent
