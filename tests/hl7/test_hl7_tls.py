"""HL7 over TLS: who has a certificate of the right authority, and nobody else (PS3.15 B.12 for the profile)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from certificates import Authority
from hl7_door import Door, order, received, sent

OpenDoor = Callable[..., Door]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def secured(open_door: OpenDoor, authority: Authority) -> Door:
    proof = authority.proof("archive")
    return open_door(
        hl7__tls_listen="127.0.0.1:0",
        hl7__message_deadline=2,
        tls__certificate=str(proof.chain),
        tls__key=str(proof.key),
        tls__client_ca=str(authority.file),
    )


def connect(door: Door, authority: Authority, of: Authority | None) -> ssl.SSLSocket:
    """A sender, with a certificate of an authority or without any."""
    context = ssl.create_default_context(cafile=authority.file)
    if of is not None:
        proof = of.proof("ris")
        context.load_cert_chain(proof.chain, proof.key)
    plain = socket.create_connection(("127.0.0.1", door.secured_port), timeout=20)
    return context.wrap_socket(plain, server_hostname="localhost")


def test_messages_over_tls_and_without(secured: Door, authority: Authority) -> None:
    with connect(secured, authority, authority) as connection:
        for number in range(3):
            assert sent(connection, order(control_id=f"M{number}"))[:2] == ("AA", f"M{number}")
    assert secured.send(order())[0] == "AA"
    assert len(secured.entries()) == 1


def test_a_large_message_over_tls(secured: Door, authority: Authority) -> None:
    """More than a record of TLS holds, and more than is read at once."""
    note = "NTE|1||" + "x" * 500_000 + "\r"
    with connect(secured, authority, authority) as connection:
        assert sent(connection, order() + note)[0] == "AA"


@pytest.mark.parametrize("stranger", [True, False])
def test_nobody_without_a_certificate_of_the_authority(
    secured: Door, authority: Authority, tmp_path: Path, stranger: bool
) -> None:
    (tmp_path / "others").mkdir()
    other = Authority(tmp_path / "others", "Other CA") if stranger else None
    with pytest.raises(OSError), connect(secured, authority, other) as connection:  # noqa: PT011 - alert or reset
        assert sent(connection, order())
    assert secured.entries() == []


def test_silence_and_plain_bytes_end(secured: Door, authority: Authority) -> None:
    with socket.create_connection(("127.0.0.1", secured.secured_port), timeout=20) as silent:
        with socket.create_connection(("127.0.0.1", secured.secured_port), timeout=20) as plain:
            plain.sendall(b"\x0bMSH|^~\\&|\x1c\r")
            assert b"MSH" not in received(plain)
        with connect(secured, authority, authority) as connection:
            assert sent(connection, order())[0] == "AA"
        assert received(silent) == b""
