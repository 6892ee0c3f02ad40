"""What is said between a process that has frames and one that decodes them, over a Unix socket: a head of fixed length,
which is JSON and says how long the value behind it is.

JSON and no pickle: whoever has led a decoder astray speaks in its name.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Mapping
from typing import Any

import orjson

HEAD_BYTES = 1024
_WAIT = struct.Struct("ll")


class Gone(Exception):
    """The other side has ended, is silent for too long, or says what nobody says here."""


def allow(connection: socket.socket, seconds: float) -> None:
    """So long may each message take, either way. By the kernel's own clock: a socket with a timeout of Python's would
    be woken for each piece."""
    wait = _WAIT.pack(int(seconds), int(seconds % 1 * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)


def answers_within(connection: socket.socket, seconds: float) -> bool:
    """Whether something comes, or the end, in so many seconds."""
    coming = select.poll()
    coming.register(connection, select.POLLIN)
    return bool(coming.poll(seconds * 1000))


def send(connection: socket.socket, head: Mapping[str, Any], value: bytes | memoryview = b"") -> None:
    """Raises Gone."""
    text = orjson.dumps({**head, "length": len(value)}).ljust(HEAD_BYTES)
    if len(text) > HEAD_BYTES:
        raise ValueError("the head is too long")
    parts = [memoryview(text), memoryview(value)]
    try:
        while parts:
            sent = connection.sendmsg(parts)
            while parts and sent >= len(parts[0]):
                sent -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][sent:]
    except OSError as error:
        raise Gone from error


def receive_head(connection: socket.socket) -> dict[str, Any]:
    """Raises Gone."""
    try:
        head = orjson.loads(_exactly(connection, HEAD_BYTES))
    except ValueError as error:
        raise Gone from error
    if not isinstance(head, dict) or not isinstance(head.get("length"), int):
        raise Gone
    return head


def receive_value(connection: socket.socket, head: Mapping[str, Any]) -> bytes:
    """The value behind a head; look at its length before. Raises Gone."""
    length: int = head["length"]
    return _exactly(connection, length) if length else b""


def _exactly(connection: socket.socket, length: int) -> bytes:
    try:
        taken = connection.recv(length, socket.MSG_WAITALL)
    except OSError as error:
        raise Gone from error
    if len(taken) < length:
        raise Gone
    return taken
