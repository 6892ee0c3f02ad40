"""TLS connections that are silent, slow, cut or tampered with: nobody else waits for them (dimse.md trap T2,
reliability.md D3), and every deadline of plain DIMSE holds."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO

from archive.dicom.errors import PeerUnreachable
from archive.network import pdu
from archive.network.association import Association
from archive.network.commands import response_to
from archive.network.requestor import Protection
from archive.network.transport import Deadlines
from archive.security import tls
from archive.settings.doors import TLSSettings
from association_peers import (
    PATIENCE,
    QUICK,
    VERIFICATION,
    Policy,
    Server,
    associate_request,
)
from certificates import Authority
from tls_peers import as_peer, call

Serving = Callable[..., Server]


def test_d3_silent_and_slow_connections_to_the_port_for_tls_keep_nobody_waiting(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    """reliability.md D3, trap T2: the handshake is outside the accept loop and has a deadline."""
    quick = Deadlines(association=1.5, pdu=5, idle=5, write=5, release=5, linger=0.2)
    server = serving(secure=tls.server(settings), deadlines=quick)
    silent = [server.connect() for _ in range(20)]
    slow = server.connect()
    slow.send(b"\x16\x03\x01")  # the beginning of a TLS record
    began = time.monotonic()
    with call(server, as_peer(authority)):
        assert time.monotonic() - began < 1.2
    for peer in [*silent, slow]:
        peer.socket.settimeout(PATIENCE)
        peer.wait_for_close()
        peer.close()
    assert server.policy.away.empty()  # who says nothing is no refusal


def test_a_handshake_byte_by_byte_gains_no_time(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    server = serving(secure=tls.server(settings), deadlines=Deadlines(association=1.0, linger=0.2))
    with server.connect() as peer:
        peer.send(b"\x16\x03\x01\x01\x00")
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < PATIENCE:
                peer.send(b"\1")
                peer.socket.settimeout(0.1)
                with suppress(TimeoutError):
                    if not peer.socket.recv(1):
                        break
    assert time.monotonic() - began < 5


@pytest.fixture
def raw(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> Iterator[Callable[..., tuple[Server, ssl.SSLSocket]]]:
    """A TLS socket of Python's to a server, after the handshake."""
    opened: list[ssl.SSLSocket] = []

    def start(**changes: Any) -> tuple[Server, ssl.SSLSocket]:
        server = serving(secure=tls.server(settings), **changes)
        protection: Protection = tls.towards(as_peer(authority), "127.0.0.1", "")
        connection = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        opened.append(protection.context().wrap_socket(connection, server_hostname="127.0.0.1"))
        return server, opened[-1]

    yield start
    for connection in opened:
        connection.close()


def test_bytes_in_awkward_records(raw: Callable[..., tuple[Server, ssl.SSLSocket]]) -> None:
    """One byte a record: the request is read all the same, and answered."""
    _, peer = raw()
    for byte in associate_request():
        peer.send(bytes((byte,)))
    assert peer.recv(1) == bytes((pdu.A_ASSOCIATE_AC,))


def test_d2_half_a_pdu_header_over_tls_has_its_deadline(
    raw: Callable[..., tuple[Server, ssl.SSLSocket]],
) -> None:
    """reliability.md D2, trap T1: the deadlines are those of plain DIMSE."""
    quick = Deadlines(association=10, pdu=0.5, idle=10, linger=0.2)
    server, peer = raw(deadlines=quick)
    peer.send(associate_request())
    assert peer.recv(65536)[0] == pdu.A_ASSOCIATE_AC
    peer.send(pdu.HEADER.pack(pdu.P_DATA_TF, 100)[:2])
    assert peer.recv(65536) == pdu.abort_pdu(pdu.AbortReason.NOT_SPECIFIED)
    assert server.endings.get(timeout=PATIENCE) == "the peer was silent for too long"


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(100),
        b"\xff" * 1000,
        b"\x16\x03\x01\xff\xff" + bytes(70_000),
        b"\x16\x03\x03\x00\x04\x01\xff\xff\xff",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x10" + bytes(16),
        b"\x80\x2e\x01\x00\x02" + bytes(43),
        associate_request() * 50,
    ],
    ids=lambda garbage: garbage[:6].hex(),
)
def test_d7_garbage_on_the_port_for_tls(
    serving: Serving, settings: TLSSettings, authority: Authority, garbage: bytes
) -> None:
    """reliability.md D7: closed, and the next one is served."""
    server = serving(secure=tls.server(settings), deadlines=Deadlines(association=2, linger=0.2))
    with server.connect() as peer:
        with suppress(ConnectionError):
            peer.send(garbage)
        peer.wait_for_close()
    with call(server, as_peer(authority)):
        pass


