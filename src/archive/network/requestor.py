"""Associations that we ask for: C-STORE sub-operations, forwarding, C-ECHO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archive.network.association import Association, Limits
from archive.network.transport import Deadlines


@dataclass(frozen=True, slots=True)
class Proposal:
    """A presentation context to propose. `as_scp`: we also offer to be SCP of it (SCP/SCU role selection)."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_scp: bool = False


def open_association(
    host: str,
    port: int,
    *,
    calling_ae_title: str,
    called_ae_title: str,
    contexts: Sequence[Proposal],
    deadlines: Deadlines = Deadlines(),
    limits: Limits = Limits(),
) -> Association:
    """Connects and negotiates; at most 128 contexts. `Association.contexts` holds those that were accepted.

    Use it as a context manager: released at the end, aborted on an exception. Raises PeerUnreachable,
    AssociationRejected, AssociationAborted.
    """
    raise NotImplementedError
