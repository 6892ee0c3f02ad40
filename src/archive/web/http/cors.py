"""CORS: which pages of other origins may read answers (Fetch standard).

Out of the box only pages served by this machine may; `http.cors_origins` names others. Nothing is ever allowed
with credentials. A long Max-Age spares viewers one preflight for each frame. Deleting and changing are for the
pages of origins that are named there one by one: any program of this machine may serve a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import Scope

from archive.web.http.exchange import Answer

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
_VARY = (b"vary", b"Origin")
_EXPOSED = (b"access-control-expose-headers", _EXPOSE_HEADERS.encode("ascii"))


class CORS:
    """Answers preflights and marks what may be read."""

    def __init__(self, origins: tuple[str, ...], methods: Iterable[str]) -> None:
        kept_back = set() if origins and "*" not in origins else {"DELETE", "PUT"}
        self._methods = ", ".join(sorted({"GET", "HEAD", "OPTIONS", *methods} - kept_back))
        self._origins = origins

    def marks(self, scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields of an answer to this request that say who may read it."""
        origin = _origin(scope)
        if not origin:
            return ()
        allowed = allowed_origin(self._origins, origin).encode("latin-1")
        if not allowed:
            return (_VARY,)
        return (_VARY, (b"access-control-allow-origin", allowed), _EXPOSED)

    def preflight(self, scope: Scope) -> Answer | None:
        """The answer to a preflight of a page that may ask here; None for any other request."""
        if scope["type"] != "http" or scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "access-control-request-method" not in headers or not allowed_origin(
            self._origins, headers.get("origin", "")
        ):
            return None
        fields = [
            ("Access-Control-Allow-Methods", self._methods),
            ("Access-Control-Allow-Headers", _ALLOW_HEADERS),
            ("Access-Control-Max-Age", _MAX_AGE_SECONDS),
        ]
        if "access-control-request-private-network" in headers:
            fields.append(("Access-Control-Allow-Private-Network", "true"))
        return Answer(204, headers=tuple(fields))


def allowed_origin(origins: tuple[str, ...], origin: str) -> str:
    """What Access-Control-Allow-Origin says of this origin with these settings; empty when it may not read."""
    if "*" in origins:
        return "*"
    if not origins:
        return origin if _LOOPBACK_ORIGIN.fullmatch(origin) else ""
    return origin if origin.lower() in {one.rstrip("/").lower() for one in origins} else ""


def _origin(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
