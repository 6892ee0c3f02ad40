"""N-ACTION of the Storage Commitment Push Model (PS3.4 J.3.2, PS3.7 10.1.4): the request to keep what was stored.

Success means that the request is in the index; what comes of it is told later (`telling`). What is wrong with it is
said in the words of PS3.7 10.1.4.1.10; a Transaction UID in use is an Invalid Argument Value.
"""

from __future__ import annotations

from archive.dicom.errors import InvalidObject, InvalidQuery
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.dicom.reading import data_set
from archive.dicom.receiving import commitment, received
from archive.dicom.receiving.commitment import (
    PUSH_MODEL_INSTANCE,
    REQUEST_STORAGE_COMMITMENT,
    Reference,
)
from archive.dimse.exchange import Exchange
from archive.dimse.statuses import (
    INVALID_SOP_INSTANCE,
    NO_SUCH_ACTION,
    NO_SUCH_SOP_INSTANCE,
    SUCCESS,
    Status,
)

_REQUESTED_SOP_INSTANCE_UID = 0x00001001


def answer(exchange: Exchange) -> Status:
    """Take the request. Raises InvalidQuery, TransactionInUse, ObjectTooLarge, OutOfResources."""
    pieces = list(exchange.message.data or ())
    misdirected = _misdirected(exchange)
    if misdirected is not None:
        return exchange.respond(misdirected)
    transaction_uid, references = _asked(pieces, exchange.message.context.transfer_syntax)
    association = exchange.association
    source = Source("DIMSE", association.peer_address, exchange.ae_title, association.called_ae_title)
    held = exchange.archive.reports.accept(transaction_uid, references, source)
    exchange.telling.expect(held, exchange.message.context)
    return exchange.respond(Status(SUCCESS))


def _misdirected(exchange: Exchange) -> Status | None:
    """The status for a request that is not about the one SOP Instance, or not for the one action (J.3.2.1, J.3.5)."""
    request = exchange.request
    uid = str(request.RequestedSOPInstanceUID or "")
    try:
        check_uid(uid or PUSH_MODEL_INSTANCE, _REQUESTED_SOP_INSTANCE_UID)
    except InvalidObject:
        return Status(INVALID_SOP_INSTANCE, "RequestedSOPInstanceUID is no UID")
    if uid != PUSH_MODEL_INSTANCE:
        return Status(NO_SUCH_SOP_INSTANCE, f"the SOP Instance has to be {PUSH_MODEL_INSTANCE}")
    if request.ActionTypeID != REQUEST_STORAGE_COMMITMENT:
        return Status(NO_SUCH_ACTION, "the only action is 1, Request Storage Commitment")
    return None


def _asked(pieces: list[bytes], transfer_syntax_uid: str) -> tuple[str, list[Reference]]:
    """Raises InvalidQuery for Action Information that asks for nothing, ObjectTooLarge."""
    try:
        read = data_set.read(pieces, transfer_syntax_uid)
        return commitment.action(received.data_set(read))
    except InvalidObject as error:
        raise InvalidQuery(error.reason) from None
