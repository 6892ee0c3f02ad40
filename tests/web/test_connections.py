"""Connections that are slow, stalled, cut or clever (H1), and answers that break off."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from objects import LargeObject, mr, part10, series
from web_door import Door, connected, running, settings_for

ALONE = {"Content-Type": "application/dicom"}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A door with a deadline of one second, and its large object's URL."""
    with running(settings_for(tmp_path_factory.mktemp("archive"), http__idle_deadline=1)) as door:
        yield door


def closed(connection: socket.socket) -> bool:
    """Whether the server closes it, sooner or later."""
    with contextlib.suppress(ConnectionError):
        _read_to_the_end(connection)
    return True


def _read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(1 << 20):
        pass


@pytest.mark.parametrize(
    "said", [b"", b"GET /health", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: "]
)
def test_a_head_that_does_not_come_is_not_waited_for(impatient: Door, said: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(said)
        assert closed(connection)


def test_a_reader_who_takes_nothing_is_cut_off(impatient: Door) -> None:
    large = LargeObject(pixel_bytes=60 << 20)
    stored = impatient.client.post("/dicom-web/studies", content=b"".join(large.pieces()), headers=ALONE)
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    before = _answered(impatient)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", impatient.port))
        path = url.removeprefix(impatient.url)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while _answered(impatient) == before:
            pass  # counted once the server has given up
        with pytest.raises(ConnectionError):
            _read_to_the_end(connection)


def _answered(door: Door) -> list[str]:
    """The counter of answers with an instance, which all doors of this process share."""
    route = 'route="/dicom-web/studies/{study}/series/{series}/instances/{instance}",status="200"'
    return [line for line in door.client.get("/metrics").text.splitlines() if route in line]


@pytest.mark.parametrize("cut", [0, 2, 60, 200])
def test_an_offer_to_upgrade_is_ignored_and_the_body_kept(empty_door: Door, cut: int) -> None:
    """Java's HTTP client offers h2c with its first request (pain 21), and a head may come in several segments."""
    file = part10(mr())
    head = (
        "POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
        f"Content-Length: {len(file)}\r\n"
    )
    upgrade = (
        "Connection: Upgrade, HTTP2-Settings\r\nUPGRADE: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    )
    with connected(empty_door) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for offered in (upgrade, "", upgrade):
            request = f"{head}{offered}\r\n".encode() + file
            connection.sendall(request[:cut])
            empty_door.client.get("/health/live")  # the loop has seen the first segment
            connection.sendall(request[cut:])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_what_is_gone_is_never_passed_over_in_silence(empty_door: Door) -> None:
    """Bit rot, 4.3. What is noticed only when the answer has begun: `test_damaged_instances`."""
    first, second = series(mr, 2)
    assert empty_door.store(part10(first)).status_code == 200
    kept = set(_blobs(empty_door))
    assert empty_door.store(part10(second)).status_code == 200
    [lost] = set(_blobs(empty_door)) - kept
    lost.unlink()
    study = f"/dicom-web/studies/{first.StudyInstanceUID}"
    answer = empty_door.client.get(study)
    assert answer.status_code == 206
    assert second.SOPInstanceUID in answer.headers["warning"]
    series_path = f"{study}/series/{first.SeriesInstanceUID}"
    for data_set, status in ((first, 200), (second, 404)):
        path = f"{series_path}/instances/{data_set.SOPInstanceUID}"
        assert empty_door.client.get(path).status_code == status


def _blobs(door: Door) -> list[Path]:
    return [path for path in (door.archive.settings.data / "objects").rglob("*") if path.is_file()]


def test_stopping_waits_for_a_running_request(open_door: Callable[..., Door], tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "other")) as door:
        file = part10(mr())
        connection = connected(door)
        connection.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
            + f"Content-Length: {len(file)}\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        door.stop.set()
        connection.sendall(file)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.close()


def test_workers_share_their_metrics(tmp_path: Path) -> None:
    """In a process of its own, as prometheus-client decides on import."""
    count = "from archive.web.http import metrics; metrics.OBJECTS.labels('stored').inc(); "
    show = "print(metrics.exposition().body.decode())"
    for code in (count, count + show):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert 'archive_stow_objects_total{outcome="stored"} 2.0' in done.stdout


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_http_1_0_gets_no_chunks(door: Door, coding: str) -> None:
    """RFC 9112 6.1. An answer without a known length ends with the connection, the others say theirs."""
    data_sets = series(mr, 40)
    assert door.store(*map(part10, data_sets)).status_code == 200
    study = f"/dicom-web/studies/{data_sets[0].StudyInstanceUID}"
    for path in (
        f"{study}/metadata",
        "/health/live",
        f"{study}/instances?limit=1",
        "/dicom-web/studies/1.2.3",
    ):
        said = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{door.port}\r\nAccept-Encoding: {coding}\r\n\r\n"
        with connected(door) as connection:
            connection.sendall(said.encode())
            answer = b"".join(iter(partial(connection.recv, 1 << 20), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
        assert "transfer-encoding" not in headers
        assert headers["connection"] == "close"
        assert headers.get("content-length", str(len(body))) == str(len(body))
        plain = door.client.get(path)
        assert (gzip.decompress(body) if "content-encoding" in headers else body) == plain.content


def test_a_sender_with_nagle_on_does_not_wait_for_an_acknowledgement(door: Door) -> None:
    """Head and body apart: the body leaves when the head is acknowledged, late after 40 ms. The fastest counts, as
    others may use the machine."""
    body = b"no object"
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n"
        f"Content-Type: application/dicom\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    seconds = []
    with connected(door) as connection:
        for _ in range(20):
            begin = time.perf_counter()
            connection.sendall(head.encode())
            connection.sendall(body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 4")
            seconds.append(time.perf_counter() - begin)
    assert min(seconds[10:]) < 0.03, seconds


def test_the_head_of_an_answer_comes_with_its_body(door: Door) -> None:
    """In one packet, also of an answer that has no more than a head."""
    for method, path, last in (
        ("GET", "/health/live", b"alive\n"),
        ("HEAD", "/health/live", b"\r\n\r\n"),
        ("GET", "/dicom-web/studies?PatientID=nobody", b"\r\n\r\n"),
        ("GET", "/dicom-web/nothing", b"/studies\n"),
    ):
        with connected(door) as connection:
            for _ in range(5):
                connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 ")
                assert answer.endswith(last)
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 3)
            pipelined = b""
            while pipelined.count(b"HTTP/1.1 ") < 3 or not pipelined.endswith(last):
                pipelined += connection.recv(65536)
