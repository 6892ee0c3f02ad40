"""From an ASGI request to a handler and back: one class for every row of the route table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from starlette.types import Message, Receive, Scope, Send

from archive.dicom.errors import ArchiveError
from archive.web import admission, shared_access
from archive.web.http import bodies, compression, crossing, errors, representation, urls
from archive.web.http.bodies import ClientGone
from archive.web.http.crossing import Crossing, Lane, Prepared
from archive.web.http.exchange import Answer, Asked, Decodes, Taker
from archive.web.http.outflow import Outflow
from archive.web.http.passing import PASSING, Outgoing, Passing
from archive.web.http.protocol import LEAVING
from archive.web.routes import Route

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive


Batch = tuple[bytes, bool]
"""Bytes of a body, and whether they are the last."""

HEALTH = "/health/"
"""Where probes ask, which have threads of their own."""


class Endpoint:
    """Every method of one path."""

    def __init__(self, archive: Archive, lane: Crossing, routes: Mapping[str, Route]) -> None:
        self._archive = archive
        self._lane = lane
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route = self._routes[method]
        scope["archive.route"] = route.path
        asked = asked_of(scope, self._archive.settings.http)
        if route.takes_body:
            compression.coding(asked)  # what cannot be answered had better not be stored
            answer = await self._take(route, asked, receive)
            if not isinstance(answer.body, bytes):  # documents; that they are decoded nobody knew beforehand
                ready = await self._lane.call(partial(crossing.prepared, lambda: answer), Lane.DECODING)
                await self._send(ready, scope, self._counted(route, ready, scope, send), Lane.DECODING)
                return
            await self._send(compression.applied(Prepared(answer, answer.body, None), asked), scope, send)
            return
        with _while_there(scope):
            ready, lane = await self._prepared(route, asked)
            counted = self._counted(route, ready, scope, send)
            if ready.ahead:
                await self._pass(ready, scope, counted, lane)
            else:
                await self._send(ready, scope, counted, lane)

    def _counted(self, route: Route, ready: Prepared, scope: Scope, send: Send) -> Outflow:
        return Outflow(self._archive.throughput, route, ready.answer, scope["method"], send)

    async def _pass(self, ready: Prepared, scope: Scope, send: Outflow, lane: Lane) -> None:
        """An answer that holds stretches of files."""
        passing: Passing = scope["extensions"][PASSING]
        if not passing.is_free:
            first = await self._lane.call(partial(crossing.read_all, ready.ahead), lane)
            await self._send(Prepared(ready.answer, first, ready.rest), scope, send, lane)
            return
        outgoing = Outgoing(ready.ahead, ready.rest, send.add)
        try:
            await _start(ready, send)
            await passing.send(outgoing, partial(self._lane.call, lane=lane))
            await send({"type": "http.response.body", "body": b""})
        finally:
            try:
                if outgoing.needs_thread:
                    with anyio.CancelScope(shield=True):
                        await self._lane.call(outgoing.close)
            finally:
                outgoing.close()  # whoever got no thread for it must not keep the connection open

    async def _prepared(self, route: Route, asked: Asked) -> tuple[Prepared, Lane]:
        """The answer, and the threads that go on with it. That pixel data has to be decoded for it shows when the
        handler knows what is stored; it then begins anew."""
        lane = _lane_of(route, asked)
        try:
            return await self._lane.call(self._making(route, asked), lane), lane
        except Decodes:
            make = self._making(route, replace(asked, may_decode=True))
            return await self._lane.call(make, Lane.DECODING), Lane.DECODING

    def _making(self, route: Route, asked: Asked) -> Callable[[], Prepared]:
        return partial(representation.prepared, partial(self._handled, route, asked), asked)

    def _handled(self, route: Route, asked: Asked) -> Answer:
        try:
            asked = self._admitted(route, asked)
            answer: Answer = route.handler(self._archive.shown_to(asked.principal), asked)
        except ArchiveError as error:
            if route.refused is None:
                raise
            answer = route.refused(self._archive, asked, error)
        return shared_access.watched(self._archive, asked, answer)

    def _admitted(self, route: Route, asked: Asked) -> Asked:
        admitted = admission.admitted(self._archive, asked, route.right)
        shared_access.check(self._archive, route, admitted)
        return admitted

    async def _take(self, route: Route, asked: Asked, receive: Receive) -> Answer:
        """Feed the body to the handler's taker."""
        http = self._archive.settings.http
        bodies.check_declared_length(asked.headers.get("content-length", ""), http.maximum_body_bytes)
        if route.right is not None and admission.is_required(self._archive.settings):
            asked = await self._lane.call(partial(self._admitted, route, asked))
        taker: Taker = route.handler(self._archive.shown_to(asked.principal), asked)
        incoming = bodies.batches(receive, http.maximum_body_bytes, http.idle_deadline)
        batch, last = await anext(incoming)
        if last:
            return await self._lane.call(partial(_take_whole, taker, batch))
        async with self._lane.closing(taker.close):
            answer = await self._lane.call(partial(_feed, taker, batch))
            return answer if answer is not None else await self._take_more(taker, incoming)

    async def _take_more(self, taker: Taker, incoming: AsyncIterator[Batch]) -> Answer:
        """The next batch is read while the last one is worked on."""
        put_ahead, ahead = anyio.create_memory_object_stream[Batch](0)
        with put_ahead, ahead:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_read_ahead, incoming, put_ahead)
                async for batch, last in ahead:
                    answer = await self._lane.call(partial(_feed, taker, batch, last))
                    if answer is not None:
                        tasks.cancel_scope.cancel()
                        return answer
        raise AssertionError("a body has a last batch")

    async def _send(self, ready: Prepared, scope: Scope, send: Send, lane: Lane = Lane.COMMON) -> None:
        head = scope["method"] == "HEAD"
        if ready.rest is None:
            await _start(ready, send)
            await send({"type": "http.response.body", "body": b"" if head else ready.first})
            return
        async with self._lane.closing(partial(crossing.close, ready.rest)):
            await _start(ready, send)
            if not head:
                await send(_piece(ready.taken()))
                passing: Passing = scope["extensions"][PASSING]
                await passing.room()  # or a client that stalls would have several batches made for it
                async with aclosing(self._lane.batches(ready.rest, lane)) as batches:
                    async for batch in batches:
                        await send(_piece(batch))
                        await passing.room()
            await send({"type": "http.response.body", "body": b""})


