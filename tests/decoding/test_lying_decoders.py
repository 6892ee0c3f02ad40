"""A decoder that has been led astray says what it likes (reliability.md O4): whoever asked it believes no more than
what could have been true, and nothing is kept in memory for a number that it names."""

from __future__ import annotations

import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable

import orjson
import pytest

from archive.decoding import wire
from archive.decoding.nursery import Child, Order
from archive.decoding.pool import Decoders
from archive.dicom.errors import CannotRender
from archive.settings.keeping import DecodingSettings
from test_decoders import J2K, described

FRAME, DESCRIPTION, UID = described(J2K)
SIZE = DESCRIPTION.native_bytes


def head(**said: object) -> bytes:
    return orjson.dumps(said).ljust(wire.HEAD_BYTES)


ANSWERS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no JSON": lambda: b"\xff" * wire.HEAD_BYTES,
    "no object": lambda: b"[]".ljust(wire.HEAD_BYTES),
    "no length": lambda: head(kind="<u2"),
    "a length that is no number": lambda: head(kind="<u2", length="9"),
    "a negative length": lambda: head(kind="<u2", length=-1),
    "a length of 4 GiB": lambda: head(kind="<u2", length=1 << 32),
    "too little": lambda: head(kind="<u2", length=SIZE) + bytes(SIZE - 1),
    "another kind": lambda: head(kind="<u4", length=SIZE) + bytes(SIZE),
    "objects": lambda: head(kind="|O", length=SIZE) + bytes(SIZE),
    "half a frame": lambda: head(kind="<u2", length=SIZE // 2) + bytes(SIZE // 2),
    "no kind": lambda: head(length=SIZE) + bytes(SIZE),
    "a kind that is a list": lambda: head(kind=["<u2"], length=SIZE) + bytes(SIZE),
    "a reason that is none": lambda: head(refused={"a": 1}, length=0),
    "a reason of many lines": lambda: head(refused="a\r\nSet-Cookie: b", length=0),
    "a long reason": lambda: head(refused="a" * 900, length=0),
}
WITHOUT_KIND = ("another kind", "objects", "no kind", "a kind that is a list")
"""Of native frames nothing but their length is asked."""


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("ask", ["values", "native"])
def test_no_answer_is_believed_that_cannot_be(what: str, ask: str) -> None:
    """O4."""
    orders: list[Order] = []
    ours, theirs = socket.socketpair()
    answering = threading.Thread(target=answer, args=(theirs, ANSWERS[what]()))
    answering.start()
    decoders = Decoders(DecodingSettings(seconds=1), lambda: Child(ours, orders.append))
    tracemalloc.start()
    try:
        if ask == "native" and what in WITHOUT_KIND:
            assert decoders.native(FRAME, DESCRIPTION, UID).PhotometricInterpretation == ""
        else:
            with pytest.raises(CannotRender) as refused:
                getattr(decoders, ask)(FRAME, DESCRIPTION, UID)
            assert refused.value.reason.isprintable()
            assert len(refused.value.reason) < 300
            assert orders == [Order.END]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        decoders.close()
        answering.join(10)
    assert peak < 1 << 20


def answer(connection: socket.socket, said: bytes) -> None:
    with connection:
        asked = wire.receive_head(connection)
        wire.receive_value(connection, asked)
        connection.sendall(said)


def test_the_other_way_round_too() -> None:
    """Only the one who has been led astray would send such a head: nobody is to wait for the rest of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.allow(theirs, 0.2)
        ours.sendall(struct.pack("<I", 7))
        with pytest.raises(wire.Gone):
            wire.receive_head(theirs)
