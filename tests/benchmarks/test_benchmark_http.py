"""The HTTP client counts what comes, however it comes, and keeps the connection."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.loads.http import Body, BrokenOff, Connection

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: 1\r\n\r\n"
LENGTH = b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\nX-Name:  a b \r\n\r\nhello!"
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!"


def request(connection: socket.socket) -> bytes:
    """A whole request: what is left unread would reset the connection when it is closed."""
    held, end = b"", 0
    while (not end or len(held) < end) and (piece := connection.recv(65536)):
        held += piece
        if b"\r\n\r\n" in held:
            length = re.search(rb"Content-Length: (\d+)\r\n", held)
            end = held.index(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    return held


@contextmanager
def answering(*connections: list[bytes], piece: int = 65536) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives each connection its answers, one for each request, in pieces; and what it was asked."""
    asked: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for answers in connections:
            with listener.accept()[0] as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for answer in answers:
                    asked.append(request(connection))
                    for start in range(0, len(answer), piece):
                        connection.sendall(answer[start : start + piece])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("piece", [1, 7, 65536])
@pytest.mark.parametrize("answer", [CHUNKED, LENGTH, CLOSED])
def test_an_answer_is_read_in_any_framing_and_any_pieces(answer: bytes, piece: int) -> None:
    with answering([answer], piece=piece) as (port, _), Connection("127.0.0.1", port) as connection:
        found = connection.get("/", keep=True)
    assert found.length == 6
    assert found.body == b"hello!"
    assert found.status == (404 if answer is LENGTH else 200)


def test_the_connection_is_kept(tmp_path: Path) -> None:
    with answering([LENGTH, CHUNKED, LENGTH]) as (port, asked), Connection("127.0.0.1", port) as connection:
        found = [connection.get(f"/{number}", "image/png", Accept_Encoding="gzip") for number in range(3)]
    assert [each.status for each in found] == [404, 200, 404]
    assert found[0].headers["x-name"] == "a b"
    assert asked[2].startswith(b"GET /2 HTTP/1.1\r\n")
    assert b"\r\nAccept: image/png\r\nAccept-Encoding: gzip\r\n" in asked[2]
    assert found[0].body == b""


def test_a_connection_that_the_server_has_closed_is_made_anew() -> None:
    with answering([LENGTH], [CHUNKED]) as (port, _), Connection("127.0.0.1", port) as connection:
        assert [connection.get("/").status for _ in range(2)] == [404, 200]


def test_a_body_is_sent_with_its_file_in_the_middle(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"middle")
    with answering([LENGTH]) as (port, asked), Connection("127.0.0.1", port) as connection:
        connection.request("POST", "/", {"A": "b"}, Body(b"before", file, b"after"))
        assert asked[0].startswith(b"POST / HTTP/1.1\r\n")
        assert asked[0].endswith(b"\r\nContent-Length: 17\r\n\r\nbeforemiddleafter")


def test_an_answer_that_ends_within_its_length_is_a_fault() -> None:
    with (
        answering([LENGTH[:-1]]) as (port, _),
        Connection("127.0.0.1", port) as connection,
        pytest.raises(BrokenOff),
    ):
        connection.get("/")


def test_what_is_no_http_is_a_fault() -> None:
    with (
        answering([b"SSH-2.0\r\n\r\n"]) as (port, _),
        Connection("127.0.0.1", port) as connection,
        pytest.raises(BrokenOff),
    ):
        connection.get("/")


def test_a_stock_client_has_nagle_on_and_writes_head_and_body_apart() -> None:
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as listener, ours, theirs:
        connection = Connection("127.0.0.1", listener.getsockname()[1], stock=True)
        assert not connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection._socket.close()
        connection._socket = Recorded(ours)  # type: ignore[assignment]
        theirs.sendall(LENGTH)
        assert connection.request("POST", "/", {}, Body(b"x" * 10)).status == 404
        head, body = connection._socket.sent  # type: ignore[attr-defined]
    assert head.endswith(b"Content-Length: 10\r\n\r\n")
    assert body == b"x" * 10


class Recorded:
    """A socket that remembers each piece that it was given to send."""

    def __init__(self, inner: socket.socket) -> None:
        self.sent: list[bytes] = []
        self.recv_into = inner.recv_into

    def sendall(self, piece: bytes) -> None:
        self.sent.append(piece)
