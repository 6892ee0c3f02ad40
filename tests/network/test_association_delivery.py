"""Properties: the same bytes give the same messages however the network cuts them, and garbage only ever aborts."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_primitives import C_CANCEL

from archive.dicom.errors import AssociationAborted
from archive.network import pdu, streams
from archive.network.association import Agreement, Association, Context, Limits
from archive.network.caller import Caller
from archive.network.commands import decode_command, encode_command
from archive.network.negotiation import decode_accept, decode_request
from archive.network.transport import Deadlines, Wire
from association_peers import (
    EXPLICIT,
    IMPLICIT,
    MR_IMAGE_STORAGE,
    VERIFICATION,
    associate_request,
    p_data_pdus,
    store_request,
)

CONTEXTS = {
    1: Context(1, VERIFICATION, IMPLICIT, as_scu=False, as_scp=True),
    3: Context(3, MR_IMAGE_STORAGE, EXPLICIT, as_scu=False, as_scp=True),
}
LIMITS = Limits(maximum_pdu_length=4096, maximum_object_bytes=50_000)
Received = list[tuple[str, bytes]]

_READY = os.open(os.devnull, os.O_RDWR)
"""Can always be read and written."""


class Delivery:
    """A connection whose reads return what the test decides: the network is not ours, so it may be played."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.sent = bytearray()

    def recv_into(self, view: memoryview, *_: int) -> int:
        if not self.pieces:
            return 0
        piece = self.pieces[0][: len(view)]
        view[: len(piece)] = piece
        self.pieces[0] = self.pieces[0][len(piece) :]
        if not self.pieces[0]:
            del self.pieces[0]
        return len(piece)

    def sendmsg(self, buffers: list[bytes | memoryview], *_: Any) -> int:
        sent = b"".join(buffers)
        self.sent += sent
        return len(sent)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def fileno(self) -> int:
        return _READY

    def settimeout(self, seconds: float | None) -> None: ...
    def setsockopt(self, *_: Any) -> None: ...
    def shutdown(self, how: int) -> None: ...
    def close(self) -> None: ...


def association(connection: Any, limits: Limits = LIMITS) -> Association:
    caller = Caller("TEST", "ARCHIVE", "127.0.0.1")
    return Association(Wire(connection, Deadlines()), caller, Agreement(CONTEXTS, 4096), limits)


def messages_of(connection: Any) -> tuple[Received, str]:
    """What a consumer that reads everything receives, and how the association ended."""
    received: Received = []
    talk = association(connection)
    try:
        while (message := talk.receive()) is not None:
            received.append((message.command.AffectedSOPInstanceUID, b"".join(message.data or ())))
    except AssociationAborted as aborted:
        return received, aborted.reason
    return received, "released"


def stream(objects: list[bytes], maximum: int) -> bytes:
    """C-STORE-RQs for these data sets, then A-RELEASE-RQ."""
    parts = []
    for number, data in enumerate(objects):
        command = encode_command(store_request(number, f"1.2.{number}"), has_data_set=True)
        parts += [p_data_pdus(3, pdu.COMMAND, command, maximum), p_data_pdus(3, 0, data, maximum)]
    return b"".join([*parts, pdu.RELEASE_RQ])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


objects = st.lists(st.binary(max_size=300) | st.integers(0, 20_000).map(bytes), max_size=4)


@given(objects, st.integers(20, 4096), st.lists(st.integers(0, 100_000), max_size=30))
def test_any_chunking_gives_the_same_messages(data: list[bytes], maximum: int, places: list[int]) -> None:
    whole = stream(data, maximum)
    expected = [(f"1.2.{number}", each) for number, each in enumerate(data)]
    assert messages_of(Delivery(cut(whole, places))) == (expected, "released")


@given(st.lists(st.binary(max_size=100), max_size=3), st.integers(20, 200))
@settings(max_examples=30)
def test_one_byte_at_a_time_gives_the_same_messages(data: list[bytes], maximum: int) -> None:
    whole = stream(data, maximum)
    expected = [(f"1.2.{number}", each) for number, each in enumerate(data)]
    assert messages_of(Delivery([bytes([byte]) for byte in whole])) == (expected, "released")


@given(objects, st.data())
def test_a_cut_anywhere_delivers_whole_messages_only(data: list[bytes], draw: st.DataObject) -> None:
    whole = stream(data, 1000)
    end = draw.draw(st.integers(0, len(whole) - 1))
    received, outcome = messages_of(Delivery([whole[:end]]))
    assert outcome != "released"
    assert received == [(f"1.2.{number}", each) for number, each in enumerate(data)][: len(received)]


@given(st.binary(max_size=2000))
def test_garbage_only_ever_aborts(garbage: bytes) -> None:
    received, outcome = messages_of(Delivery([garbage]))
    assert received == []
    assert outcome


