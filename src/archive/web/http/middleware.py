"""What stands around every handler: the guard against foreign Host names, CORS, protections, counting, logging, errors.

All of it is one layer of plain ASGI, as each layer costs several calls for each message of an answer. Logs carry the
route's template, the status and the time, never the URL: the query string of a search holds names (PS3.18 10.6), so
uvicorn's access log is off as well.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from archive.dicom.errors import ArchiveError
from archive.web.http import metrics
from archive.web.http.bodies import ClientGone
from archive.web.http.cors import CORS
from archive.web.http.errors import unexpected, worded
from archive.web.http.exchange import Answer, text
from archive.web.http.protections import Fields, Protections, added
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


class Surroundings:
    """The outermost layer of this door, and its outermost `except`. With `loopback_only` it answers to the names of
    this machine alone."""

    def __init__(self, app: ASGIApp, cors: CORS, protections: Protections, *, loopback_only: bool) -> None:
        self._app = app
        self._cors = cors
        self._protections = protections
        self._loopback_only = loopback_only
        self._told = structlog.get_logger().bind()  # at each call it would be made anew

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = perf_counter()
        hosts = _values(scope, b"host")
        marks = self._protections.of(scope)
        if scope["type"] == "http":
            marks += self._cors.marks(scope)
        sending = _Sending(send, marks)
        try:
            answer = self._refused(hosts) or self._cors.preflight(scope)
            if answer is not None:
                await send_answer(answer, scope, sending)
            else:
                await self._app(scope, receive, sending)
        except Exception as raised:  # noqa: BLE001  one of the three places where everything is caught
            await _failed(_unwrapped(raised), scope, sending)
        finally:
            seconds = perf_counter() - begun
            _count(scope, sending.status, seconds)
            told = {"method": scope.get("method"), "status": sending.status, "seconds": round(seconds, 4)}
            self._told.debug("request", route=_route(scope), **told)

    def _refused(self, hosts: list[bytes]) -> Answer | None:
        """What Host headers get that are no host, or not ours.

        Against DNS rebinding: a page of a foreign site may otherwise make its own name resolve to 127.0.0.1 and read
        the archive as its own origin."""
        host = hosts[0].decode("latin-1") if hosts else ""
        if len(hosts) > 1 or (hosts and not is_host(host)):
            return text(400, "the Host header names no host")
        if self._loopback_only and not is_loopback_host(host):
            sentence = "this archive serves only this machine, by the names localhost, 127.0.0.1 and [::1]"
            return text(421, f"{sentence}; set http.public_url or http.behind_proxy to serve others")
        return None


class _Sending:
    """`send` of one request, which puts headers on the answer. `status` is that of the answer, 0 before it began."""

    __slots__ = ("_marks", "_send", "status")

    def __init__(self, send: Send, marks: Fields) -> None:
        self._send = send
        self._marks = marks
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] in _STARTS:
            self.status = message["status"]
            headers = message.get("headers", ())
            message["headers"] = [*headers, *added(headers, self._marks)]
        elif message["type"] == "websocket.accept":
            self.status = SWITCHING
        await self._send(message)


async def send_answer(answer: Answer, scope: Scope, send: Send) -> None:
    """An answer over HTTP, also to who wanted a WebSocket (the ASGI extension for that)."""
    prefix = "websocket." if scope["type"] == "websocket" else ""
    assert isinstance(answer.body, bytes)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    if answer.media_type:
        headers.append((b"content-type", answer.media_type.encode()))
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    body = b"" if scope.get("method") == "HEAD" else answer.body
    await send({"type": f"{prefix}http.response.start", "status": answer.status, "headers": headers})
    await send({"type": f"{prefix}http.response.body", "body": body})


async def _failed(error: Exception, scope: Scope, sending: _Sending) -> None:
    """Say so, if it can still be said. Raises ResponseCut."""
    if isinstance(error, ClientGone):
        sending.status = sending.status or CLIENT_GONE
        return
    answer = _for(error, scope)
    if sending.status == SWITCHING:
        await sending({"type": "websocket.close", "code": _INTERNAL_ERROR})
    elif sending.status:
        log.warning("answer broken off", route=_route(scope), error=type(error).__name__)
        raise ResponseCut from None
    else:
        await send_answer(answer, scope, sending)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value for key, value in headers if key == name]


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
