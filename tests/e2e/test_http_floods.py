"""What floods of the HTTP door cost the others: a known modality keeps half of its rate, a viewer its place, readers
that stall keep little memory, and all is as before within seconds of the end (reliability.md 2.2 H1, 4.3)."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import crowd
import dicomweb
import http_crowd
from archive_process import ArchiveServer
from bystander import memory, sockets
from kept_share import assert_kept
from objects import LargeObject, mr, part10, series
from test_crowds import objects_per_second

LEAST_SHARE = 0.5
LEAST_OF_A_VIEWER = 0.1
"""Among 24 clients that ask without end: what they ask is as good as what the viewer asks, and all come from one
address. A fair share of the door would be a 25th."""
REQUESTS = 300
READERS = 40
MOST_PER_READER = {
    "application/dicom; transfer-syntax=*": 1 << 20,
    "multipart/related": 1 << 20,
    "application/zip": 4 << 20,
}
"""What is passed on from files costs nothing; a ZIP is read for its checksums, a batch ahead of the client."""
BACK_WITHIN = 5.0
MOST_LEFT = 24 << 20
"""Of memory, five seconds after the end: what an allocator keeps for next time."""

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """With something to look at."""
    server = module_archive()
    answer = dicomweb.store(server.dicomweb_url, *(part10(one) for one in series(mr, 20)))
    assert answer.status_code == 200
    for _ in range(2):  # the first files and pages are not what is measured
        objects_per_second(server)
        answers_per_second(server)
    return server


@contextmanager
def a_crowd(server: ArchiveServer, kind: str) -> Iterator[None]:
    """The crowd, once all of it is there."""
    command = [sys.executable, http_crowd.__file__, str(server.http_port), kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert crowd.wait_for_ready(process.stdout.fileno(), 120), "the crowd did not get in"
        yield
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def answers_per_second(server: ArchiveServer) -> float:
    """One viewer that looks through a series: a frame, its metadata, the next frame."""
    matches = dicomweb.search(server.dicomweb_url, "instances", limit=20)
    urls = [dicomweb.instance_url(server.dicomweb_url, match) for match in matches]
    begin = time.perf_counter()
    for number in range(REQUESTS // 2):
        url = urls[number % len(urls)]
        for resource, accept in (
            ("/frames/1", "multipart/related; type=application/octet-stream"),
            ("/metadata", "application/dicom+json"),
        ):
            answer = dicomweb.CLIENT.get(url + resource, headers={"Accept": accept})
            assert answer.status_code == 200
    return REQUESTS / (time.perf_counter() - begin)


def assert_share(
    server: ArchiveServer, kind: str, rate: Callable[[ArchiveServer], float], least: float
) -> None:
    """More than that is left among the crowd, and nothing of the crowd afterwards."""
    before = sockets(server)
    assert_kept(server, rate, lambda: a_crowd(server, kind), least)
    assert "Traceback" not in server.log
    _await(lambda: sockets(server) <= before + 2, "sockets stay open")


@pytest.mark.parametrize("kind", ["crowd", "flood"])
def test_h1_a_modality_keeps_more_than_half_of_its_rate(server: ArchiveServer, kind: str) -> None:
    assert_share(server, kind, objects_per_second, LEAST_SHARE)


@pytest.mark.parametrize(("kind", "least"), [("crowd", LEAST_SHARE), ("flood", LEAST_OF_A_VIEWER)])
def test_h1_a_viewer_keeps_its_place(server: ArchiveServer, kind: str, least: float) -> None:
    assert_share(server, kind, answers_per_second, least)


def test_h1_five_hundred_cost_little_memory_and_give_it_back(server: ArchiveServer) -> None:
    before = memory(server)
    with a_crowd(server, "crowd"):
        during = memory(server)
    assert max(during[pid] - before[pid] for pid in before) < 64 << 20
    _await(lambda: max(memory(server)[pid] - before[pid] for pid in before) < MOST_LEFT, "memory stays")


@pytest.mark.parametrize("form", MOST_PER_READER)
def test_h1_readers_that_stall_keep_little_memory(server: ArchiveServer, form: str) -> None:
    """The largest answers there are, to clients that read none of them."""
    large = LargeObject(pixel_bytes=96 << 20)
    headers = {"Content-Type": "application/dicom"}
    stored = dicomweb.CLIENT.post(f"{server.dicomweb_url}/studies", content=large.pieces(), headers=headers)
    assert stored.status_code == 200
    study = f"/dicom-web/studies/{large.StudyInstanceUID}"
    path = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0].removeprefix(server.http_url)
    target = path if form.startswith("application/dicom") else study
    asked = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: {form}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(_stalled(server, asked))
        before, number = memory(server), sockets(server)
        readers = [first, *(stack.enter_context(_stalled(server, asked)) for _ in range(READERS))]
        grown = sum(after - before[pid] for pid, after in memory(server).items())
        assert all(reader.recv(12) == b"HTTP/1.1 200" for reader in readers)
        print(f"{form}: {grown / READERS / 1024:.0f} KiB for each reader")
        assert grown < READERS * MOST_PER_READER[form]
        assert dicomweb.CLIENT.get(f"{server.http_url}/health/live").status_code == 200
    _await(lambda: sockets(server) <= number, "sockets stay open")
    _await(lambda: max(memory(server)[pid] - before[pid] for pid in before) < MOST_LEFT, "memory stays")


@contextmanager
def _stalled(server: ArchiveServer, asked: bytes) -> Iterator[socket.socket]:
    """A reader with little room, when its answer has begun to come; it takes none of it."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", server.http_port))
        connection.sendall(asked)
        assert connection.recv(1, socket.MSG_PEEK) == b"H"
        yield connection


def _await(condition: Callable[[], bool], otherwise: str) -> None:
    begin, pause = time.monotonic(), threading.Event()
    while not condition():
        assert time.monotonic() - begin < BACK_WITHIN, otherwise
        pause.wait(0.1)
