"""CORS: which pages of other origins may read answers (Fetch standard), as plain ASGI middleware.

Out of the box only pages served by this machine may; `http.cors_origins` names others. Nothing is ever allowed
with credentials. A long Max-Age spares viewers one preflight for each frame. Deleting and changing are for the
pages of origins that are named there one by one: any program of this machine may serve a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)

_ALLOW_HEADERS = (
    "accept, accept-charset, accept-encoding, authorization, cache-control, content-type, if-match,"
    " if-none-match, if-range, range"
)
"""Those of a request that this door reads, and one that pages add to look past their cache."""
_EXPOSE_HEADERS = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Encoding, Content-Length, Content-Location, Content-Range,"
    " Content-Type, ETag, Location, Retry-After, Warning"
)
_MAX_AGE_SECONDS = "86400"


class CORS:
    """Answers preflights and marks what may be read."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], methods: Iterable[str]) -> None:
        self._app = app
        kept_back = set() if origins and "*" not in origins else {"DELETE", "PUT"}
        self._methods = ", ".join(sorted({"GET", "HEAD", "OPTIONS", *methods} - kept_back))
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin", "") if scope["type"] == "http" else ""
        if not origin:
            await self._app(scope, receive, send)
            return
        allowed = allowed_origin(self._origins, origin)
        if allowed and _is_preflight(scope):
            await _answer_preflight(scope, send, allowed, self._methods)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(scope=message), allowed)
            await send(message)

        await self._app(scope, receive, marked)


def allowed_origin(origins: tuple[str, ...], origin: str) -> str:
    """What Access-Control-Allow-Origin says of this origin with these settings; empty when it may not read."""
    if "*" in origins:
        return "*"
    if not origins:
        return origin if _LOOPBACK_ORIGIN.fullmatch(origin) else ""
    return origin if origin.lower() in {one.rstrip("/").lower() for one in origins} else ""


def _is_preflight(scope: Scope) -> bool:
    return bool(scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope))


def _mark(headers: MutableHeaders, allowed: str) -> None:
    headers.add_vary_header("Origin")
    if allowed:
        headers["Access-Control-Allow-Origin"] = allowed
        headers["Access-Control-Expose-Headers"] = _EXPOSE_HEADERS


async def _answer_preflight(scope: Scope, send: Send, allowed: str, methods: str) -> None:
    message: Message = {"type": "http.response.start", "status": 204, "headers": []}
    headers = MutableHeaders(scope=message)
    _mark(headers, allowed)
    headers["Access-Control-Allow-Methods"] = methods
    headers["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
    headers["Access-Control-Max-Age"] = _MAX_AGE_SECONDS
    if "access-control-request-private-network" in Headers(scope=scope):
        headers["Access-Control-Allow-Private-Network"] = "true"
    await send(message)
    await send({"type": "http.response.body", "body": b""})
