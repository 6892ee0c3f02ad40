"""Clients that cost without asking: those that drip, those that come in crowds, those that leave (H1)."""

from __future__ import annotations

import contextlib
import gc
import logging
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive.web.http.bodies import HELD_SECONDS
from objects import mr, part10, series
from web_door import Door, connected, running, settings_for

STORE = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE = 20.0
"""Seconds after which a test gives up; all of this takes one or two."""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with a deadline of one second."""
    with running(settings_for(tmp_path_factory.mktemp("archive"), http__idle_deadline=1)) as door:
        yield door


def drip(connection: socket.socket, seconds: float = 0.1) -> tuple[bytes, float]:
    """Say a byte every so often until the other side has closed: what it said, and how long it took."""
    begin, said = time.monotonic(), b""
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - begin < PATIENCE:
            if select.select([connection], [], [], seconds)[0]:
                piece = connection.recv(65536)
                if not piece:
                    break
                said += piece
            connection.sendall(b"a")
    return said, time.monotonic() - begin


def test_h1_a_head_that_drips(impatient: Door) -> None:
    """The deadline is one of the whole head, not of each byte."""
    with connected(impatient) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: ")
        said, seconds = drip(connection)
    assert said == b""
    assert seconds < PATIENCE / 2


def test_h1_a_second_head_that_drips(impatient: Door) -> None:
    with connected(impatient) as connection:
        connection.sendall(LIVE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /health/live HTTP/1.1\r\nX: ")
        said, seconds = drip(connection)
    assert said == b""
    assert seconds < PATIENCE / 2


def test_h1_a_body_that_drips(impatient: Door) -> None:
    """It never stands still for a second, and is too slow all the same."""
    with connected(impatient) as connection:
        connection.sendall(STORE + b"Content-Length: 1000000\r\n\r\n")
        said, seconds = drip(connection)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert seconds < PATIENCE / 2
    assert impatient.leftovers() == []


def test_h1_a_body_that_drips_after_its_answer(impatient: Door) -> None:
    """Nobody waits for it, and it does not keep the connection."""
    with connected(impatient) as connection:
        connection.sendall(
            b"POST /dicom-web/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        )
        said, seconds = drip(connection)
    assert said.startswith(b"HTTP/1.1 404 ")
    assert seconds < PATIENCE / 2


def test_a_body_that_comes_after_its_answer_at_some_speed_is_taken(impatient: Door) -> None:
    """Who uploads to a wrong address learns so, and the connection goes on."""
    length, piece = 400_000, 20_000
    with connected(impatient) as connection:
        head = f"POST /dicom-web/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 404 ")
        pause = threading.Event()
        for _ in range(length // piece):  # two seconds in all, two deadlines
            connection.sendall(b"a" * piece)
            pause.wait(0.1)
        connection.sendall(LIVE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_h1_what_has_come_of_a_slow_body_is_not_kept_in_memory(empty_door: Door) -> None:
    """Hundreds of senders that stop before a batch is full would hold a megabyte each."""
    file = part10(mr(PixelData=bytes(512 * 512 * 2), Rows=512, Columns=512))
    first = len(file) - 20_000
    assert first < 1 << 20, "less than a batch"
    with connected(empty_door) as connection:
        connection.sendall(STORE + f"Content-Length: {len(file)}\r\n\r\n".encode() + file[:first])
        begin, pause = time.monotonic(), threading.Event()
        while _spooled(empty_door) < first - 65536:
            assert time.monotonic() - begin < PATIENCE, _spooled(empty_door)
            pause.wait(0.02)
        assert time.monotonic() - begin > HELD_SECONDS / 2
        connection.sendall(file[first:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert empty_door.leftovers() == []


def _spooled(door: Door) -> int:
    return sum(_size(path) for path in (door.archive.settings.data / "spool").rglob("*"))


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0


@pytest.fixture
def narrow(open_door: Callable[..., Door]) -> Door:
    """Room for ten connections; that of the client library is closed before each test."""
    door = open_door(http__maximum_connections=10)
    door.client.close()
    return door


def asked(connection: socket.socket, request: bytes = LIVE) -> bytes:
    """The status line of an answer; empty when the connection is closed."""
    try:
        connection.sendall(request)
        return connection.recv(65536).partition(b"\r\n")[0]
    except ConnectionError:
        return b""


def is_open(connection: socket.socket) -> bool:
    """Whether the other side has not closed it."""
    if not select.select([connection], [], [], 0)[0]:
        return True
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except ConnectionError:
        return False


def test_h1_silent_connections_make_room_the_longest_silent_first(narrow: Door) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(narrow)) for _ in range(10)]
        for _ in range(3):
            assert asked(stack.enter_context(connected(narrow))) == b"HTTP/1.1 200 OK"
        assert [is_open(one) for one in silent] == [False] * 3 + [True] * 7


def test_h1_idle_connections_make_room_when_nobody_is_silent(narrow: Door) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(narrow)) for _ in range(10)]
        assert {asked(one) for one in idle} == {b"HTTP/1.1 200 OK"}
        assert asked(stack.enter_context(connected(narrow))) == b"HTTP/1.1 200 OK"
        assert [is_open(one) for one in idle] == [False] + [True] * 9


def test_h1_who_is_in_the_middle_of_a_request_keeps_the_connection(narrow: Door) -> None:
    file = part10(mr())
    upload = STORE + f"Content-Length: {len(file)}\r\nExpect: 100-continue\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(connected(narrow)) for _ in range(10)]
        assert {asked(one, upload) for one in busy} == {b"HTTP/1.1 100 Continue"}
        late = stack.enter_context(connected(narrow))
        refused = late.recv(4096)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in refused
        assert {asked(one, file) for one in busy} == {b"HTTP/1.1 200 OK"}
        assert asked(stack.enter_context(connected(narrow))) == b"HTTP/1.1 200 OK"


def test_clients_that_leave_behind_requests_are_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """uvicorn tells the last of them that the client has gone; the one that is answered fails at the connection."""
    with caplog.at_level(logging.INFO), running(settings_for(tmp_path / "data")) as door:
        stored = door.store(*(part10(one) for one in series(mr, 30)))
        study = stored.json()["00081190"]["Value"][0].removeprefix(door.url)
        paths = (study, f"{study}/metadata", "/dicom-web/instances", f"{study}/rendered", "/health/live")
        several = b"".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths)
        for number in range(40):
            with connected(door) as connection:
                if number % 2:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(several)
                if number % 4 > 1:
                    connection.recv(1000)
        assert door.client.get("/health/live").status_code == 200
    gc.collect()  # a task that failed unseen says so when it is collected
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []
