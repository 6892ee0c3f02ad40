"""SOP Class Extended Negotiation (PS3.7 D.3.3.5): what a requestor asks of a service beyond its baseline, and what we
answer.

The answer has as many bytes as were offered, and says of each what will be done: what was asked for and what we can.
An option that was not agreed upon is not performed, as PS3.4 C.4.1.3.2 wants: a requestor that did not ask for fuzzy
matching would else take a likeness for its patient. What a handler needs of it is `Agreed`, read from the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.workitems.attributes import PUSH
from archive.dimse.contexts import service
from archive.security.operations import Operation


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed upon for one SOP class, in the order of the bytes of PS3.4 Table C.5-2. Of C-MOVE and C-GET only
    `relational` has a meaning (Table C.5-4)."""

    relational: bool = False
    combined: bool = False
    fuzzy: bool = False
    timezone: bool = False
    enhanced_multi_frame: bool = False
    empty: bool = False
    multiple: bool = False


BASELINE = Agreed()

_SUPPORTED: dict[Operation, bytes] = {
    Operation.FIND: bytes((1, 1, 1, 1, 0, 1, 1)),
    Operation.MOVE: bytes((1, 0)),
    Operation.GET: bytes((1, 0)),
}
"""Byte by byte what we can do: all of it but the conversion of Enhanced Multi-Frame Images."""

_WORKLIST_RESERVED = 2
"""The first bytes of a worklist's information; they are always 1 (PS3.4 K.5.1)."""

_WORKLISTS = frozenset({Operation.WORKLIST, Operation.UPS})
"""UPS is asked as the modality worklist is (PS3.4 CC.3.1); UPS Push asks nothing."""

_STORAGE = bytes((2, 0, 3, 0, 0, 0))
_COERCES = 4
"""PS3.4 B.3.1: level 2 (Full), all attributes are stored; signature level 3, bits are preserved; and whether
attributes are coerced. A storage SCP says what it is, whatever the SCU offers."""


def answer(sop_class_uid: str, information: bytes, *, coerces: bool = False) -> bytes | None:
    """The Service-class-application-information of our A-ASSOCIATE-AC for this SOP class; None for no answer, which
    is the baseline. `coerces`: attributes of stored objects are changed, so neither are bits preserved."""
    wanted = service(sop_class_uid)
    if wanted is None or not information:
        return None
    if wanted.operation is Operation.STORE:
        return _of_storage(coerces)
    if wanted.operation in _WORKLISTS and sop_class_uid != PUSH:
        return _of_worklist(information)
    supported = _SUPPORTED.get(wanted.operation)
    return None if supported is None else _both(information, supported)


def agreed(answered: bytes | None) -> Agreed:
    """What an answer of ours to a query or retrieve SOP class says."""
    return Agreed(*(byte == 1 for byte in answered or b""))


def _both(asked: bytes, supported: bytes) -> bytes:
    return bytes(int(one == 1 and can == 1) for one, can in zip(asked, supported, strict=False))


def _of_storage(coerces: bool) -> bytes:
    said = bytearray(_STORAGE)
    if coerces:
        said[2], said[_COERCES] = 1, 1
    return bytes(said)


def _of_worklist(information: bytes) -> bytes:
    """Fuzzy matching of names where it is asked for; dates and times in the zone of the worklist."""
    fuzzy = information[_WORKLIST_RESERVED : _WORKLIST_RESERVED + 1] == b"\1"
    return bytes((1, 1, fuzzy, 0))[: len(information)]
