"""What one connection may cost us: trailers, chunk extensions, heads, requests sent ahead."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from archive.web.http.protocol import HEAD_BYTES, MAXIMUM_WAITING
from objects import mr, part10
from web_door import Door, connected

CHUNKED = (
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/dicom\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
FLOOD = 32 << 20


def sent_until_refused(connection: socket.socket, piece: bytes) -> int:
    """How many bytes the server takes before it closes, up to FLOOD."""
    sent = 0
    try:
        while sent < FLOOD:
            connection.sendall(piece)
            sent += len(piece)
    except ConnectionError:
        pass
    return sent


@pytest.mark.parametrize(
    ("begun", "piece"),
    [
        (CHUNKED + b"5\r\nhello\r\n0\r\n", (b"x: " + b"a" * 8000 + b"\r\n") * 8),
        (CHUNKED + b"5\r\nhello\r\n0\r\nx: ", b"a" * 65536),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", b"a" * 65536),
        (CHUNKED + b"5;", b"a" * 65536),
        (CHUNKED + b"5;a=", b'"' + b"a" * 65534 + b'"'),
        (b"GET /health/live HTTP/1.1\r\nx: ", b"a" * 65536),
        (b"GET /health/live HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
        (b"GET /", b"a" * 65536),
        (b"", b"\r\n" * 32768),
    ],
    ids=["trailers", "trailer", "name", "extension", "quoted", "header", "headers", "target", "empty lines"],
)
def test_what_is_no_content_has_a_size(door: Door, begun: bytes, piece: bytes) -> None:
    with connected(door) as connection:
        connection.sendall(begun)
        assert sent_until_refused(connection, piece) < FLOOD
    assert door.client.get("/health/live").status_code == 200


def test_heads_within_one_read_have_a_size_too(door: Door) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * (2 * HEAD_BYTES // 6) + b"\r\n"
    with connected(door) as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 431 ")


def test_small_trailers_and_extensions_are_skipped(empty_door: Door) -> None:
    file = part10(mr())
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in (file[:500], file[500:]))
    with connected(empty_door) as connection:
        for _ in range(2):  # the connection goes on
            connection.sendall(CHUNKED + chunks + b"0\r\nX-Checksum: 1\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_trailer_is_no_header(open_door: Callable[..., Door]) -> None:
    """RFC 9110 6.5.1: behind a proxy it would say where the public sees us."""
    door = open_door(http__behind_proxy=True, sign_in__required="never")
    file = part10(mr())
    body = b"%x\r\n%b\r\n0\r\nX-Forwarded-Host: evil.example\r\n\r\n" % (len(file), file)
    with connected(door) as connection:
        connection.sendall(CHUNKED + body)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"evil.example" not in answer


def test_only_a_few_requests_wait_for_their_turn(door: Door) -> None:
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(door) as connection:
        connection.sendall(request * MAXIMUM_WAITING)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < MAXIMUM_WAITING:
            answers += connection.recv(65536)
    with connected(door) as connection:
        assert sent_until_refused(connection, request * 1000) < FLOOD
    assert door.client.get("/health/live").status_code == 200


def test_nothing_is_written_into_an_answer(empty_door: Door) -> None:
    """Who breaks HTTP while an answer goes out must not find our complaint among the bytes of an object."""
    large = part10(mr(PixelData=b"\0" * (24 << 20), Rows=4096, Columns=3072))
    stored = empty_door.client.post(
        "/dicom-web/studies", content=large, headers={"Content-Type": "application/dicom"}
    )
    path = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0].removeprefix(empty_door.url)
    accept = "Accept: application/dicom; transfer-syntax=*"
    with connected(empty_door) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n\r\n".encode())
        answer = connection.recv(1 << 20)
        assert answer.startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\0 this is not HTTP\r\n\r\n")
        while more := _received(connection):
            answer += more
    assert b"no HTTP request" not in answer
    assert b"HTTP/1.1 400 " not in answer


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionError:
        return b""
