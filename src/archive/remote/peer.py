"""The other side of an association that we request: where it is, and how long it may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archive.network.association import Association
from archive.network.requestor import Proposal, open_association
from archive.network.transport import Deadlines


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity to talk to. The deadlines are in seconds."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    connect_deadline: float = 10
    response_deadline: float = 120
    pdu_deadline: float = 30

    def associate(self, contexts: Iterable[tuple[str, tuple[str, ...]]]) -> Association:
        """An association of which we are SCU. Raises PeerUnreachable, AssociationRejected, AssociationAborted."""
        return self.propose([Proposal(abstract, transfers) for abstract, transfers in contexts])

    def propose(self, proposals: Sequence[Proposal]) -> Association:
        """An association in whatever roles. Raises what `associate` raises."""
        return open_association(
            self.host,
            self.port,
            calling_ae_title=self.calling_ae_title,
            called_ae_title=self.called_ae_title,
            contexts=proposals,
            deadlines=Deadlines(
                connect=self.connect_deadline,
                association=self.connect_deadline,
                idle=self.response_deadline,
                pdu=self.pdu_deadline,
                write=self.pdu_deadline,
            ),
        )
