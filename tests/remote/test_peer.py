"""A peer as its entry and the settings say it: TLS, and what it is told of SOP classes that it may not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from archive.remote.echo_scu import Step, echo
from archive.remote.peer import Peer, peer_of
from archive.security.ae_titles import AETitle, Rules
from archive.settings.doors import Dimse, TLSSettings
from archive.settings.whole import Settings
from certificates import Authority
from receivers import silent_listener

MR = "1.2.840.10008.5.1.4.1.1.4"
PRIVATE = "1.2.826.0.1.3680043.8.498.77"


def test_a_private_class_is_said_to_be_storage_and_a_known_one_is_not_explained() -> None:
    """PS3.7 D.3.3.6, dimse.md 1.1 "SOP class common extended neg."."""
    asked: list[Any] = []

    def requested(event: evt.Event) -> None:
        described = event.assoc.requestor.sop_class_common_extended
        asked.append({str(uid): str(item.service_class_uid) for uid, item in described.items()})

    ae = AE("X")
    ae.add_supported_context(MR, [ExplicitVRLittleEndian])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, requested)])
    assert server is not None
    peer = Peer("127.0.0.1", server.server_address[1], called_ae_title="X", calling_ae_title="Y")
    try:
        syntaxes = (str(ExplicitVRLittleEndian),)
        with peer.associate([(MR, syntaxes), (PRIVATE, syntaxes)]) as association:
            assert {each.abstract_syntax for each in association.contexts.values()} == {MR}
    finally:
        server.shutdown()
    assert asked == [{PRIVATE: "1.2.840.10008.4.2"}]


def test_an_entry_becomes_a_peer(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    settings = Settings(
        dimse=Dimse(ae_title="US", connect_deadline=3, response_deadline=4, pdu_deadline=5),
        tls=TLSSettings(server_ca=str(authority.file)),
    )
    plain = peer_of(AETitle("THEM", "192.0.2.1", 104), settings)
    assert plain == Peer("192.0.2.1", 104, "THEM", "US", 3, 4, 5)
    bound = peer_of(AETitle("THEM", "host", 2762, Rules(tls=True, certificate="sha256:00")), settings)
    assert bound.protection is not None
    assert (bound.protection.host, bound.protection.certificate) == ("host", "sha256:00")
    assert not bound.protection.context().check_hostname
    named = peer_of(AETitle("THEM", "host", 2762, Rules(tls=True)), settings)
    assert named.protection is not None
    assert named.protection.context().check_hostname


def test_echo_over_tls_names_the_step() -> None:
    """Files that cannot be used, and a port that is silent in the handshake."""
    with silent_listener() as port:
        entry = AETitle("THEM", "127.0.0.1", port, Rules(tls=True))
        broken = echo(peer_of(entry, Settings(tls=TLSSettings(server_ca="/nowhere.pem"))))
        silent = echo(peer_of(entry, Settings(dimse=Dimse(connect_deadline=1))))
    assert (broken.step, "tls.server_ca" in broken.reason) == (Step.SECURITY, True)
    assert silent.step is Step.CONNECT