@given(objects, st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_messages_never_escape_as_another_exception(
    data: list[bytes], damages: list[tuple[int, int]]
) -> None:
    damaged = bytearray(stream(data, 2000))
    for place, value in damages:
        damaged[place % len(damaged)] = value
    messages_of(Delivery([bytes(damaged)]))


@given(st.lists(st.tuples(st.integers(6, 100_000), st.integers(0, 255)), max_size=8), st.integers(0, 100_000))
def test_damaged_requests_never_escape_as_another_exception(damages: list[tuple[int, int]], end: int) -> None:
    damaged = bytearray(associate_request())
    for place, value in damages:
        damaged[place % len(damaged)] = value
    body = memoryview(damaged)[6 : 6 + end]
    for decode in (decode_request, decode_accept):
        with contextlib.suppress(AssociationAborted):
            decode(body)


@given(st.binary(max_size=300))
def test_no_command_set_escapes_as_another_exception(encoded: bytes) -> None:
    with contextlib.suppress(AssociationAborted):
        decode_command(encoded)


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(7, 100), st.sampled_from([0, pdu.COMMAND]))
def test_p_data_is_filled_and_comes_apart_again(pieces: list[bytes], maximum: int, kind: int) -> None:
    pdus = [b"".join(buffers) for buffers in pdu.p_data(5, kind, pieces, maximum)]
    found = [fragment for each in pdus for fragment in pdu.fragments(memoryview(each)[6:])]
    assert b"".join(part for _, _, part in found) == b"".join(pieces)
    assert [control for _, control, _ in found] == [kind] * (len(found) - 1) + [kind | pdu.LAST]
    assert {len(each) for each in pdus[:-1]} <= {maximum + 6}
    assert len(pdus[-1]) <= maximum + 6


def cancel(message_id: int) -> bytes:
    primitive = C_CANCEL()
    primitive.MessageIDBeingRespondedTo = message_id
    return p_data_pdus(3, pdu.COMMAND, encode_command(primitive, has_data_set=False))


@contextlib.contextmanager
def connected() -> Iterator[tuple[Association, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield association(ours), theirs


def test_cancel_is_found_behind_nothing_and_before_the_next_message() -> None:
    with connected() as (talk, peer):
        assert not talk.cancelled(7)
        peer.sendall(cancel(6) + cancel(7)[:20])
        assert talk.cancelled(6)
        assert not talk.cancelled(7)
        peer.sendall(cancel(7)[20:] + stream([b"next"], 1000))
        assert talk.cancelled(7)
        assert not talk.cancelled(8)
        message = talk.receive()
        assert message is not None
        assert not talk.cancelled(0)
        assert list(message.data or ()) == [b"next"]
        assert talk.receive() is None


def test_cancel_is_not_lost_when_receive_meets_it_and_ends_with_a_new_request() -> None:
    with connected() as (talk, peer):
        peer.sendall(cancel(9) + cancel(0) + stream([b"next"], 1000))
        message = talk.receive()
        assert message is not None
        assert (message.command.MessageID, talk.cancelled(9), talk.cancelled(0)) == (0, True, False)


def test_a_peer_that_goes_while_we_look_for_cancel_is_noticed() -> None:
    outcomes: queue.Queue[str] = queue.Queue()
    for farewell in (b"", pdu.abort_pdu(), b"\x99\0\0\0\0\0"):
        with connected() as (talk, peer):
            peer.sendall(farewell)
            peer.shutdown(socket.SHUT_WR)
            try:
                while not talk.cancelled(1):
                    pass
            except AssociationAborted as aborted:
                outcomes.put(aborted.reason)
            assert talk.ended
    assert outcomes.qsize() == 3


def test_what_is_passed_on_is_what_would_be_read() -> None:
    """In pieces that are not copied: each is looked at while it is handed over, or never."""
    objects = [bytes(range(256)) * 100, b"", b"x"]
    with connected() as (talk, peer):
        peer.sendall(stream(objects, 3000))
        for expected in objects:
            message = talk.receive()
            assert message is not None
            kept: list[bytes] = []
            talk.pass_on(message, lambda piece, kept=kept: kept.append(bytes(piece)))  # type: ignore[misc]
            assert b"".join(kept) == expected
            assert list(message.data or ()) == []
        assert talk.receive() is None


def test_who_fails_at_a_piece_leaves_the_association_as_it_is() -> None:
    def refuse(_: memoryview) -> None:
        raise KeyError

    with connected() as (talk, peer):
        peer.sendall(stream([bytes(9000), b"next"], 1000))
        first = talk.receive()
        assert first is not None
        with pytest.raises(KeyError):
            talk.pass_on(first, refuse)
        second = talk.receive()
        assert second is not None
        talk.pass_on(first, refuse)  # nothing of a message that is over
        assert list(second.data or ()) == [b"next"]


def test_a_long_wait_ends_neither_early_nor_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the system gives up again and again on the way."""
    monkeypatch.setattr(streams, "_TURN", 0.02)
    monkeypatch.setattr(streams, "_READ_TIMEOUT", struct.pack("ll", 0, 20_000))
    ours, theirs = socket.socketpair()
    room = memoryview(bytearray(10))
    with ours, theirs:
        stream_of = streams.Plain(ours)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            stream_of.receive(room, 0.11)
        assert 0.1 < time.monotonic() - begun < 5
        later = threading.Timer(0.1, theirs.sendall, (b"late",))
        later.start()
        assert stream_of.receive(room, 30) == 4
        with pytest.raises(BlockingIOError):
            stream_of.receive(room, 0)
        threading.Timer(0.1, stream_of.cut).start()
        assert stream_of.receive(room, 30) == 0


def test_who_takes_nothing_is_waited_for_so_long() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sending = streams.Plain(ours)
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            sending.send([bytes(1 << 22)], 0.1)
        assert 0.09 < time.monotonic() - begun < 5
        whole = [bytes([number]) * 999 for number in range(200)] * 20
        rest = threading.Thread(target=sending.send, args=(whole, 10))
        theirs.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while theirs.recv(1 << 20):
                pass
        rest.start()
        theirs.settimeout(10)
        taken = b""
        while len(taken) < 999 * 4000:
            taken += theirs.recv(1 << 16)
        rest.join(10)
        assert taken == b"".join(whole)
