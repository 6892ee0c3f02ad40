"""Connections that bring orders: several messages, odd pieces, slow and hostile senders."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import CannotUnderstand, ObjectTooLarge
from archive.hl7.framing import Frames, framed
from archive.hl7.server import may_send
from archive.settings.doors import HL7Settings
from hl7_door import Door, acknowledged, orc, order, received, sent

OpenDoor = Callable[..., Door]
SECONDS = 20


def other_order(number: int) -> str:
    """An order of its own."""
    return order(control_id=f"M{number}").replace("F1", f"F{number}").replace("SPS1", f"SPS{number}")


def ended(connection: object) -> bool:
    """Whether the other side closes within some time."""
    return received(connection) == b""  # type: ignore[arg-type]


def test_many_messages_over_one_connection(door: Door) -> None:
    with door.connect() as connection:
        for number in range(10):
            assert sent(connection, other_order(number)) == ("AA", f"M{number}", "")
        assert sent(connection, order(orc("ZZ"), control_id="BAD"))[0] == "AE"
        assert sent(connection, other_order(11))[0] == "AA"
    assert len(door.entries()) == 11


def test_messages_that_come_together_are_answered_in_their_order(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(b"".join(framed(other_order(number).encode()) for number in range(5)))
        answers = b""
        while answers.count(b"\x1c\r") < 5:
            answers += connection.recv(65536)
    said = [acknowledged(part + b"\x1c\r")[1] for part in answers.split(b"\x1c\r")[:-1]]
    assert said == [f"M{number}" for number in range(5)]


def test_a_message_byte_by_byte(door: Door) -> None:
    with door.connect() as connection:
        for byte in framed(order().encode()):
            connection.sendall(bytes([byte]))
        assert acknowledged(received(connection))[0] == "AA"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_segments_that_end_otherwise(door: Door, ends: str) -> None:
    assert door.send(order().replace("\r", ends))[0] == "AA"


def test_bytes_that_are_no_mllp(door: Door) -> None:
    with door.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        code, _, text = acknowledged(received(connection))
        assert (code, "MLLP" in text) == ("AE", True)
        assert ended(connection)


@pytest.mark.parametrize("between", [b"\x0b", b"\x1c\x0b", b"\x1c", b"\x1c\n\x0b"])
def test_a_message_whose_end_was_lost_is_not_one_with_the_next(door: Door, between: bytes) -> None:
    """The orders of the second would be those of the first one's patient."""
    other = other_order(2).replace("4711", "4812").encode()
    with door.connect() as connection:
        connection.sendall(b"\x0b" + order().encode() + between + other + b"\x1c\r")
        assert acknowledged(received(connection))[0] == "AE"
        assert ended(connection)
    assert door.entries() == []


def test_a_message_without_end_is_cut_off(open_door: OpenDoor) -> None:
    door = open_door(hl7__maximum_message_bytes=2000)
    with door.connect() as connection:
        connection.sendall(b"\x0b" + order().encode() + b"NTE|" + b"x" * 4000)
        assert acknowledged(received(connection))[0] == "AE"
        assert ended(connection)
    assert door.send(order())[0] == "AA"


def test_slow_senders_lose_their_connection(open_door: OpenDoor) -> None:
    """Neither silence within a message nor a byte now and then keeps a connection for ever."""
    door = open_door(hl7__message_deadline=1)
    with door.connect() as silent, door.connect() as dripping:
        silent.sendall(b"\x0bMSH|")
        dripping.sendall(b"\x0b")
        until = time.monotonic() + SECONDS
        try:
            while time.monotonic() < until:
                dripping.sendall(b"M")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() < until
        assert ended(silent)
    assert door.send(order())[0] == "AA"


def test_idle_connections_end(open_door: OpenDoor) -> None:
    with open_door(hl7__idle_deadline=1).connect() as connection:
        assert ended(connection)


def test_more_connections_than_there_may_be(open_door: OpenDoor) -> None:
    door = open_door(hl7__maximum_connections=2)
    with door.connect() as one, door.connect() as other:
        assert sent(one, order())[0] == "AA"
        assert sent(other, order())[0] == "AA"
        with door.connect() as third:
            assert ended(third)
        assert sent(one, order())[0] == "AA"
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            assert door.send(order())[0] == "AA"
            break
        except (AssertionError, OSError):
            time.sleep(0.05)
    else:
        pytest.fail("a place that was left is not free")


def test_a_machine_without_threads_left(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender tries again; the door stays open."""

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with door.connect() as refused:
            assert ended(refused)
    assert door.worker.is_alive()
    assert door.send(order())[0] == "AA"


def test_who_may_send() -> None:
    """Out of the box only this machine is trusted."""
    named = HL7Settings(senders=("10.0.0.0/8", "2001:db8::1"))
    assert may_send("127.0.0.1", HL7Settings())
    assert may_send("::1", HL7Settings())
    assert not may_send("10.1.2.3", HL7Settings())
    assert may_send("10.1.2.3", named)
    assert may_send("2001:db8::1", named)
    assert not may_send("11.1.2.3", named)
    assert not may_send("nowhere", named)


def test_the_end_of_the_archive(door: Door) -> None:
    """Silent senders do not hold it up; what was not acknowledged is sent again."""
    with door.connect() as connection, door.connect() as within:
        assert sent(connection, order())[0] == "AA"
        within.sendall(b"\x0bMSH|")
        door.stop.set()
        door.worker.join(SECONDS)
        assert not door.worker.is_alive()
        assert ended(connection)
        assert ended(within)


MESSAGES = st.lists(
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\x1c", b"").replace(b"\x0b", b"")), max_size=5
)


@given(MESSAGES, st.integers(1, 40))
def test_frames_in_any_pieces(messages: list[bytes], length: int) -> None:
    stream = b"\r\n".join(framed(one) for one in messages)
    frames = Frames(1000)
    found = [one for at in range(0, len(stream), length) for one in frames.feed(stream[at : at + length])]
    assert found == messages
    assert not frames.within


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_whatever_comes_is_bounded(pieces: list[bytes]) -> None:
    frames = Frames(100)
    with contextlib.suppress(CannotUnderstand, ObjectTooLarge):
        for piece in pieces:
            for message in frames.feed(piece):
                assert len(message) <= 160
