"""What the DIMSE-N services have in common: the attribute list of a request, and the UID of its instance."""

from __future__ import annotations

from archive.dicom.errors import CannotUnderstand, InvalidUID
from archive.dicom.identifiers import check_uid
from archive.dicom.reading import data_set
from archive.dicom.receiving.received import DataSet
from archive.dimse.exchange import Exchange
from archive.dimse.statuses import INVALID_SOP_INSTANCE, Status, comment

AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID = 0x00001000, 0x00001001


def attributes(exchange: Exchange) -> DataSet:
    """The attribute list. Raises CannotUnderstand when there is none, or it is broken."""
    if exchange.message.data is None:
        raise CannotUnderstand("the request has no attributes")
    return data_set.read(exchange.message.data, exchange.message.context.transfer_syntax)


def no_uid(uid: str, tag: int) -> Status | None:
    """PS3.7 C.5.12: the status for a SOP Instance UID that violates the rules of UIDs."""
    try:
        check_uid(uid, tag)
    except InvalidUID as error:
        return Status(INVALID_SOP_INSTANCE, comment(error.reason))
    return None
