"""Odd A-ASSOCIATE-RQs and broken associations: D8 to D11 of the reliability requirements, and how an association ends.

Each ends with an ordinary association, as "the server goes on" is half of every requirement.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import structlog

from archive.dicom.errors import CallerRefused, OutOfResources
from archive.network import pdu
from archive.network.acceptor import serve
from archive.network.association import Association
from archive.network.caller import Caller
from archive.network.commands import encode_command
from archive.network.negotiation import decode_accept
from association_peers import (
    IMPLICIT,
    PATIENCE,
    VERIFICATION,
    Policy,
    RawPeer,
    associate_request,
    p_data_pdus,
    store_request,
)
from hostile import INVALID, STORE_COMMAND, Serving, rejected, stores_one, unfinished


def item(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((kind, 0)) + len(body).to_bytes(2, "big") + body


def request_with(*items: bytes) -> bytes:
    """An A-ASSOCIATE-RQ with these variable items after the application context."""
    body = (
        b"\0\1\0\0" + b"ARCHIVE".ljust(16) + b"TEST".ljust(16) + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1") + b"".join(items)
    )  # fmt: skip
    return pdu.HEADER.pack(pdu.A_ASSOCIATE_RQ, len(body)) + body


def context(context_id: int, abstract: bytes, *transfers: bytes) -> bytes:
    return item(
        0x20, bytes((context_id, 0, 0, 0)), item(0x30, abstract), *(item(0x40, uid) for uid in transfers)
    )


GOOD = context(1, VERIFICATION.encode(), IMPLICIT.encode())
LONG_IDENTITY = b"\1\0" + (60_000).to_bytes(2, "big") + b"x" * 60_000 + b"\0\0"
USER = item(0x50, item(0x51, b"\0\0\x40\0"))


@pytest.mark.parametrize(
    ("items", "answer"),
    [
        ((USER,), rejected(1, 2, 1)),
        ((GOOD, GOOD, USER), rejected(1, 2, 1)),
        ((context(2, VERIFICATION.encode(), IMPLICIT.encode()), USER), rejected(1, 2, 1)),
        ((*(context(n % 128 * 2 + 1, b"1.2", b"1.2") for n in range(129)), USER), rejected(1, 2, 1)),
        ((GOOD, item(0x50, item(0x51, b"\0\0\0\7"))), rejected(1, 2, 1)),
        ((GOOD, item(0x50, item(0x51, b"\0"))), INVALID),
        ((GOOD, b"\x50\0\xff\xff"), INVALID),
        ((item(0x20, b"\1"), USER), INVALID),
        ((item(0x20, b"\1\0\0\0\x30\0\0\xff"), USER), INVALID),
        ((GOOD, item(0x50, item(0x54, b"\0\xff1"))), INVALID),
        ((GOOD, item(0x50, item(0x58, b"\1\0" + b"x" * 60_000))), INVALID),
        ((GOOD, item(0x50, item(0x58, b"\1"))), INVALID),
        ((GOOD, item(0x50, item(0x56, b"\0\4" + b"1.2"))), INVALID),
        ((GOOD, item(0x50, item(0x57, b"\0\3" + b"1.2" + b"\0\3"))), INVALID),
        ((GOOD, item(0x50, item(0x57, b"\0\3" + b"1.2" + b"\0\3" + b"1.3" + b"\0\2\0\1"))), INVALID),
        ((GOOD, b"\x99"), INVALID),
    ],
)
def test_d8_requests_that_break_the_rules(
    serving: Serving, items: tuple[bytes, ...], answer: tuple[int, bytes]
) -> None:
    server = serving()
    with server.connect() as peer:
        peer.send(request_with(*items))
        assert peer.receive() == answer
    assert stores_one(server)


@pytest.mark.parametrize(
    ("items", "results"),
    [
        ((item(0x99, b"unknown"), GOOD, item(0x50, item(0x51, bytes(4)), item(0x77, b"?"))), [(1, 0)]),
        ((GOOD, item(0x50, item(0x51, bytes(4)), item(0x58, LONG_IDENTITY))), [(1, 0)]),
        ((GOOD, context(3, b"1" * 65, IMPLICIT.encode()), USER), [(1, 0), (3, 3)]),
        ((GOOD, context(3, b"1.2", b"1" * 65), USER), [(1, 0), (3, 4)]),
        ((context(1, "1.2.ä".encode("latin-1"), IMPLICIT.encode()), USER), [(1, 3)]),
        ((context(5, b"", IMPLICIT.encode()), GOOD), [(5, 3), (1, 0)]),
        ((context(1, VERIFICATION.encode() + b"\0", IMPLICIT.encode() + b" "),), [(1, 0)]),
    ],
)
def test_d8_odd_requests_that_are_served(
    serving: Serving, items: tuple[bytes, ...], results: list[tuple[int, int]]
) -> None:
    server = serving()
    with server.connect() as peer:
        peer.send(request_with(*items))
        pdu_type, body = peer.receive()
        assert pdu_type == pdu.A_ASSOCIATE_AC
        assert [(r.id, r.result) for r in decode_accept(memoryview(body)).results] == results
    assert stores_one(server)


def test_d8_more_transfer_syntaxes_than_anyone_has(serving: Serving) -> None:
    """16 contexts of 8000 four-byte transfer syntaxes fill one MiB; more is refused by its length."""
    server = serving()
    many = [f"1.{n % 90 + 10}"[:4].encode() for n in range(8000)]
    contexts = [context(2 * n + 1, b"1.2.3", *many) for n in range(16)]
    with server.connect() as peer:
        peer.send(request_with(*contexts, USER))
        assert peer.receive()[0] == pdu.A_ASSOCIATE_AC
    with server.connect() as peer:
        peer.send(request_with(*contexts, *contexts)[:6])
        assert peer.receive() == INVALID
    assert stores_one(server)


def test_d8_who_has_gone_is_not_admitted() -> None:
    """A flood leaves its requests lying: what their peers do not wait for costs no more than reading it."""
    policy, stop = Policy(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, structlog.testing.capture_logs() as lines:
        with socket.create_connection(listener.getsockname()) as left:
            left.sendall(associate_request(calling_ae_title="GONE"))
        with socket.create_connection(listener.getsockname(), PATIENCE) as stays:
            stays.sendall(associate_request(calling_ae_title="STAYS"))
            serving = threading.Thread(target=serve, args=(listener, policy, lambda _: None, stop))
            serving.start()
            assert RawPeer(stays).receive()[0] == pdu.A_ASSOCIATE_AC
            deadline = time.monotonic() + PATIENCE
            while not any(line["event"] == "connection_dropped" for line in lines):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        stop.set()
        serving.join(PATIENCE)
    assert [caller.calling_ae_title for caller in policy.callers] == ["STAYS"]
    assert [line["reason"] for line in lines if line["event"] == "connection_dropped"] == [
        "the peer closed the connection without waiting for the answer"
    ]


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda rq: rq[:6] + b"\0\2" + rq[8:], rejected(1, 2, 2)),
        (lambda rq: rq.replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"), rejected(1, 1, 2)),
    ],
)
def test_d8_unsupported_version_and_application_context(
    serving: Serving, change: Callable[[bytes], bytes], answer: tuple[int, bytes]
) -> None:
    server = serving()
    with server.connect() as peer:
        peer.send(change(associate_request()))
        assert peer.receive() == answer
    assert stores_one(server)


def test_d9_associations_over_the_limit_are_rejected_at_once(serving: Serving) -> None:
    server = serving(maximum_associations=2)
    with server.connect() as first, server.connect() as second, server.connect() as third:
        first.associate()
        second.associate()
        third.send(associate_request())
        assert third.receive() == rejected(2, 3, 2)
        first.send(pdu.RELEASE_RQ)
        assert first.receive()[0] == pdu.A_RELEASE_RP
        first.wait_for_close()
        assert server.endings.get(timeout=PATIENCE) == "released"
        second.send(STORE_COMMAND, p_data_pdus(3, 0, b"still here"))
        assert second.receive()[0] == pdu.P_DATA_TF
    assert server.stored.get(timeout=PATIENCE) == ("1.2.3", b"still here")


@pytest.mark.parametrize(
    ("calling", "seen"),
    [
        (b"", ""),
        (b"NUL\0\0\0\0", "NUL"),
        (b"  SPACES ", "SPACES"),
        (b"../../x", "../../x"),
        (b"A\x1b[31m\r\nB", "A\x1b[31m\r\nB"),
        ("RÖNTGEN".encode("latin-1"), "RÖNTGEN"),
        (b"\xff" * 16, "ÿ" * 16),
    ],
)
def test_d10_strange_calling_ae_titles_reach_the_policy(serving: Serving, calling: bytes, seen: str) -> None:
    server = serving()
    request = associate_request(calling_ae_title="@" * 16).replace(b"@" * 16, calling.ljust(16))
    with structlog.testing.capture_logs() as lines, server.connect() as peer:
        peer.associate(request)
        server.policy.refused[seen] = CallerRefused("calling AE title not recognized", 1, 1, 3)
        with server.connect() as again:
            again.send(request)
            assert again.receive() == rejected(1, 1, 3)
    assert server.policy.seen == [(seen, "ARCHIVE", "127.0.0.1")] * 2
    assert all(
        str(line["calling"]).isprintable() and str(line["calling"]).isascii()
        for line in lines
        if "calling" in line
    )
    assert stores_one(server)


def test_who_cannot_be_recorded_is_answered_all_the_same(serving: Serving) -> None:
    """An index that is away must not turn a rejection into an abort."""

    class Forgetful(Policy):
        def turned_away(self, caller: Caller, reason: str) -> None:
            raise OutOfResources("the index is away")

    server = serving(policy=Forgetful())
    with server.connect() as peer:
        peer.send(request_with(USER))
        assert peer.receive() == rejected(1, 2, 1)
    assert stores_one(server)


def test_d10_the_wrong_called_ae_title(serving: Serving) -> None:
    server = serving(policy=Policy({"OTHER": CallerRefused("called AE title not recognized", 1, 1, 7)}))
    with server.connect() as peer:
        peer.send(associate_request(called_ae_title="OTHER"))
        assert peer.receive() == rejected(1, 1, 7)
    assert stores_one(server)


@pytest.mark.parametrize("cut", [RawPeer.reset, RawPeer.close])
@pytest.mark.parametrize("sent", [1, 20_000, 39_999])
def test_d11_a_cut_in_the_middle_of_an_object(
    serving: Serving, cut: Callable[[RawPeer], None], sent: int
) -> None:
    server = serving()
    peer = server.connect()
    peer.associate()
    whole = p_data_pdus(3, 0, bytes(40_000))
    peer.send(STORE_COMMAND, whole[: sent + 12])
    cut(peer)
    assert server.endings.get(timeout=PATIENCE) != "released"
    assert server.stored.empty()
    assert stores_one(server)


def test_d11_an_abort_between_the_pdus_of_an_object(serving: Serving) -> None:
    server = serving()
    with server.connect() as peer:
        peer.associate()
        peer.send(STORE_COMMAND, unfinished(3, 0, 5000), pdu.abort_pdu())
        peer.wait_for_close()
    assert server.endings.get(timeout=PATIENCE) == "the peer aborted the association (source 0, reason 0)"
    assert server.stored.empty()
    assert stores_one(server)


def test_what_the_handler_leaves_is_drained(serving: Serving) -> None:
    uids: list[Any] = []

    def handle(association: Association) -> None:
        kept = None
        while (message := association.receive()) is not None:
            uids.append(message.command.AffectedSOPInstanceUID)
            assert message.data is not None
            if kept is not None:
                assert list(kept) == []  # not the bytes of the next message
            elif len(uids) == 1:
                next(message.data)
            kept = message.data

    server = serving(handle)
    with server.connect() as peer:
        peer.associate()
        for uid in ("1.1", "1.2", "1.3"):
            command = encode_command(store_request(uid=uid), has_data_set=True)
            peer.send(p_data_pdus(3, pdu.COMMAND, command), p_data_pdus(3, 0, bytes(100_000)))
        peer.send(pdu.RELEASE_RQ)
        assert peer.receive()[0] == pdu.A_RELEASE_RP
    assert uids == ["1.1", "1.2", "1.3"]


def test_a_handler_that_fails_aborts_and_is_logged_by_its_type(serving: Serving) -> None:
    def handle(association: Association) -> None:
        association.receive()
        raise RuntimeError("Doe^Jane")

    server = serving(handle)
    with structlog.testing.capture_logs() as lines:
        with server.connect() as peer:
            peer.associate()
            peer.send(STORE_COMMAND)
            assert peer.receive() == (pdu.A_ABORT, bytes(4))
        assert server.endings.get(timeout=PATIENCE) == "RuntimeError"
        server.halt()
    assert {
        "event": "association_handler_failed",
        "log_level": "error",
        "error": "RuntimeError",
        "peer": "127.0.0.1",
    } in lines
    assert "Doe" not in repr(lines)


def test_at_stop_a_message_may_finish_and_the_idle_go(serving: Serving) -> None:
    server = serving(drain_seconds=PATIENCE)
    # Connections are accepted in turn: who is associated came after the silent one.
    with server.connect() as silent, server.connect() as busy, server.connect() as idle:
        busy.associate()
        idle.associate()
        first, last = pairwise([0, 10_000, 20_000])
        whole = p_data_pdus(3, 0, bytes(20_000))
        busy.send(STORE_COMMAND, whole[slice(*first)])
        server.stop.set()
        assert idle.receive() == (pdu.A_ABORT, bytes(4))
        silent.wait_for_close()
        busy.send(whole[last[0] :])
        assert busy.receive()[0] == pdu.P_DATA_TF
        busy.send(pdu.RELEASE_RQ)
        assert busy.receive()[0] == pdu.A_RELEASE_RP
    server.halt()
    assert server.stored.get(timeout=PATIENCE) == ("1.2.3", bytes(20_000))


@pytest.mark.usefixtures("many_files")
def test_more_than_1024_open_files_do_not_matter(serving: Serving) -> None:
    held = [socket.socket() for _ in range(1100)]
    try:
        assert stores_one(serving())
    finally:
        for each in held:
            each.close()
