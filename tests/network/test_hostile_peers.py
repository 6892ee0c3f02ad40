"""What a peer may do to the port without harm: D1 to D7 of the reliability requirements.

Each ends with an ordinary association, as "the server goes on" is half of every requirement.
"""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc

import pytest
from pynetdicom.dimse_primitives import C_ECHO

from archive.network import pdu
from archive.network.association import Association, Limits
from archive.network.caller import Caller
from archive.network.commands import encode_command, request_of, response_to
from archive.network.transport import Deadlines
from association_peers import (
    PATIENCE,
    VERIFICATION,
    Guest,
    Policy,
    RawPeer,
    associate_request,
    p_data_pdus,
)
from hostile import ABORTED, INVALID, STORE_COMMAND, UNEXPECTED, UNRECOGNIZED, Serving, stores_one, unfinished


@pytest.mark.usefixtures("many_files")
def test_d1_silent_connections_are_closed_and_hold_nobody_up(serving: Serving) -> None:
    server = serving(
        deadlines=Deadlines(association=1.0, linger=0.1), maximum_associations=1, maximum_waiting=1000
    )
    silent = [server.connect() for _ in range(500)]
    assert stores_one(server)
    for peer in silent:
        peer.wait_for_close()
        peer.close()
    assert server.policy.seen == [("TEST", "ARCHIVE", "127.0.0.1")]


def test_d1_over_the_cap_the_oldest_silent_connection_of_that_address_goes(serving: Serving) -> None:
    server = serving(deadlines=Deadlines(association=60.0), maximum_waiting=3)
    bystander = server.connect("127.0.0.2")
    silent = [server.connect() for _ in range(5)]
    for peer in silent[:2]:
        peer.wait_for_close()
        peer.close()
    for peer in [bystander, *silent[2:]]:
        peer.associate()
        peer.close()


def test_threads_that_wait_for_the_policy_do_not_pile_up(serving: Serving) -> None:
    """Closing the oldest connection ends no thread that waits for the index or a name server: beyond that many of one
    address the next connection is closed at once, and the other addresses are served."""
    answered, entered = threading.Event(), threading.Semaphore(0)

    class Slow(Policy):
        def admit(self, caller: Caller) -> Guest:
            entered.release()
            assert caller.address != "127.0.0.1" or answered.wait(PATIENCE)
            return super().admit(caller)

    server = serving(policy=Slow(), maximum_associations=2, maximum_waiting=3)
    peers = []
    try:
        for _ in range(2 + 2 * 3):
            peers.append(server.connect())
            peers[-1].send(associate_request())
            assert entered.acquire(timeout=PATIENCE)
        with server.connect() as one_too_many:
            with contextlib.suppress(OSError):
                one_too_many.send(associate_request())
            one_too_many.wait_for_close()
        assert not entered.acquire(blocking=False)
        assert stores_one(server, "127.0.0.2")
    finally:
        answered.set()
    for peer in peers:
        peer.close()
    _await_leaving()
    assert stores_one(server)


