"""What stands around every handler: counting, logging, errors, and the guard against foreign Host names.

The middleware is plain ASGI. Logs carry the route's template, the status and the time, never the URL: the query
string of a search holds names (PS3.18 10.6), so uvicorn's access log is off as well.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from time import perf_counter

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archive.dicom.errors import ArchiveError
from archive.web.http import metrics
from archive.web.http.bodies import ClientGone
from archive.web.http.errors import unexpected, worded
from archive.web.http.exchange import Answer, text
from archive.web.http.urls import is_host, is_loopback_host

UNMATCHED = "unmatched"
CLIENT_GONE = 499
"""nginx's number for a client that left before its answer: only ever seen in metrics."""

SWITCHING = 101
"""From here on a connection speaks WebSocket."""

_STARTS = ("http.response.start", "websocket.http.response.start")
_INTERNAL_ERROR = 1011

log = structlog.get_logger()


class ResponseCut(Exception):
    """An answer broke off after its status was sent: the connection is cut, so that nobody takes it for whole."""


class Observed:
    """Counts every request, and turns what handlers raise into answers; the outermost `except` of this door."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0
        begun = perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = SWITCHING
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as raised:  # noqa: BLE001  one of the three places where everything is caught
            error = _unwrapped(raised)
            if isinstance(error, ClientGone):
                status = status or CLIENT_GONE
                return
            answer = _for(error, scope)
            if status == SWITCHING:
                await send({"type": "websocket.close", "code": _INTERNAL_ERROR})
                return
            if status:
                log.warning("answer broken off", route=_route(scope), error=type(error).__name__)
                raise ResponseCut from None
            await _send(answer, scope, watched)
        finally:
            _count(scope, status, perf_counter() - begun)


class SafeHeaders:
    """`nosniff` on everything: stored bytes are data, whatever a browser thinks they look like."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] in _STARTS:
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, marked)


class HostGuard:
    """Refuses Host headers that are no host, and with `loopback_only` all that do not name this machine.

    Against DNS rebinding: a page of a foreign site may otherwise make its own name resolve to 127.0.0.1 and read
    the archive as its own origin."""

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) > 1 or (hosts and not is_host(hosts[0])):
            await _send(text(400, "the Host header names no host"), scope, send)
        elif self._loopback_only and not (hosts and is_loopback_host(hosts[0])):
            sentence = "this archive serves only this machine, by the names localhost, 127.0.0.1 and [::1]"
            answer = text(421, f"{sentence}; set http.public_url or http.behind_proxy to serve others")
            await _send(answer, scope, send)
        else:
            await self._app(scope, receive, send)


def _unwrapped(error: Exception) -> Exception:
    """What a task group wrapped."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _for(error: Exception, scope: Scope) -> Answer:
    if isinstance(error, ArchiveError):
        return worded(error)
    metrics.FAULTS.labels(_route(scope)).inc()
    log.error("request failed", route=_route(scope), error=type(error).__name__, at=_place(error))
    return unexpected()


def _place(error: BaseException) -> list[str]:
    """Where it happened, without any value: the message of an exception may quote an object."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def _route(scope: Scope) -> str:
    route: str = scope.get("archive.route", UNMATCHED)
    return route


def _count(scope: Scope, status: int, seconds: float) -> None:
    route = _route(scope)
    method = scope.get("method", "GET") if route != UNMATCHED else "any"
    metrics.REQUESTS.labels(method, route, str(status)).inc()
    if status == SWITCHING:
        return  # how long somebody listened says nothing about us
    metrics.SECONDS.labels(route).observe(seconds)
    log.debug("request", route=route, method=method, status=status, seconds=round(seconds, 4))


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    """An answer over HTTP, also to who wanted a WebSocket (the ASGI extension for that)."""
    prefix = "websocket." if scope["type"] == "websocket" else ""
    assert isinstance(answer.body, bytes)
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    await send({"type": f"{prefix}http.response.start", "status": answer.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": answer.body})