def _lane_of(route: Route, asked: Asked) -> Lane:
    if route.path.startswith(HEALTH):
        return Lane.HEALTH
    return Lane.PICTURES if route.makes_pictures(asked) else Lane.COMMON


def asked_of(scope: Scope, http: Any) -> Asked:
    """The request as handlers see it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = scope.get("client")
    return Asked(
        path=scope.get("path_params", {}),
        query_string=scope["query_string"].decode("latin-1"),
        headers=headers,
        base_url=urls.public_base(http, headers, scope["scheme"], scope.get("server")),
        peer_address=urls.client_address(http, headers, client[0] if client else ""),
        strict=http.strict,
        method=scope["method"],
        passing=PASSING in scope.get("extensions", ()),
        at=scope["path"],
    )


async def _read_ahead(incoming: AsyncIterator[Batch], put_ahead: MemoryObjectSendStream[Batch]) -> None:
    async for batch in incoming:
        await put_ahead.send(batch)


def _take_whole(taker: Taker, body: bytes) -> Answer:
    """A taker that was fed nothing has nothing to let go of, so all of this needs one thread once."""
    try:
        taker.feed(body)
        return taker.finish()
    finally:
        taker.close()


def _feed(taker: Taker, batch: bytes, last: bool = False) -> Answer | None:
    wants_more = taker.feed(batch)
    return taker.finish() if last or not wants_more else None


async def _start(ready: Prepared, send: Send) -> None:
    answer = ready.answer
    headers = [(name.encode("latin-1"), errors.header_text(value)) for name, value in answer.headers]
    if answer.media_type:
        headers.append((b"content-type", answer.media_type.encode("latin-1")))
    length = len(ready.first) if ready.rest is None and answer.length is None else answer.length
    if length is not None and answer.status not in (204, 304):
        headers.append((b"content-length", str(length).encode("ascii")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


def _piece(piece: bytes) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": True}


@contextmanager
def _while_there(scope: Scope) -> Iterator[None]:
    """Cancels what happens here when the client goes away. Raises ClientGone then."""
    task = asyncio.current_task()
    assert task is not None
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        task.cancel()

    leaving: set[Callable[[], None]] = scope["extensions"][LEAVING]
    leaving.add(leave)
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        leaving.discard(leave)