def _await_leaving() -> None:
    """Until those that were let in late, and are gone, have left their seats."""
    deadline = time.monotonic() + PATIENCE
    while any(thread.name == "association" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_threads_the_oldest_silent_connection_goes(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next real caller finds room then, and the accept loop goes on."""
    server = serving(deadlines=Deadlines(association=60.0))
    silent = server.connect()
    policy, attempts = server.policy, []
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        attempts.append(thread.name)
        if thread.name == "association" and len(attempts) == 1:
            raise RuntimeError("can't start new thread")
        real(thread)

    with server.connect("127.0.0.2") as known:
        known.associate()  # so the silent one is there by now
    monkeypatch.setattr(threading.Thread, "start", start)
    for peer in (server.connect("127.0.0.2"), silent):
        peer.wait_for_close()
        peer.close()
    assert stores_one(server)
    assert len(policy.seen) == 2


@pytest.mark.parametrize("sent", [0, 1, 5, 6, 7, 100])
def test_d2_the_deadline_of_a_pdu_does_not_move(serving: Serving, sent: int) -> None:
    server = serving(deadlines=Deadlines(pdu=0.3, idle=0.3, linger=0.1))
    with server.connect() as peer:
        peer.associate()
        whole = p_data_pdus(3, pdu.COMMAND, bytes(200))
        peer.send(whole[:sent])
        stop = threading.Event()
        drip = threading.Thread(target=drip_bytes, args=(peer, whole[sent:], stop))
        drip.start()
        assert peer.receive() == ABORTED[pdu.AbortReason.NOT_SPECIFIED]
        stop.set()
        drip.join(PATIENCE)
    assert stores_one(server)


def test_a_peer_does_not_pay_for_our_slowness(serving: Serving) -> None:
    """Half of its next PDU came along with the last one, and we took longer than a PDU may take."""
    read, resumed = threading.Event(), threading.Event()

    def slow(association: Association) -> None:
        while (message := association.receive()) is not None:
            read.set()
            assert resumed.wait(PATIENCE)
            association.send(message.context.id, response_to(message.command, 0))

    server = serving(slow, deadlines=Deadlines(pdu=0.3, idle=PATIENCE))
    echo = p_data_pdus(1, pdu.COMMAND, encode_command(echo_request(), has_data_set=False))
    with server.connect() as peer:
        peer.associate()
        peer.send(echo + echo[:20])
        assert read.wait(PATIENCE)
        peer.send(echo[20:])
        time.sleep(0.6)  # the slowness itself, not a wait for something
        resumed.set()
        assert [peer.receive()[0], peer.receive()[0]] == [pdu.P_DATA_TF] * 2


def echo_request() -> C_ECHO:
    return request_of(C_ECHO, MessageID=1, AffectedSOPClassUID=VERIFICATION)


def drip_bytes(peer: RawPeer, rest: bytes, stop: threading.Event) -> None:
    """A byte every 50 ms: the pace is the attack, not a wait for something."""
    for byte in rest:
        if stop.wait(0.05):
            return
        try:
            peer.send(bytes([byte]))
        except OSError:
            return


def test_d2_the_request_itself_has_a_deadline(serving: Serving) -> None:
    server = serving(deadlines=Deadlines(association=0.3, linger=0.1))
    with server.connect() as peer:
        stop = threading.Event()
        drip = threading.Thread(target=drip_bytes, args=(peer, associate_request(), stop))
        drip.start()
        peer.wait_for_close()
        stop.set()
        drip.join(PATIENCE)
    assert stores_one(server)


@pytest.mark.parametrize("length", [0xFFFFFFF0, (1 << 20) + 1])
@pytest.mark.parametrize("pdu_type", [1, 2, 3, 4, 5, 6, 7])
def test_d4_a_long_pdu_before_the_association_is_refused_at_its_header(
    serving: Serving, pdu_type: int, length: int
) -> None:
    server = serving()
    tracemalloc.start()
    try:
        with server.connect() as peer:
            peer.send(pdu.HEADER.pack(pdu_type, length))
            assert peer.receive() == (INVALID if pdu_type == pdu.A_ASSOCIATE_RQ else UNEXPECTED)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert stores_one(server)


@pytest.mark.parametrize("length", [16385, 0xFFFFFFFF])
def test_d5_p_data_longer_than_agreed(serving: Serving, length: int) -> None:
    server = serving(limits=Limits(maximum_pdu_length=16384))
    with server.connect() as peer:
        peer.associate()
        peer.send(STORE_COMMAND, pdu.HEADER.pack(pdu.P_DATA_TF, length), bytes(16384))
        assert peer.receive() == INVALID
    assert stores_one(server)


def test_d5_p_data_as_long_as_agreed(serving: Serving) -> None:
    server = serving(limits=Limits(maximum_pdu_length=16384))
    with server.connect() as peer:
        peer.associate()
        peer.send(STORE_COMMAND, p_data_pdus(3, 0, bytes(16378), 16384))
        assert peer.receive()[0] == pdu.P_DATA_TF
    assert server.stored.get(timeout=PATIENCE) == ("1.2.3", bytes(16378))


def endless(peer: RawPeer, piece: bytes) -> tuple[int, bytes]:
    """Sends `piece` until the other side has had enough; what it answered."""
    sender = threading.Thread(target=_send_until_refused, args=(peer, piece), daemon=True)
    sender.start()
    answer = peer.receive()
    peer.wait_for_close()
    sender.join(PATIENCE)
    assert not sender.is_alive()
    return answer


def _send_until_refused(peer: RawPeer, piece: bytes) -> None:
    try:
        while True:
            peer.send(piece)
    except OSError:
        return


def test_d6_a_data_set_that_never_ends(serving: Serving) -> None:
    server = serving(limits=Limits(maximum_object_bytes=1_000_000))
    with server.connect() as peer:
        peer.associate()
        peer.send(STORE_COMMAND)
        assert endless(peer, unfinished(3, 0, 8000)) == ABORTED[pdu.AbortReason.NOT_SPECIFIED]
    assert server.endings.get(timeout=PATIENCE) == "the data set is too long"
    assert stores_one(server)


def test_d6_a_command_set_of_more_than_64_kib(serving: Serving) -> None:
    server = serving()
    with server.connect() as peer:
        peer.associate()
        assert endless(peer, unfinished(3, pdu.COMMAND, 8000)) == INVALID
    assert stores_one(server)


def test_d6_fragments_without_bytes_do_not_hold_a_message_up_for_ever(serving: Serving) -> None:
    """They add nothing to any size; only the peer's own traffic ends it, and it can be told to stop."""
    server = serving(drain_seconds=0.1)
    with server.connect() as peer:
        peer.associate()
        peer.send(STORE_COMMAND, unfinished(3, 0, 0) * 1000)
        server.halt()
        peer.wait_for_close()
    assert server.stored.empty()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"\0\0\0\0\3\3",
        b"\0\0\0\1\3\3",
        b"\0\0\0\3\3\3",
        b"\xff\xff\xff\xff\3\3ab",
        b"\0\0\0\4\3\3ab\0\0",
    ],
)
def test_d7_a_pdv_that_does_not_fit(serving: Serving, body: bytes) -> None:
    server = serving()
    with server.connect() as peer:
        peer.associate()
        peer.send(pdu.HEADER.pack(pdu.P_DATA_TF, len(body)) + body)
        assert peer.receive() == INVALID
    assert stores_one(server)