def test_what_was_tampered_with_ends_the_association(
    raw: Callable[..., tuple[Server, ssl.SSLSocket]],
) -> None:
    server, peer = raw()
    peer.send(associate_request())
    peer.recv(1)
    plain = socket.socket(fileno=peer.detach())
    plain.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert "TLS failed" in server.endings.get(timeout=PATIENCE)
    plain.close()


def test_a_cut_without_close_notify_is_a_cut(raw: Callable[..., tuple[Server, ssl.SSLSocket]]) -> None:
    server, peer = raw()
    peer.send(associate_request())
    peer.recv(1)
    socket.socket(fileno=peer.detach()).close()
    ending = server.endings.get(timeout=PATIENCE)
    assert "closed the connection" in ending or "lost" in ending


def test_at_stop_the_idle_are_told(raw: Callable[..., tuple[Server, ssl.SSLSocket]]) -> None:
    """A-ABORT goes out from another thread than the one that waits, over TLS too."""
    server, peer = raw()
    peer.send(associate_request())
    assert peer.recv(65536)[0] == pdu.A_ASSOCIATE_AC
    server.stop.set()
    assert peer.recv(65536)[0] == pdu.A_ABORT
    server.halt()


def test_a_peer_that_stops_reading_is_left(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    """The deadline for writing holds over TLS."""

    def flood(association: Association) -> None:
        message = association.receive()
        assert message is not None
        association.send(message.context.id, response_to(message.command, 0), [bytes(1 << 26)])

    deadlines = Deadlines(association=10, pdu=10, idle=10, write=0.5, release=1, linger=0.2)
    server = serving(handle=flood, secure=tls.server(settings), deadlines=deadlines)
    association = call(server, as_peer(authority))
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, VERIFICATION
    association.send(1, request)
    assert server.endings.get(timeout=PATIENCE) == "the peer stopped reading"
    association.abort()


def test_c_cancel_is_seen_over_tls(serving: Serving, settings: TLSSettings, authority: Authority) -> None:
    cancelled = threading.Event()

    def work(association: Association) -> None:
        message = association.receive()
        assert message is not None
        deadline = time.monotonic() + PATIENCE
        while not association.cancelled(message.command.MessageID) and time.monotonic() < deadline:
            time.sleep(0.01)
        if association.cancelled(message.command.MessageID):
            cancelled.set()

    server = serving(handle=work, secure=tls.server(settings))
    association = call(server, as_peer(authority))
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 7, VERIFICATION
    association.send(1, request)
    cancel = C_CANCEL()
    cancel.MessageIDBeingRespondedTo = 7
    association.send(1, cancel)
    assert cancelled.wait(PATIENCE)
    association.abort()


def test_a_tls_port_that_never_answers_is_unreachable() -> None:
    """Trap T12: a dead peer is given up in seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Server(listener.getsockname()[1], Policy(), *(None,) * 4)  # type: ignore[arg-type]
        with pytest.raises(PeerUnreachable):
            call(silent, TLSSettings(), deadlines=Deadlines(association=0.5))


def test_a_plain_and_a_tls_listener_share_one_count(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    """Covered by `serve` taking both; here: a limit of one is kept over TLS, and told to the policy."""
    server = serving(secure=tls.server(settings), maximum_associations=1, deadlines=QUICK)
    with call(server, as_peer(authority)):
        with pytest.raises(Exception, match="source 3, diagnostic 2"):
            call(server, as_peer(authority))
        caller, reason = server.policy.away.get(timeout=PATIENCE)
        assert (caller.calling_ae_title, reason) == ("MODALITY", "too many associations")
        assert server.policy.guests[1].left.wait(PATIENCE)
    assert server.policy.guests[0].left.wait(PATIENCE)
