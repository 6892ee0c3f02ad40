"""From the entry of an AE title to whom we speak with: its address, our name there, our deadlines."""

from __future__ import annotations

from archive.remote.peer import Peer
from archive.security.ae_titles import AETitle
from archive.settings import Dimse


def peer(settings: Dimse, entry: AETitle, calling_ae_title: str = "") -> Peer:
    """The peer; `calling_ae_title` is which of our own titles we use there, else the first."""
    return Peer(
        entry.host,
        entry.port,
        called_ae_title=entry.title,
        calling_ae_title=calling_ae_title or settings.ae_title,
        connect_deadline=settings.connect_deadline,
        response_deadline=settings.response_deadline,
        pdu_deadline=settings.pdu_deadline,
    )