@pytest.mark.parametrize("associated", [True, False])
@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\0\0\0\0\4\0\0\0\0",
        b"\x08\0\0\0\0\4\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\3\1\2\0\1\0\1\xfc\3\3" + bytes(100),
    ],
)
def test_d7_unknown_pdu_types_and_other_protocols(serving: Serving, garbage: bytes, associated: bool) -> None:
    server = serving()
    with server.connect() as peer:
        if associated:
            peer.associate()
        peer.send(garbage)
        assert peer.receive() == UNRECOGNIZED
        peer.wait_for_close()
    assert stores_one(server)


@pytest.mark.parametrize("pdu_type", [1, 2, 3, 6])
def test_d7_known_pdus_out_of_turn(serving: Serving, pdu_type: int) -> None:
    server = serving()
    with server.connect() as peer:
        peer.associate()
        peer.send(pdu.HEADER.pack(pdu_type, 4), bytes(4))
        assert peer.receive() == UNEXPECTED
    assert stores_one(server)


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (STORE_COMMAND + pdu.RELEASE_RQ, UNEXPECTED),
        (p_data_pdus(9, pdu.COMMAND, b""), INVALID),
        (p_data_pdus(3, pdu.COMMAND, b"\0\0\0"), INVALID),
        (p_data_pdus(3, pdu.COMMAND, b"\0\0\0\1\2\0\0\0\x99\x99"), INVALID),
        (p_data_pdus(3, 0, b"no command"), ABORTED[pdu.AbortReason.UNEXPECTED_PDU_PARAMETER]),
        (
            STORE_COMMAND + p_data_pdus(1, 0, b"other context"),
            ABORTED[pdu.AbortReason.UNEXPECTED_PDU_PARAMETER],
        ),
        (STORE_COMMAND + STORE_COMMAND, ABORTED[pdu.AbortReason.UNEXPECTED_PDU_PARAMETER]),
    ],
)
def test_d7_messages_out_of_order(serving: Serving, message: bytes, answer: tuple[int, bytes]) -> None:
    server = serving()
    with server.connect() as peer:
        peer.associate()
        peer.send(message)
        assert peer.receive() == answer
    assert stores_one(server)
