"""Associations over TLS, ours at both ends: who is let in, who is told why not, and that nobody waits for a silent
one (dimse.md trap T2, reliability.md D3)."""

from __future__ import annotations

import datetime
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.dicom.errors import AssociationAborted, SecurityFailure
from archive.network.association import Association
from archive.security import tls
from archive.settings.doors import TLSSettings
from association_peers import (
    MR_IMAGE_STORAGE,
    PATIENCE,
    Policy,
    Server,
    store_request,
)
from certificates import Authority
from tls_peers import as_peer, call

Serving = Callable[..., Server]


def store(association: Association, data: bytes, uid: str = "1.2.3") -> int:
    context = next(c for c in association.contexts.values() if c.abstract_syntax == MR_IMAGE_STORAGE)
    association.send(context.id, store_request(uid=uid), [data])
    message = association.receive()
    assert message is not None
    return int(message.command.Status)


def test_objects_of_many_sizes_arrive_whole(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    server = serving(secure=tls.server(settings))
    sizes = [0, 1, 16378, 16384, 131072, 262144, 5_000_001]
    with call(server, as_peer(authority)) as association:
        for size in sizes:
            assert store(association, bytes(size % 251 for _ in range(size)), f"1.2.{size}") == 0
    assert [server.stored.get(timeout=PATIENCE) for _ in sizes] == [
        (f"1.2.{size}", bytes(size % 251 for _ in range(size))) for size in sizes
    ]
    assert server.endings.get(timeout=PATIENCE) == "released"


def test_the_policy_sees_the_certificate(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    server = serving(secure=tls.server(settings))
    proof = authority.proof("ct-1", hosts=["ct-1.hospital.example", "10.0.0.9"])
    peer = TLSSettings(
        certificate=str(proof.chain), key=str(proof.key), client_ca=str(authority.file), check_host=False
    )
    with call(server, peer) as association:
        theirs = association.caller.certificate
    caller = server.policy.callers[0]
    assert caller.secured
    assert caller.certificate is not None
    assert (caller.certificate.subject, caller.certificate.names) == ("ct-1", ("ct-1.hospital.example",))
    assert caller.certificate.sha256 == proof.sha256
    assert theirs is not None
    assert theirs.subject == "archive"
    colons = ":".join(proof.sha256[i : i + 2].upper() for i in range(0, 64, 2))
    for wanted in ("ct-1", "CT-1.hospital.example", f"sha256:{proof.sha256}", f"SHA256:{colons}"):
        assert caller.certificate.is_known_as(wanted)
    for wanted in ("", "ct-2", "hospital.example", "sha256:", f"sha256:{proof.sha256[:-1]}", "sha256:00"):
        assert not caller.certificate.is_known_as(wanted)


def test_without_tls_the_policy_hears_so(serving: Serving) -> None:
    server = serving()
    with call(server, None):
        pass
    assert (server.policy.callers[0].secured, server.policy.callers[0].certificate) == (False, None)


def test_without_client_certificates_nobody_is_asked(serving: Serving, authority: Authority) -> None:
    ours = authority.proof("archive")
    without = TLSSettings(certificate=str(ours.chain), key=str(ours.key), client_certificates="no")
    server = serving(secure=tls.server(without))
    with call(server, as_peer(authority)):
        pass
    assert server.policy.callers[0].certificate is None


def test_an_optional_certificate_may_be_missing_but_not_wrong(
    serving: Serving, settings: TLSSettings, authority: Authority, tmp_path: Path
) -> None:
    optional = TLSSettings(
        certificate=settings.certificate,
        key=settings.key,
        client_ca=settings.client_ca,
        client_certificates="optional",
    )
    server = serving(secure=tls.server(optional))
    with call(server, as_peer(authority, certificate="", key="")):
        pass
    assert server.policy.callers[0].certificate is None
    (tmp_path / "strange").mkdir()
    stranger = Authority(tmp_path / "strange", "Strange CA")
    with pytest.raises(SecurityFailure):
        call(server, as_peer(stranger, client_ca=str(authority.file)))


@pytest.mark.parametrize(
    ("peer", "theirs", "ours"),
    [
        (
            {"certificate": "", "key": ""},
            "it wants a certificate of ours",
            "it shows no certificate, and one is required",
        ),
        ({"name": "expired"}, "our certificate has expired", "certificate has expired"),
        ({"name": "strange"}, "it does not trust our certificate", "its certificate is not accepted"),
    ],
)
def test_a_certificate_that_does_not_do_is_explained_at_both_ends(
    serving: Serving,
    settings: TLSSettings,
    authority: Authority,
    tmp_path: Path,
    peer: dict[str, str],
    theirs: str,
    ours: str,
) -> None:
    server = serving(secure=tls.server(settings))
    caller = as_peer(authority, **{key: value for key, value in peer.items() if key != "name"})
    if peer.get("name") == "expired":
        proof = authority.proof("expired", valid=-datetime.timedelta(hours=1))
        caller = as_peer(authority, certificate=str(proof.chain), key=str(proof.key))
    if peer.get("name") == "strange":
        (tmp_path / "strange").mkdir()
        caller = as_peer(Authority(tmp_path / "strange", "Strange CA"), client_ca=str(authority.file))
    with pytest.raises(SecurityFailure) as failure:
        call(server, caller)
    assert theirs in failure.value.reason
    stranger, reason = server.policy.away.get(timeout=PATIENCE)
    assert ours in reason
    assert (stranger.calling_ae_title, stranger.address, stranger.secured) == ("", "127.0.0.1", True)
    assert server.policy.callers == []


def test_a_server_that_cannot_prove_itself_is_not_talked_to(
    serving: Serving, settings: TLSSettings, authority: Authority, tmp_path: Path
) -> None:
    """Neither by another authority, nor by another host name, nor by another certificate than the bound one."""
    server = serving(secure=tls.server(settings))
    other = authority.proof("other")
    (tmp_path / "strange").mkdir()
    stranger = Authority(tmp_path / "strange", "Strange CA")
    for peer, host, pin, reason in (
        (as_peer(authority, client_ca=str(stranger.file)), "127.0.0.1", "", "certificate is not accepted"),
        (as_peer(authority), "127.0.0.2", "", "IP address mismatch"),
        (as_peer(authority), "pacs.example", "", "Hostname mismatch"),
        (as_peer(authority), "127.0.0.1", f"sha256:{other.sha256}", "another certificate"),
    ):
        with pytest.raises(SecurityFailure, match=reason):
            call(server, peer, host, pin)
    assert server.policy.callers == []


def test_a_bound_certificate_may_be_for_another_host(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    server = serving(secure=tls.server(settings))
    with call(server, as_peer(authority), "10.1.2.3", "archive"):
        pass
    with call(server, as_peer(authority, check_host=False), "10.1.2.3"):
        pass
    assert len(server.policy.callers) == 2


def test_files_that_cannot_be_used_are_a_failure_towards_the_peer(
    serving: Serving, settings: TLSSettings, authority: Authority
) -> None:
    server = serving(secure=tls.server(settings))
    with pytest.raises(SecurityFailure, match=r"tls\.certificate"):
        call(server, as_peer(authority, certificate="/nowhere.pem"))


def test_plain_dicom_on_the_port_for_tls_is_explained(serving: Serving, settings: TLSSettings) -> None:
    server = serving(secure=tls.server(settings))
    with pytest.raises(AssociationAborted):
        call(server, None)
    _, reason = server.policy.away.get(timeout=PATIENCE)
    assert "no TLS" in reason


def test_a_tls_alert_to_plain_dicom_names_the_remedy() -> None:
    """Some implementations of TLS answer what is no TLS with an alert."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_answer_with_an_alert, args=(listener,))
        answering.start()
        server = Server(listener.getsockname()[1], Policy(), *(None,) * 4)  # type: ignore[arg-type]
        with pytest.raises(SecurityFailure, match="speaks TLS on this port"):
            call(server, None)
        answering.join(PATIENCE)


def _answer_with_an_alert(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")
    connection.recv(1)
    connection.close()


def test_tls_on_the_port_without_is_explained(serving: Serving, authority: Authority) -> None:
    server = serving()
    with pytest.raises(AssociationAborted):
        call(server, as_peer(authority))
    stranger, reason = server.policy.away.get(timeout=PATIENCE)
    assert "tls.listen" in reason
    assert not stranger.secured


def test_http_on_the_port_for_tls_is_explained(serving: Serving, settings: TLSSettings) -> None:
    server = serving(secure=tls.server(settings))
    with server.connect() as peer:
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        peer.wait_for_close()
    _, reason = server.policy.away.get(timeout=PATIENCE)
    assert "HTTP" in reason
