"""The other side of an association that we request: where it is, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archive.dicom.sop_classes import STORAGE_SERVICE_CLASS, is_registered
from archive.network.association import Association
from archive.network.requestor import Proposal, Protection, open_association
from archive.network.transport import Deadlines
from archive.network.user_information import CommonExtended
from archive.security import tls
from archive.security.ae_titles import AETitle
from archive.settings.whole import Settings


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity to talk to; over TLS with `protection`. The deadlines are in seconds."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    connect_deadline: float = 10
    response_deadline: float = 120
    pdu_deadline: float = 30
    protection: Protection | None = None

    def associate(self, contexts: Iterable[tuple[str, tuple[str, ...]]]) -> Association:
        """An association of which we are SCU. Raises PeerUnreachable, AssociationRejected, AssociationAborted."""
        return self.propose([Proposal(abstract, transfers) for abstract, transfers in contexts])

    def propose(self, proposals: Sequence[Proposal]) -> Association:
        """An association in whatever roles. Of a SOP class that PS3.6 does not register the peer is told that it is
        one of Storage, so that it may take what it does not know (PS3.7 D.3.3.6). Raises what `associate` raises."""
        unheard_of = {each.abstract_syntax for each in proposals if not is_registered(each.abstract_syntax)}
        return open_association(
            self.host,
            self.port,
            calling_ae_title=self.calling_ae_title,
            called_ae_title=self.called_ae_title,
            contexts=proposals,
            protection=self.protection,
            common={uid: CommonExtended(STORAGE_SERVICE_CLASS) for uid in sorted(unheard_of)},
            deadlines=Deadlines(
                connect=self.connect_deadline,
                association=self.connect_deadline,
                idle=self.response_deadline,
                pdu=self.pdu_deadline,
                write=self.pdu_deadline,
            ),
        )


def peer_of(entry: AETitle, settings: Settings) -> Peer:
    """A known AE title, to be talked to as its entry and the settings say."""
    rules = entry.rules
    return Peer(
        entry.host,
        entry.port,
        called_ae_title=entry.title,
        calling_ae_title=settings.dimse.ae_title,
        connect_deadline=settings.dimse.connect_deadline,
        response_deadline=settings.dimse.response_deadline,
        pdu_deadline=settings.dimse.pdu_deadline,
        protection=tls.towards(settings.tls, entry.host, rules.certificate) if rules.tls else None,
    )
