"""Modality Performed Procedure Step as SCP (PS3.4 F.7): N-CREATE and N-SET.

No attributes are sent back: what a modality tells is kept as it was told.
"""

from __future__ import annotations

from pynetdicom.dimse_primitives import N_CREATE

from archive.dicom.errors import CannotUnderstand, InvalidUID
from archive.dicom.identifiers import check_uid
from archive.dicom.reading import data_set
from archive.dicom.receiving.received import DataSet
from archive.dimse.exchange import Exchange
from archive.dimse.statuses import ATTRIBUTE_LIST_ERROR, INVALID_SOP_INSTANCE, SUCCESS, Status, comment

_AFFECTED_SOP_INSTANCE_UID, _REQUESTED_SOP_INSTANCE_UID = 0x00001000, 0x00001001


def answer(exchange: Exchange) -> Status:
    """Create or change one performed step. Raises CannotUnderstand and what the service raises."""
    return _create(exchange) if type(exchange.request) is N_CREATE else _change(exchange)


def _create(exchange: Exchange) -> Status:
    """Without a UID the SCP gives one (PS3.7 10.1.5.1.4)."""
    uid = str(exchange.request.AffectedSOPInstanceUID or "")
    steps = exchange.archive.performed_steps
    if uid and (refused := _no_uid(uid, _AFFECTED_SOP_INSTANCE_UID)):
        return exchange.respond(refused)
    given = steps.create(uid, _attributes(exchange), exchange.ae_title, exchange.association.peer_address)
    return exchange.respond(Status(SUCCESS), sop_instance_uid=given)


def _change(exchange: Exchange) -> Status:
    uid = str(exchange.request.RequestedSOPInstanceUID or "")
    if refused := _no_uid(uid, _REQUESTED_SOP_INSTANCE_UID):
        return exchange.respond(refused)
    steps = exchange.archive.performed_steps
    changed = steps.change(uid, _attributes(exchange), exchange.ae_title)
    if changed.not_set:
        warning = "attributes that may not be set were left as they are"
        return exchange.respond(Status(ATTRIBUTE_LIST_ERROR, warning, changed.not_set))
    return exchange.respond(Status(SUCCESS))


def _no_uid(uid: str, tag: int) -> Status | None:
    """PS3.7 C.5.12: the SOP Instance UID violates the rules of UIDs."""
    try:
        check_uid(uid, tag)
    except InvalidUID as error:
        return Status(INVALID_SOP_INSTANCE, comment(error.reason))
    return None


def _attributes(exchange: Exchange) -> DataSet:
    if exchange.message.data is None:
        raise CannotUnderstand("the request has no attributes")
    return data_set.read(exchange.message.data, exchange.message.context.transfer_syntax)
