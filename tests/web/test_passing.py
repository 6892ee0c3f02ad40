"""Answers that the system passes on from files: the same bytes, whoever reads how slowly, and nothing left open."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archive.dicom.errors import NotFound
from archive.services.stretches import Piece
from archive.services.throughput import Throughput
from archive.storage.local import LocalStore
from archive.web.http.crossing import BATCH_BYTES, Crossing, Lane, Prepared, prepared
from archive.web.http.endpoint import Endpoint
from archive.web.http.exchange import Answer
from archive.web.http.outflow import Outflow
from archive.web.http.passing import PASSING, Outgoing, Passing, Progress
from archive.web.routes import Route
from objects import LargeObject
from web_door import Door, connected

ALONE = {"Content-Type": "application/dicom"}
CONTENT = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def large(door: Door) -> tuple[str, bytes]:
    """The path of an object of twelve megabytes, and its bytes as they are stored."""
    body = b"".join(LargeObject(pixel_bytes=12 << 20).pieces())
    stored = door.client.post("/dicom-web/studies", content=body, headers=ALONE)
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    return url.removeprefix(door.url), body


def asked(door: Door, path: str, *headers: str) -> bytes:
    lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{door.port}", "Accept: application/dicom", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def received(connection: socket.socket, at_a_time: int = 1 << 20) -> bytes:
    """The body of one answer, read in pieces of this size."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(at_a_time)
    head, _, body = came.partition(b"\r\n\r\n")
    [length] = [
        int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")
    ]
    pieces, count = [body], len(body)
    while count < length and (piece := connection.recv(min(at_a_time, length - count))):
        pieces.append(piece)
        count += len(piece)
    return b"".join(pieces)


def open_files(below: Path) -> int:
    """Descriptors of this process, which the door shares, to files of the store."""
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(each.readlink()).startswith(str(below))
    return count


@pytest.mark.parametrize("at_a_time", [1 << 20, 7001])
def test_a_reader_with_little_room_gets_every_byte(
    door: Door, large: tuple[str, bytes], at_a_time: int
) -> None:
    path, body = large
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", door.port))
        connection.sendall(asked(door, path))
        assert received(connection, at_a_time)[400:] == body[400:]


def test_requests_ahead_of_their_turn_get_their_answers_in_order(
    door: Door, large: tuple[str, bytes]
) -> None:
    path, body = large
    with connected(door) as connection:
        ranges = ("bytes=1000-", f"bytes={4 << 20}-{(5 << 20) + 2}", "bytes=-70000", "bytes=10-19")
        connection.sendall(b"".join(asked(door, path, f"Range: {each}") for each in ranges))
        came = [received(connection) for _ in ranges[:1]]
        assert came[0] == body[1000:]
        for each in (body[4 << 20 : (5 << 20) + 3], body[-70000:], body[10:20]):
            assert exactly(connection, each)


