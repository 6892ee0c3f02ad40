"""One message: understood, applied, acknowledged.

AA is sent when the worklist has it, durably. AE says that the message is at fault, AR that it cannot be taken here, or
not now. This is the one place of this door where everything is caught: a sender waits for its answer, and holds back
all further messages as long as it gets none.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from archive.bootstrap import Archive
from archive.dicom import errors
from archive.dicom.errors import ArchiveError
from archive.hl7.acknowledging import ACCEPTED, Outcome, acknowledgment
from archive.hl7.message import Message
from archive.hl7.orders import orders

_log = structlog.get_logger()

AT_FAULT, REJECTED = "AE", "AR"
TAKEN = frozenset({("ORM", "O01"), ("OMI", "O23")})
"""MSH-9: message type and trigger event."""

_UNSUPPORTED_TYPE, _UNSUPPORTED_PROCESSING_ID, _INTERNAL_ERROR = 200, 202, 207


@dataclass(eq=False)
class NotTaken(ArchiveError):
    """A message that is refused before it is looked into; `code` is of HL7 table 0357."""

    code: int = _UNSUPPORTED_TYPE


ACKNOWLEDGMENTS: Mapping[type[ArchiveError], Outcome] = {
    ArchiveError: Outcome(REJECTED, _INTERNAL_ERROR),
    errors.InvalidObject: Outcome(AT_FAULT, 102),
    errors.MissingAttribute: Outcome(AT_FAULT, 101),
    errors.InvalidValue: Outcome(AT_FAULT, 102),
    errors.InvalidUID: Outcome(AT_FAULT, 102),
    errors.NotFound: Outcome(AT_FAULT, 204),
    errors.InstanceConflict: Outcome(AT_FAULT, 205),
    errors.OtherPatient: Outcome(AT_FAULT, 204),
    errors.NoLongerChangeable: Outcome(AT_FAULT, _INTERNAL_ERROR),
    errors.OutOfResources: Outcome(REJECTED, _INTERNAL_ERROR),
    errors.ObjectTooLarge: Outcome(AT_FAULT, 102),
}
"""The acknowledgment for each error; a class without a row takes that of the class it descends from."""


def answer(archive: Archive, raw: bytes, address: str) -> bytes:
    """The acknowledgment of one message, without its frame. Never raises."""
    message: Message | None = None
    try:
        message = Message(raw, archive.settings.hl7.character_set)
        check(archive, message)
        source = f"HL7 {message.header.get(3)} {address}"
        keys = archive.orders.apply(
            orders(message, archive.settings.hl7.assigning_authorities), " ".join(source.split())
        )
        outcome = Outcome(ACCEPTED)
        _log.info("order taken", sender=address, entries=keys)
    except ArchiveError as error:
        outcome = worded(error)
        _log.warning("order refused", sender=address, acknowledgment=outcome.code, reason=outcome.reason)
    except Exception as fault:  # noqa: BLE001 - as in the DIMSE door: the connection goes on
        # The type and the place, never the message: it may quote a value.
        place = traceback.extract_tb(fault.__traceback__)[-1]
        _log.error("internal error", type=type(fault).__name__, file=place.filename, line=place.lineno)
        outcome = Outcome(REJECTED, _INTERNAL_ERROR, "internal error: see the log of the archive")
    return acknowledgment(message, outcome)


def worded(error: ArchiveError) -> Outcome:
    """What is said of a message that met this error."""
    if isinstance(error, NotTaken):
        return Outcome(REJECTED, error.code, error.reason)
    row = next(ACKNOWLEDGMENTS[above] for above in type(error).__mro__ if above in ACKNOWLEDGMENTS)
    return Outcome(row.code, row.error, error.reason)


def check(archive: Archive, message: Message) -> None:
    """Whether it is an order for production. Raises NotTaken, MissingValue."""
    header = message.header
    if (header.get(9), header.get(9, 2)) not in TAKEN:
        known = ", ".join("^".join(one) for one in sorted(TAKEN))
        raise NotTaken(f"MSH-9 is none of the messages that are taken here: {known}")
    allowed = archive.settings.hl7.processing_ids
    if header.get(11) not in ("", *allowed):
        raise NotTaken(
            f"MSH-11 is none of {', '.join(allowed)} (setting hl7.processing_ids)", _UNSUPPORTED_PROCESSING_ID
        )
    if not header.get(10):
        raise errors.MissingValue("MSH-10 is empty: no acknowledgment could name the message")
