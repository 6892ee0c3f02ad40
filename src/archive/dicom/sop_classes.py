"""Which SOP classes the archive stores: those of the Storage service whose objects belong to a patient (PS3.4 annex B).

A SOP class that PS3.6 does not register is taken for one: it is private, or younger than our table, and bytes are kept
without being understood. What PS3.6 registers as something else is refused by name.
"""

from __future__ import annotations

from pydicom.uid import UID_dictionary

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
"""PS3.4 annex B, as common extended negotiation names it (PS3.7 D.3.3.6)."""

_BELONGS_TO_NO_PATIENT = frozenset(
    (
        MEDIA_STORAGE_DIRECTORY,
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol: it and those below are PS3.4 annex GG
        "1.2.840.10008.5.1.4.39.1",  # Color Palette
        "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template
        "1.2.840.10008.5.1.4.44.1",  # Implant Assembly Template
        "1.2.840.10008.5.1.4.45.1",  # Implant Template Group
        "1.2.840.10008.5.1.4.1.1.200.1",  # CT Defined Procedure Protocol
        "1.2.840.10008.5.1.4.1.1.200.3",  # Protocol Approval
        "1.2.840.10008.5.1.4.1.1.200.7",  # XA Defined Procedure Protocol
        "1.2.840.10008.5.1.4.1.1.201.1",  # Inventory
    )
)
_COMMITMENT = frozenset(("1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"))


def is_storage(uid: str) -> bool:
    """Whether this is, or may well be, a SOP class whose objects the archive takes."""
    if uid in _BELONGS_TO_NO_PATIENT or uid in _COMMITMENT:
        return False
    registered = UID_dictionary.get(uid)
    if registered is None or not registered[0]:
        return True
    return registered[1] == "SOP Class" and "Storage" in registered[0]


def is_registered(uid: str) -> bool:
    """Whether PS3.6 knows this UID, as far as our table goes."""
    registered = UID_dictionary.get(uid)
    return registered is not None and bool(registered[0])


def sop_class_name(uid: str) -> str:
    """The name in PS3.6; the UID itself if it has none."""
    registered = UID_dictionary.get(uid)
    return str(registered[0]) if registered is not None and registered[0] else uid