def exactly(connection: socket.socket, body: bytes) -> bool:
    """Whether the next answer has this body; takes no byte of the one behind it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    came = b""
    while len(came) < len(body):
        came += connection.recv(len(body) - len(came))
    return came == body


def test_who_leaves_leaves_nothing_open(door: Door, large: tuple[str, bytes]) -> None:
    path, _ = large
    objects = door.archive.settings.data / "objects"
    for reads in (0, 1, 1 << 20):
        with connected(door) as connection:
            connection.sendall(asked(door, path))
            connection.recv(reads or 1)
    while open_files(objects):
        door.client.get("/health/live")
    assert door.client.get(path, headers={"Accept": "application/dicom"}).status_code == 200
    assert not open_files(objects)


def test_to_who_takes_no_bytes_as_they_are_nothing_is_passed_on(door: Door, large: tuple[str, bytes]) -> None:
    path, body = large
    refusing = {"Accept": "application/dicom", "Accept-Encoding": "gzip, identity;q=0"}
    answer = door.client.get(path, headers=refusing)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content[400:] == body[400:]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def passed(store: LocalStore, *between: bytes) -> Iterator[Piece]:
    """The content in three stretches, bytes behind each."""
    writer = store.create()
    writer.write(CONTENT)
    writer.publish()
    with store.open(writer.key) as blob:
        for start in range(0, len(CONTENT), 1 << 20):
            yield blob.stretch(start, 1 << 20)
            yield from between


def test_the_first_batch_is_made_ahead_and_the_rest_follows(store: LocalStore, tmp_path: Path) -> None:
    ready = prepared(lambda: Answer(200, body=passed(store, b"", b"between")), passing=True)
    assert ready.first == b""
    assert sum(each.length for each in ready.ahead if not isinstance(each, bytes)) == BATCH_BYTES
    outgoing = Outgoing(ready.ahead, ready.rest)
    outgoing.begin(b"head")
    came, progress = bytearray(), Progress.MORE
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        outgoing.own(here.fileno())
        progress = outgoing.send_ahead(here.fileno())
        while progress is not Progress.COMPLETE:
            came += there.recv(1 << 20)
            progress = outgoing.send()
        here.close()
        outgoing.close()
        came += b"".join(iter(lambda: there.recv(1 << 20), b""))
    assert bytes(came) == b"head" + b"".join(
        CONTENT[start : start + (1 << 20)] + b"between" for start in range(0, len(CONTENT), 1 << 20)
    )
    assert outgoing.sent == len(came) - len(b"head")
    assert not open_files(tmp_path)


def test_what_is_not_passed_on_is_read(store: LocalStore, tmp_path: Path) -> None:
    ready = prepared(lambda: Answer(200, body=passed(store)))
    assert (ready.first, ready.ahead) == (CONTENT[:BATCH_BYTES], ())
    assert (
        b"".join(piece.read() for piece in ready.rest or () if not isinstance(piece, bytes))
        == (CONTENT[BATCH_BYTES:])
    )


def test_a_file_that_became_shorter_is_noticed_while_it_is_sent(store: LocalStore, tmp_path: Path) -> None:
    pieces = passed(store)
    stretch = next(pieces)
    assert not isinstance(stretch, bytes)
    assert stretch.fetch()
    os.truncate(next(tmp_path.glob("objects/*/*/*")), 100)
    outgoing = Outgoing((stretch,), pieces)
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there, pytest.raises(NotFound):
        outgoing.send_ahead(here.fileno())
    outgoing.close()
    assert not open_files(tmp_path)


def test_the_connection_is_let_go_of_though_no_thread_is_free_to_do_it() -> None:
    """Otherwise whoever asked would wait for the rest without an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
    connection.setblocking(False)
    asyncio.run(_fails_amid_and_is_cancelled(connection))
    connection.close()
    client.settimeout(30)
    with client:
        while client.recv(1 << 20):
            pass


async def _fails_amid_and_is_cancelled(connection: socket.socket) -> None:
    loop, lane = asyncio.get_running_loop(), Crossing(1)
    busy: list[asyncio.Future[None]] = []
    may_end = threading.Event()

    def occupy() -> None:
        busy.append(asyncio.ensure_future(lane.call(lambda: bool(may_end.wait(30)) and None)))

    def rest() -> Iterator[bytes]:
        """Others take the thread as soon as this fails."""
        loop.call_soon_threadsafe(occupy)
        time.sleep(0.1)
        raise NotFound("deleted meanwhile")
        yield b""

    async def send(_message: object) -> None:
        pass

    transport: Any = SimpleNamespace(is_closing=lambda: False, get_write_buffer_size=lambda: 0)
    joined: Any = SimpleNamespace(taken=lambda: b"HTTP/1.1 200 OK\r\n\r\n")
    cycle: Any = SimpleNamespace(expected_content_length=4 << 20)
    passing = Passing(transport, lambda: connection, joined, cycle, loop, 5)
    endpoint = Endpoint.__new__(Endpoint)
    endpoint._lane = lane
    ready = Prepared(Answer(200, length=4 << 20), b"", rest(), (b"x" * 1000,))
    scope = {"extensions": {PASSING: passing}}
    route = Route("GET", "/", "Work", "", lambda *_: None, right=None)
    counted = Outflow(Throughput(), route, ready.answer, "GET", send)
    task = asyncio.ensure_future(endpoint._pass(ready, scope, counted, Lane.COMMON))
    await asyncio.sleep(0.4)
    assert not task.done()
    task.cancel()
    with pytest.raises((asyncio.CancelledError, NotFound)):
        await task
    may_end.set()
    await asyncio.gather(*busy)
