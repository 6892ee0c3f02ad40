"""Which presentation contexts we accept, and with which transfer syntax: pure tables and one decision.

Storage is everything that is not known to be something else: a standard storage class, a retired one, a
private one, and one that the standard has learnt since this was written. Bytes are kept and not understood,
so the transfer syntax may be any, too. What PS3.6 registers as anything else (print, other
worklists, storage of objects that belong to no patient) is refused in the negotiation, so that its SCU
learns early and in the standard's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archive.dicom.instance import Level
from archive.dicom.receiving.commitment import PUSH_MODEL
from archive.dicom.sop_classes import is_storage
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from archive.dicom.workitems import attributes as workitems
from archive.security.operations import Operation


@dataclass(frozen=True, slots=True)
class Service:
    """What a presentation context is for. `root` and `lowest` are the ends of its information model (PS3.4 C.6);
    `records`: answers can be asked for in portions (C.6.4). `family` are the SOP Classes that its requests may name
    instead of its own (CC.3.1)."""

    operation: Operation
    root: Level = Level.PATIENT
    lowest: Level = Level.IMAGE
    records: bool = False
    family: tuple[str, ...] = ()


_WORKITEMS = Service(Operation.UPS, family=workitems.SOP_CLASSES)

SERVICES: Mapping[str, Service] = {
    "1.2.840.10008.1.1": Service(Operation.ECHO),
    PUSH_MODEL: Service(Operation.COMMIT),
    "1.2.840.10008.5.1.4.1.2.1.1": Service(Operation.FIND, Level.PATIENT),
    "1.2.840.10008.5.1.4.1.2.1.2": Service(Operation.MOVE, Level.PATIENT),
    "1.2.840.10008.5.1.4.1.2.1.3": Service(Operation.GET, Level.PATIENT),
    "1.2.840.10008.5.1.4.1.2.2.1": Service(Operation.FIND, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.2.2": Service(Operation.MOVE, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.2.3": Service(Operation.GET, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.3.1": Service(Operation.FIND, Level.PATIENT, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.3.2": Service(Operation.MOVE, Level.PATIENT, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.3.3": Service(Operation.GET, Level.PATIENT, Level.STUDY),
    "1.2.840.10008.5.1.4.31": Service(Operation.WORKLIST),
    "1.2.840.10008.3.1.2.3.3": Service(Operation.MPPS),
    workitems.PUSH: _WORKITEMS,
    workitems.WATCH: _WORKITEMS,
    workitems.PULL: _WORKITEMS,
    workitems.QUERY: _WORKITEMS,
    "1.2.840.10008.5.1.4.1.1.201.6": Service(Operation.FIND, Level.STUDY, records=True),
}
"""Every service but storage, by abstract syntax. Patient/Study Only (1.2.3) is retired, and still asked for."""

STORAGE = Service(Operation.STORE)

UNCOMPRESSED: tuple[str, ...] = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""In the order in which we like them: explicit VR keeps the VR of private and new elements."""


def service(abstract_syntax: str) -> Service | None:
    """What a context with this abstract syntax is for; None when it is no service of ours."""
    known = SERVICES.get(abstract_syntax)
    if known is not None:
        return known
    return STORAGE if is_storage(abstract_syntax) else None


def choose(abstract_syntax: str, transfer_syntaxes: tuple[str, ...], *, as_scu: bool = False) -> str | None:
    """The transfer syntax to accept for this context; None when the abstract syntax is no service of ours, ""
    when none of these transfer syntaxes will do.

    Explicit VR little endian before implicit, these before the others, known before unknown, else the first.
    But where the first is compressed, it is taken: a requestor names first what it has, or wants (storescu
    +C, getscu +xs), and would have to decompress, or could not. Of what we shall send (`as_scu`, C-GET) the
    first is taken in any case, but for implicit VR, which many name first by habit."""
    wanted = service(abstract_syntax)
    if wanted is None:
        return None
    preferred = [uid for uid in UNCOMPRESSED if uid in transfer_syntaxes]
    if wanted.operation is Operation.STORE:
        if _is_first_wanted(transfer_syntaxes, as_scu):
            return transfer_syntaxes[0]
        preferred += [uid for uid in transfer_syntaxes if uid in TRANSFER_SYNTAXES]
        preferred += transfer_syntaxes
    return preferred[0] if preferred else ""


def _is_first_wanted(transfer_syntaxes: tuple[str, ...], as_scu: bool) -> bool:
    first = TRANSFER_SYNTAXES.get(transfer_syntaxes[0]) if transfer_syntaxes else None
    return first is not None and (first.encapsulated or (as_scu and not first.implicit))
