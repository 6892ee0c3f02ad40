"""Notification Connections (PS3.18 8.10, 11.13): events over WebSocket, which arrive at least once (dicomweb.md 4, row
19 of what fails elsewhere), and what one connection may cost."""

from __future__ import annotations

import gc
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from archive.dicom.workitems.attributes import GLOBAL, PUSH
from archive.web.http.web_socket import LONGEST_MESSAGE, EventProtocol
from archive.web.ups import notifications
from web_door import Door, connected
from worklist_service import Agent, until

SECONDS = 30

HANDSHAKE = (
    b"GET /dicom-web/subscribers/VIEWER HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def agent(empty_door: Door) -> Agent:
    return Agent(empty_door)


@contextmanager
def listening(door: Door, title: str = "VIEWER", **options: Any) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{door.port}/dicom-web/subscribers/{title}", **options) as connection:
        yield connection


def heard(connection: ClientConnection) -> dict[str, Any]:
    """The next event."""
    text = connection.recv(timeout=SECONDS)
    assert isinstance(text, str), "8.10.5.1.1: text frames"
    return dict(orjson.loads(text))


def told(event: dict[str, Any]) -> tuple[Any, ...]:
    """Message ID, workitem, type, state."""
    return tuple(
        event[tag]["Value"][0] for tag in ("00000110", "00001000", "00001002", "00741000") if tag in event
    )


def ended(connection: socket.socket) -> bool:
    """Wait for the server to end a connection, in whatever way."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_events_come_as_they_happen(agent: Agent) -> None:
    """11.13: what an Event Report holds."""
    with listening(agent.door) as connection:
        assert agent.post(f"/{GLOBAL}/subscribers/VIEWER").status_code == 201
        uid = agent.create(InputReadinessState="READY")
        first = heard(connection)
        assert first == {
            "00000002": {"vr": "UI", "Value": [PUSH]},
            "00000110": {"vr": "US", "Value": [1]},
            "00001000": {"vr": "UI", "Value": [uid]},
            "00001002": {"vr": "US", "Value": [1]},
            "00404041": {"vr": "CS", "Value": ["READY"]},
            "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
        }
        agent.complete(uid)
        assert told(heard(connection)) == (2, uid, 1, "IN PROGRESS")
        assert told(heard(connection)) == (3, uid, 1, "COMPLETED")


def test_only_the_subscriber_hears_them(agent: Agent) -> None:
    with listening(agent.door, "OTHER") as other, listening(agent.door) as connection:
        agent.post(f"/{GLOBAL}/subscribers/VIEWER")
        agent.create()
        assert told(heard(connection))[0] == 1
        with pytest.raises(TimeoutError):
            other.recv(timeout=2 * notifications.LOOK_SECONDS)


def test_what_happened_before_it_listened(agent: Agent) -> None:
    """Who subscribes first and opens its connection then misses nothing, also after a restart of the door."""
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    uids = [agent.create() for _ in range(2 * notifications.BATCH + 1)]
    with listening(agent.door) as connection:
        assert [told(heard(connection))[1] for _ in uids] == uids


def test_what_was_confirmed_does_not_come_again(agent: Agent) -> None:
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    first = agent.create()
    with listening(agent.door) as connection:
        assert told(heard(connection))[1] == first
        newest = agent.door.archive.workitems.newest_event()
        until(lambda: agent.door.archive.workitems.heard("VIEWER") == newest)
    second = agent.create()
    with listening(agent.door) as connection:
        assert told(heard(connection))[1] == second


def test_what_was_not_confirmed_comes_again(agent: Agent) -> None:
    """A client that dies after the event was sent: bytes in a buffer are no delivery."""
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    uid = agent.create()
    with connected(agent.door) as mute:
        mute.sendall(HANDSHAKE)
        received = b""
        while uid.encode() not in received:
            received += mute.recv(65536)
        for _ in range(50):  # time enough to note a confirmation that never came
            agent.held(uid)
    assert received.startswith(b"HTTP/1.1 101 ")
    assert agent.door.archive.workitems.heard("VIEWER") < agent.door.archive.workitems.newest_event()
    with listening(agent.door) as connection:
        assert told(heard(connection))[1] == uid


def test_two_connections_of_one_subscriber(agent: Agent) -> None:
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    with listening(agent.door) as one, listening(agent.door) as other:
        uid = agent.create()
        assert told(heard(one))[1] == told(heard(other))[1] == uid


def test_a_client_that_does_not_answer_pings(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "PING_SECONDS", 0.2)
    monkeypatch.setattr(notifications, "PONG_SECONDS", 0.5)
    with connected(agent.door) as mute:
        mute.sendall(HANDSHAKE)
        assert mute.recv(65536).startswith(b"HTTP/1.1 101 ")
        assert ended(mute)
    with listening(agent.door) as connection:
        connection.ping().wait(SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(timeout=2)
        connection.ping().wait(SECONDS)


def test_a_client_that_stops_reading(open_door: Callable[..., Door], monkeypatch: pytest.MonkeyPatch) -> None:
    """reliability.md H1: its connection ends, and what waits for it stays small."""
    monkeypatch.setattr(notifications, "BATCH", 1000)
    agent = Agent(open_door(http__idle_deadline=1))
    workitems = agent.door.archive.workitems
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    uid = agent.create()
    agent.claim(uid)
    for _ in range(700):
        workitems.request_cancel(uid, {"00741238": {"vr": "LT", "Value": ["x" * 10_000]}}, "WARD")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.settimeout(SECONDS)
        stalled.connect(("127.0.0.1", agent.door.port))
        stalled.sendall(HANDSHAKE)
        assert stalled.recv(12).startswith(b"HTTP/1.1 101")
        until(lambda: waiting_to_be_sent(agent.door) > 0)
        until(lambda: waiting_to_be_sent(agent.door) == 0)
        assert ended(stalled)
    assert workitems.heard("VIEWER") < workitems.newest_event()


def waiting_to_be_sent(door: Door) -> int:
    """Bytes that the system holds for clients of the door."""
    port = f"0100007F:{door.port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return sum(int(row[4].partition(":")[0], 16) for row in rows if row[1] == port)


def test_what_a_client_says_is_dropped(agent: Agent) -> None:
    """8.10.5.3: nothing is expected of it; and it may not be long, in one frame or in several."""
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    with listening(agent.door) as connection:
        for _ in range(1000):
            connection.send("hello")
            connection.send(b"hello")
        uid = agent.create()
        assert told(heard(connection))[1] == uid
        assert code_after(connection, "x" * (LONGEST_MESSAGE + 1)) == 1009
    with listening(agent.door, "OTHER") as connection:
        assert code_after(connection, ["x" * 1000] * 5) == 1009


def test_a_message_of_any_number_of_empty_frames(agent: Agent) -> None:
    """Its length never grows, and nothing of it is kept."""
    with connected(agent.door) as connection:
        connection.sendall(HANDSHAKE)
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")
        frames = [Frame(Opcode.TEXT, b"", fin=False), *[Frame(Opcode.CONT, b"", fin=False)] * 1000]
        connection.sendall(
            b"".join(one.serialize(mask=True) for one in [*frames, Frame(Opcode.PING, b"read")])
        )
        answer = b""
        while not answer.endswith(b"read"):
            answer += connection.recv(65536)
        assert open_protocol().frames == []


def open_protocol() -> EventProtocol:
    """What serves the one connection that is open."""
    [found] = [
        one for one in gc.get_objects() if type(one) is EventProtocol and not one.transport.is_closing()
    ]
    return found


def test_pings_of_a_client_that_does_not_read(agent: Agent) -> None:
    """Their pongs do not pile up; an answer comes again when it reads."""
    with socket.socket() as flooding:
        flooding.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flooding.settimeout(SECONDS)
        flooding.connect(("127.0.0.1", agent.door.port))
        flooding.sendall(HANDSHAKE)
        answer = flooding.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        for _ in range(100):
            flooding.sendall(Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1000)
        assert open_protocol().transport.get_write_buffer_size() < 1 << 20
        flooding.settimeout(2)
        with suppress(TimeoutError):
            while flooding.recv(65536):
                pass
        flooding.sendall(Frame(Opcode.PING, b"done").serialize(mask=True))
        assert flooding.recv(4096).endswith(b"done")


def code_after(connection: ClientConnection, message: str | list[str]) -> int:
    """The code with which a connection ends after this message, in frames if it is a list."""
    try:
        connection.send(iter(message) if isinstance(message, list) else message)
        while True:
            connection.recv(timeout=SECONDS)
    except ConnectionClosed as closed:
        return int(closed.rcvd.code) if closed.rcvd else 0


def test_frames_that_break_the_protocol(agent: Agent) -> None:
    with connected(agent.door) as connection:
        connection.sendall(HANDSHAKE)
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")
        connection.sendall(Frame(Opcode.TEXT, b"not masked").serialize(mask=False))
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        assert answer[:1] == b"\x88"
        assert int.from_bytes(answer[2:4], "big") == 1002
    assert agent.door.client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/subscribers/SEVENTEENLETTERSX", 400),
        ("/subscribers/a%5Cb", 400),
        ("/subscribers/", 400),
        ("/nothing", 404),
    ],
)
def test_connections_that_are_refused(door: Door, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{door.port}/dicom-web{path}"):
        pass
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("", "http://evil.example", False),
        ("", "null", False),
        ("", "http://localhost:3000", True),
        ("https://viewer.example", "https://viewer.example", True),
        ("https://viewer.example", "http://localhost:3000", False),
        ("*", "http://any.example", True),
    ],
)
def test_whose_pages_may_listen(
    open_door: Callable[..., Door], origins: str, origin: str, allowed: bool
) -> None:
    """reliability.md H15: browsers open a WebSocket for any page and ask nobody."""
    door = open_door(**({"http__cors_origins": [origins]} if origins else {}))
    if allowed:
        with listening(door, origin=origin) as connection:
            assert connection.ping().wait(SECONDS)
        return
    with pytest.raises(InvalidStatus) as refused, listening(door, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_that_offers_subprotocols(door: Door) -> None:
    """Table 8.10.4-3; browsers end a connection at which none of what they offered was chosen."""
    with listening(door, subprotocols=["dicom", "json"]) as connection:
        assert connection.subprotocol == "dicom"


def test_a_refusal_is_no_fault(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus), listening(door, "SEVENTEENLETTERSX"):
        pass
    door.client.get("/health/live")
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_a_foreign_host_name(door: Door) -> None:
    """Against DNS rebinding, as everywhere."""
    with connected(door) as connection:
        connection.sendall(HANDSHAKE.replace(b"localhost", b"evil.example"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 421 ")


def test_too_many_connections(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "MAXIMUM_CONNECTIONS", 1)
    with listening(agent.door):
        with pytest.raises(InvalidStatus) as refused, listening(agent.door):
            pass
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"]


def test_a_plain_get(door: Door) -> None:
    answer = door.client.get("/dicom-web/subscribers/VIEWER")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


@pytest.mark.parametrize(
    "change",
    [
        (b"GET /dicom-web/subscribers/VIEWER", b"GET /health/live"),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Upgrade: websocket", b"Upgrade: h2c\r\nUpgrade: websocket"),
        (b"Upgrade: websocket", b"Upgrade: websocket\r\nUpgrade: h2c"),
        (b"Upgrade: websocket", b"Upgrade: websocket, h2c"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"GET", b"OPTIONS"),
    ],
)
def test_offers_to_upgrade_that_are_no_notification_connection(
    door: Door, change: tuple[bytes, bytes]
) -> None:
    """RFC 9110 7.8: they are left unheard, and the connection goes on as it was."""
    with connected(door) as connection:
        connection.sendall(HANDSHAKE.replace(*change))
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 ")
        assert not answer.startswith(b"HTTP/1.1 101")


def test_after_another_request_on_the_same_connection(agent: Agent) -> None:
    """The deadline for the next request is not that of a Notification Connection; and an answer that is under way is
    not cut in two."""
    agent.post(f"/{GLOBAL}/subscribers/VIEWER")
    live = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(agent.door) as connection:
        connection.sendall(live)
        answer = b""
        while not answer.endswith(b"alive\n"):
            answer += connection.recv(65536)
        connection.sendall(HANDSHAKE)
        assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")
        uid = agent.create()
        received = b""
        while uid.encode() not in received:
            received += connection.recv(65536)
    with connected(agent.door) as connection:
        connection.sendall(live + HANDSHAKE)
        answer = b""
        while answer.count(b"HTTP/1.1 ") < 2:
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 101" not in answer


def test_stopping_says_so(agent: Agent) -> None:
    """RFC 6455 7.4.1 and IANA: 1012, the service restarts."""
    with listening(agent.door) as connection:
        threading.Timer(0.1, agent.door.stop.set).start()
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
