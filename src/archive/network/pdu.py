"""The PDUs of PS3.8 9.3: types, header, the short ones as bytes, and P-DATA-TF taken apart and put together.

pynetdicom's `pdu` decodes a P-DATA-TF into objects with a copy at each layer and trusts every declared
length; this is the path of an object, so it is split here, on memoryviews, each length checked.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from struct import Struct

from archive.dicom.errors import AssociationAborted

A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = range(1, 8)

HEADER = Struct(">BxI")
"""PDU type and length of what follows."""

_PDV_HEADER = Struct(">IBB")
"""Length of what follows, presentation context ID, message control header (PS3.8 E.2)."""
_PDV_OVERHEAD = _PDV_HEADER.size
COMMAND, LAST = 1, 2
"""Bits of the message control header."""

RELEASE_RQ = HEADER.pack(A_RELEASE_RQ, 4) + bytes(4)
RELEASE_RP = HEADER.pack(A_RELEASE_RP, 4) + bytes(4)

UNLIMITED_PDU = 1 << 20
"""Length of the P-DATA-TF we send to a peer that announces no maximum (0)."""


class AbortReason(enum.IntEnum):
    """Reason of an A-ABORT whose source is the service provider (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER = 6


Fragment = tuple[int, int, memoryview]
"""Presentation context ID, message control header, bytes."""


def abort_pdu(reason: int | None = None) -> bytes:
    """A-ABORT by the service provider for `reason`; without one, by the service user (PS3.8 9.3.8)."""
    source = 0 if reason is None else 2
    return HEADER.pack(A_ABORT, 4) + bytes((0, 0, source, reason or 0))


def reject_pdu(result: int, source: int, diagnostic: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return HEADER.pack(A_ASSOCIATE_RJ, 4) + bytes((0, result, source, diagnostic))


def fragments(body: memoryview) -> list[Fragment]:
    """The presentation data values of a P-DATA-TF. Raises AssociationAborted where a length does not fit."""
    found = []
    position = 0
    while position < len(body):
        if len(body) - position < _PDV_OVERHEAD:
            raise AssociationAborted("a PDV header is cut short", AbortReason.INVALID_PDU_PARAMETER)
        length, context_id, control = _PDV_HEADER.unpack_from(body, position)
        end = position + 4 + length
        if length < 2 or end > len(body):
            raise AssociationAborted("a PDV does not fit its PDU", AbortReason.INVALID_PDU_PARAMETER)
        found.append((context_id, control, body[position + _PDV_OVERHEAD : end]))
        position = end
    if not found:
        raise AssociationAborted("a P-DATA-TF without PDV", AbortReason.INVALID_PDU_PARAMETER)
    return found


def p_data(
    context_id: int, kind: int, data: Iterable[bytes | memoryview], maximum: int
) -> Iterator[list[bytes | memoryview]]:
    """P-DATA-TF PDUs for a whole command set (`kind` COMMAND) or data set (0), each a list of buffers to
    gather.

    No PDU is longer than `maximum`; pieces are cut and joined to fill them. The last one carries LAST, so
    there is always at least one.
    """
    room = maximum - _PDV_OVERHEAD
    held: list[memoryview] = []
    size = 0
    for piece in data:
        view = memoryview(piece)
        while len(view):
            if size == room:
                yield _pdu(context_id, kind, held, size)
                held, size = [], 0
            part = view[: room - size]
            held.append(part)
            size += len(part)
            view = view[len(part) :]
    yield _pdu(context_id, kind | LAST, held, size)


def _pdu(context_id: int, control: int, held: list[memoryview], size: int) -> list[bytes | memoryview]:
    length = size + _PDV_OVERHEAD
    return [HEADER.pack(P_DATA_TF, length) + _PDV_HEADER.pack(size + 2, context_id, control), *held]
