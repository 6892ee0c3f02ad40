"""One message: understood, applied, acknowledged.

AA is sent when what it says is recorded, durably. AE says that the message is at fault, AR that it cannot be taken
here, or not now. This is the one place of this door where everything is caught: a sender waits for its answer, and
holds back all further messages as long as it gets none.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from archive.bootstrap.building import Archive
from archive.dicom import errors
from archive.dicom.errors import ArchiveError
from archive.hl7 import patients
from archive.hl7.acknowledging import ACCEPTED, Outcome, acknowledgment
from archive.hl7.message import Message
from archive.hl7.orders import orders
from archive.hl7.patients import Action

_log = structlog.get_logger()

AT_FAULT, REJECTED = "AE", "AR"
ORDERS = frozenset({("ORM", "O01"), ("OMI", "O23")})
"""MSH-9: message type and trigger event."""
PATIENTS = "ADT"

_UNSUPPORTED_TYPE, _UNSUPPORTED_EVENT, _UNSUPPORTED_PROCESSING_ID, _INTERNAL_ERROR = 200, 201, 202, 207


_NOTHING_CHANGED = "nothing that is stored had to be changed"


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
    errors.InvalidEntry: Outcome(AT_FAULT, 102),
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
        outcome = _taken(archive, message, " ".join(source.split()), address)
    except ArchiveError as error:
        outcome = worded(error)
        _log.warning("message refused", sender=address, acknowledgment=outcome.code, reason=outcome.reason)
    except Exception as fault:  # noqa: BLE001 - as in the DIMSE door: the connection goes on
        # The type and the place, never the message: it may quote a value.
        place = traceback.extract_tb(fault.__traceback__)[-1]
        _log.error("internal error", type=type(fault).__name__, file=place.filename, line=place.lineno)
        outcome = Outcome(REJECTED, _INTERNAL_ERROR, "internal error: see the log of the archive")
    return acknowledgment(message, outcome)


def _taken(archive: Archive, message: Message, source: str, address: str) -> Outcome:
    """Do what it says. Raises what `worded` words."""
    authorities = archive.settings.hl7.assigning_authorities
    if is_order(message):
        keys = archive.orders.apply(orders(message, authorities), source)
        _log.info("order taken", sender=address, entries=keys)
        return Outcome(ACCEPTED)
    event, action = patients.event(message), patients.action(message)
    reason = " ".join(f"{PATIENTS}^{event} {message.header.get(10)}".split())
    numbers: list[int] = []
    if action is Action.UPDATE:
        said = patients.update(message, authorities)
        numbers = archive.patient_updates.update(said.identifiers, said.attributes, source, reason)
    elif action in (Action.MERGE, Action.CHANGE):
        numbers = archive.patient_updates.merge(patients.merges(message, authorities), source, reason)
    elif action is Action.MOVE:
        numbers = archive.patient_updates.move(patients.move(message, authorities), source, reason)
    _log.info("news of a patient taken", sender=address, trigger=event, corrections=numbers)
    return Outcome(ACCEPTED, reason="" if numbers else _NOTHING_CHANGED)


def worded(error: ArchiveError) -> Outcome:
    """What is said of a message that met this error."""
    if isinstance(error, NotTaken):
        return Outcome(REJECTED, error.code, error.reason)
    row = next(ACKNOWLEDGMENTS[above] for above in type(error).__mro__ if above in ACKNOWLEDGMENTS)
    return Outcome(row.code, row.error, error.reason)


def is_order(message: Message) -> bool:
    """Whether it is about the worklist."""
    return (message.header.get(9), message.header.get(9, 2)) in ORDERS


def check(archive: Archive, message: Message) -> None:
    """Whether it is a message that is taken here, for production. Raises NotTaken, MissingValue."""
    header = message.header
    if not is_order(message):
        _check_event(message)
    allowed = archive.settings.hl7.processing_ids
    if header.get(11) not in ("", *allowed):
        raise NotTaken(
            f"MSH-11 is none of {', '.join(allowed)} (setting hl7.processing_ids)", _UNSUPPORTED_PROCESSING_ID
        )
    if not header.get(10):
        raise errors.MissingValue("MSH-10 is empty: no acknowledgment could name the message")


def _check_event(message: Message) -> None:
    if message.header.get(9) != PATIENTS:
        known = ", ".join(["ADT", *("^".join(one) for one in sorted(ORDERS))])
        raise NotTaken(f"MSH-9 is none of the messages that are taken here: {known}")
    if patients.action(message) is None:
        raise NotTaken(
            "the trigger event (MSH-9.2) is none that is known here. Merges are taken as ADT^A40, other Patient IDs as "
            "ADT^A47, demographics as ADT^A08 or ADT^A31",
            _UNSUPPORTED_EVENT,
        )
