"""Header fields by which a browser knows what it may do with an answer: show it, and nothing else.

They stand on every answer, as an object may hold anything and a browser may open any URL as a page: scripts do not
run, forms are not sent, nothing is fetched but the picture or video itself, and the sandbox makes the page one of
nobody's origin. Only the pages of viewers have a policy of their own (`viewer.policies`). Frames are for the pages that
may read answers (`cors`): a viewer shows a report within itself. URLs of searches hold names, so none is told to the
next site, and an answer without an entity tag stays in no cache.

That browsers should come by TLS only is said to those who did (RFC 6797 7.2): only a proxy can bring them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.types import Scope

from archive.settings.doors import Http
from archive.web.http.urls import came_by_tls

Fields = tuple[tuple[bytes, bytes], ...]

_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; sandbox; frame-ancestors"
)
_THIS_MACHINE = tuple(
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1")
)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?")

POLICY = b"content-security-policy"
NO_STORE = (b"cache-control", b"no-store")
_TLS_ONLY = (b"strict-transport-security", b"max-age=31536000")
"""Of this host alone: what else its domain holds is not ours to say."""


class Protections:
    """Those of one door."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._always: Fields = (
            (b"x-content-type-options", b"nosniff"),
            (POLICY, f"{_POLICY} {ancestors(http.cors_origins)}".encode("ascii")),
            (b"referrer-policy", b"no-referrer"),
        )
        self._by_tls = (*self._always, _TLS_ONLY)

    def of(self, scope: Scope) -> Fields:
        """The fields on the answer to this request."""
        return self._by_tls if came_by_tls(self._http, scope) else self._always


def added(headers: Iterable[tuple[bytes, bytes]], marks: Fields) -> Fields:
    """What an answer gets besides its own fields: the policy of a page of ours stands, and so does what is said to
    caches."""
    named = {name.lower() for name, _ in headers}
    if POLICY in named:
        marks = tuple(mark for mark in marks if mark[0] != POLICY)
    return marks if b"cache-control" in named else (*marks, NO_STORE)


def ancestors(origins: tuple[str, ...]) -> str:
    """Whose pages may have an answer in a frame. What is no origin by this grammar would spoil the header."""
    if "*" in origins:
        return "*"
    named = filter(_ORIGIN.fullmatch, origins) if origins else _THIS_MACHINE
    return " ".join(("'self'", *named))
