"""Which presentation contexts we accept, and with which transfer syntax: pure tables and one decision.

Storage is everything that is not known to be something else: a standard storage class, a retired one, a
private one, and one that the standard has learnt since this was written. Bytes are kept and not understood,
so the transfer syntax may be any, too. What PS3.6 registers as anything else (worklist, MPPS, print,
commitment, storage of objects that belong to no patient) is refused in the negotiation, so that its SCU
learns early and in the standard's words."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive.dicom.instance import Level
from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES


class Operation(enum.Enum):
    """The DIMSE operation that a service is made of."""

    ECHO = "C-ECHO"
    STORE = "C-STORE"
    FIND = "C-FIND"
    MOVE = "C-MOVE"
    GET = "C-GET"


@dataclass(frozen=True, slots=True)
class Service:
    """What a presentation context is for. `root` is the top level of its information model (PS3.4 C.6)."""

    operation: Operation
    root: Level = Level.PATIENT


SERVICES: Mapping[str, Service] = {
    "1.2.840.10008.1.1": Service(Operation.ECHO),
    "1.2.840.10008.5.1.4.1.2.1.1": Service(Operation.FIND, Level.PATIENT),
    "1.2.840.10008.5.1.4.1.2.1.2": Service(Operation.MOVE, Level.PATIENT),
    "1.2.840.10008.5.1.4.1.2.1.3": Service(Operation.GET, Level.PATIENT),
    "1.2.840.10008.5.1.4.1.2.2.1": Service(Operation.FIND, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.2.2": Service(Operation.MOVE, Level.STUDY),
    "1.2.840.10008.5.1.4.1.2.2.3": Service(Operation.GET, Level.STUDY),
}
"""Every service but storage, by abstract syntax."""

STORAGE = Service(Operation.STORE)

UNCOMPRESSED: tuple[str, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""In the order in which we like them: explicit VR keeps the VR of private and new elements."""

_NO_STORAGE_OF_PATIENT_OBJECTS = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory: media only
        "1.2.840.10008.1.20.1",  # Storage Commitment Push Model
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol: it and the next belong to no patient (PS3.4 GG)
        "1.2.840.10008.5.1.4.39.1",  # Color Palette
        "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template
        "1.2.840.10008.5.1.4.44.1",  # Implant Assembly Template
        "1.2.840.10008.5.1.4.45.1",  # Implant Template Group
        "1.2.840.10008.5.1.4.1.1.200.1",  # CT Defined Procedure Protocol
        "1.2.840.10008.5.1.4.1.1.200.3",  # Protocol Approval
        "1.2.840.10008.5.1.4.1.1.200.7",  # XA Defined Procedure Protocol
        "1.2.840.10008.5.1.4.1.1.201.1",  # Inventory
    }
)


def service(abstract_syntax: str) -> Service | None:
    """What a context with this abstract syntax is for; None when it is no service of ours."""
    known = SERVICES.get(abstract_syntax)
    if known is not None:
        return known
    return STORAGE if is_storage(abstract_syntax) else None


def is_storage(uid: str) -> bool:
    """Whether this is, or may well be, a SOP class of the Storage service (PS3.4 annex B)."""
    if uid in _NO_STORAGE_OF_PATIENT_OBJECTS or uid in SERVICES:
        return False
    registered = UID(uid)
    if registered.name in (uid, ""):
        return True
    return registered.type == "SOP Class" and "Storage" in registered.name


def choose(abstract_syntax: str, transfer_syntaxes: tuple[str, ...]) -> str | None:
    """The transfer syntax to accept for this context; None when the abstract syntax is no service of ours, ""
    when none of these transfer syntaxes will do.

    Explicit VR little endian before implicit, these before any compressed one (a sender of compressed objects
    offers them in contexts of their own), known before unknown, else the first."""
    wanted = service(abstract_syntax)
    if wanted is None:
        return None
    preferred = [uid for uid in UNCOMPRESSED if uid in transfer_syntaxes]
    if wanted.operation is Operation.STORE:
        preferred += [uid for uid in transfer_syntaxes if uid in TRANSFER_SYNTAXES]
        preferred += transfer_syntaxes
    return preferred[0] if preferred else ""
