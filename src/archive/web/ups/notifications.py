"""Notification Connections: the events of a subscriber over WebSocket (PS3.18 8.10 and 11.13).

The index is the only bus: an event is written there in the transaction that it tells of, and every HTTP process looks
for new ones while somebody listens to it. So it does not matter which process, or which door, changed a workitem.

WebSocket has no answer to an event. After some of them a ping is sent, and its pong says that they were read; only then
does the index note that this subscriber has them. Who loses its connection gets the rest when it comes back, an event
that was under way perhaps twice: at least once, as PS3.4 CC.2.4.3 has it for associations that cannot be opened.

A page of a browser may listen where it may read answers too (`http.cors_origins`): browsers ask nobody before they open
a WebSocket.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import structlog
from starlette.types import Receive, Scope, Send

from archive.dicom.errors import OutOfResources
from archive.security.roles import Right
from archive.web import admission
from archive.web.api import guard
from archive.web.http import cors
from archive.web.http.bodies import ClientGone
from archive.web.http.crossing import Crossing
from archive.web.http.endpoint import asked_of
from archive.web.http.errors import RequestRefused
from archive.web.http.web_socket import CONFIRMED
from archive.web.ups import requests
from archive.web.ups.subscriptions import NOTIFICATIONS

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive
    from archive.services.workitems import Event

MAXIMUM_CONNECTIONS = 500
"""Of one process."""
BATCH = 50
"""Events that are sent before it is asked whether they have arrived."""
LOOK_SECONDS = 0.5
PING_SECONDS = 25.0
"""Silence after which a ping is sent; proxies cut silent connections after a minute."""
PONG_SECONDS = 30.0

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
"""The SOP Class of every event (PS3.4 CC.2.4.3)."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")

log = structlog.get_logger()


class Connections:
    """Those of one process, as an ASGI application."""

    def __init__(self, archive: Archive, lane: Crossing) -> None:
        self._archive = archive
        self._lane = lane
        self._newest = Newest(archive, lane)
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["archive.route"] = NOTIFICATIONS
        title = await self._lane.call(partial(self._admitted, scope))
        await receive()  # websocket.connect
        self._open += 1
        try:
            await send({"type": "websocket.accept", "subprotocol": _subprotocol(scope)})
            await self._serve(title, scope["extensions"][CONFIRMED], receive, send)
        finally:
            self._open -= 1

    def _admitted(self, scope: Scope) -> str:
        """The AE title of who listens. Raises InvalidQuery, RequestRefused, NotSignedIn,
        NotAuthorized, OutOfResources."""
        http = self._archive.settings.http
        scheme = {"ws": "http", "wss": "https"}[scope["scheme"]]
        asked = asked_of({**scope, "method": "GET", "scheme": scheme}, http)
        origin = asked.headers.get("origin", "")
        if not guard.own_page(http, asked) and not cors.allowed_origin(http.cors_origins, origin):
            raise RequestRefused("a page of another origin may not listen here; see http.cors_origins", 403)
        if self._open >= MAXIMUM_CONNECTIONS:
            raise OutOfResources(f"this process has {MAXIMUM_CONNECTIONS} Notification Connections already")
        admission.admitted(self._archive, asked, Right.WORK)
        return requests.ae_title(asked.path["subscriber"])

    async def _serve(
        self, title: str, confirmed: Callable[[], Awaitable[None]], receive: Receive, send: Send
    ) -> None:
        listener = Listener(self._archive, self._lane, self._newest, title)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
            await listener.tell(confirmed, send)


class Newest:
    """The number of the newest event, looked up now and then for all connections of a process together."""

    def __init__(self, archive: Archive, lane: Crossing) -> None:
        self._archive = archive
        self._lane = lane
        self._lock = anyio.Lock()
        self._looked_at = 0.0
        self._number = 0

    async def number(self) -> int:
        """As it was a moment ago."""
        async with self._lock:
            if monotonic() - self._looked_at >= LOOK_SECONDS:
                self._number = await self._lane.call(self._archive.workitems.newest_event)
                self._looked_at = monotonic()
        return self._number


class Listener:
    """One connection."""

    def __init__(self, archive: Archive, lane: Crossing, newest: Newest, title: str) -> None:
        self._archive = archive
        self._lane = lane
        self._newest = newest
        self._title = title
        self._message_id = 0

    async def tell(self, confirmed: Callable[[], Awaitable[None]], send: Send) -> None:
        """Send every event that this subscriber has not confirmed, then those that come. Raises ClientGone when it does
        not answer; never returns."""
        position = seen = -1
        spoke = monotonic()
        while True:
            try:
                if position < 0:
                    position = await self._lane.call(partial(self._archive.workitems.heard, self._title))
                newest = await self._newest.number()
                if newest != seen:
                    position, sent = await self._send_after(position, confirmed, send)
                    if sent == BATCH:
                        continue
                    seen, spoke = newest, monotonic() if sent else spoke
            except OutOfResources as error:
                log.warning("events wait for the index", reason=error.reason)
            if monotonic() - spoke > PING_SECONDS:
                await _in_time(confirmed)
                spoke = monotonic()
            await anyio.sleep(LOOK_SECONDS)

    async def _send_after(
        self, position: int, confirmed: Callable[[], Awaitable[None]], send: Send
    ) -> tuple[int, int]:
        """Where we are then, and how many were sent."""
        workitems = self._archive.workitems
        events = await self._lane.call(partial(workitems.events_for, self._title, position, BATCH))
        for event in events:
            self._message_id = self._message_id % 0xFFFF + 1
            await _say(send, orjson.dumps(message(event, self._message_id)).decode())
        if events:
            await _in_time(confirmed)
            position = events[-1].number
            await self._lane.call(partial(workitems.confirm, self._title, position))
        return position, len(events)


def message(event: Event, message_id: int) -> dict[str, Any]:
    """The data set of an Event Report (PS3.18 11.13): its information, and who and what it is about."""
    command = {
        "00000002": {"vr": "UI", "Value": [UPS_PUSH]},
        "00000110": {"vr": "US", "Value": [message_id]},
        "00001000": {"vr": "UI", "Value": [event.workitem_uid]},
        "00001002": {"vr": "US", "Value": [event.type]},
    }
    return dict(sorted((command | dict(event.data_set)).items()))


def _subprotocol(scope: Scope) -> str | None:
    """DICOM names none, yet PS3.18 Table 8.10.4-3 has one in the answer, and a browser that has offered some ends the
    connection when none is chosen: the first."""
    return next((one for one in scope["subprotocols"] if _TOKEN.fullmatch(one)), None)


async def _say(send: Send, sentence: str) -> None:
    try:
        await send({"type": "websocket.send", "text": sentence})
    except OSError:
        raise ClientGone from None


async def _in_time(confirmed: Callable[[], Awaitable[None]]) -> None:
    try:
        with anyio.fail_after(PONG_SECONDS):
            await confirmed()
    except TimeoutError:
        raise ClientGone from None


async def _until_gone(receive: Receive, cancel_scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
    cancel_scope.cancel()
