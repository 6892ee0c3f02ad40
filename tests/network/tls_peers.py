"""What the tests of TLS share: settings of a peer, and a call to a server."""

from __future__ import annotations

from typing import Any

from archive.network.association import Association
from archive.network.requestor import Proposal, open_association
from archive.security import tls
from archive.settings.doors import TLSSettings
from association_peers import EXPLICIT, IMPLICIT, MR_IMAGE_STORAGE, VERIFICATION, Server
from certificates import Authority


def as_peer(authority: Authority, name: str = "modality", **changes: Any) -> TLSSettings:
    """The settings of a peer with a certificate of its own."""
    proof = authority.proof(name)
    fields = {"certificate": str(proof.chain), "key": str(proof.key), "client_ca": str(authority.file)}
    return TLSSettings(**{**fields, **changes})


def call(
    server: Server, settings: TLSSettings | None, host: str = "127.0.0.1", pin: str = "", **options: Any
) -> Association:
    return open_association(
        "127.0.0.1",
        server.port,
        calling_ae_title="MODALITY",
        called_ae_title="ARCHIVE",
        contexts=[Proposal(VERIFICATION, (IMPLICIT,)), Proposal(MR_IMAGE_STORAGE, (EXPLICIT,))],
        protection=tls.towards(settings, host, pin) if settings else None,
        **options,
    )
