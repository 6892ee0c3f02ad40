"""C-STORE (PS3.4 annex B): each piece goes to the ingest service as it comes; Success when the object is
safe, or a warning when attributes of it were coerced."""

from __future__ import annotations

from archive.dicom.errors import CannotUnderstand, ObjectMismatch
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.dimse.exchange import Exchange
from archive.dimse.statuses import SUCCESS, Status, comment

_AFFECTED_SOP_CLASS_UID = 0x00000002
_AFFECTED_SOP_INSTANCE_UID = 0x00001000


def answer(exchange: Exchange) -> Status:
    """Store one object. Raises what ingest raises; nothing is left of an object that was refused."""
    command, context, association = exchange.request, exchange.message.context, exchange.association
    if command.AffectedSOPClassUID != context.abstract_syntax:
        raise ObjectMismatch(
            "the SOP class of the command is not that of the presentation context",
            tag=_AFFECTED_SOP_CLASS_UID,
        )
    sop_instance_uid = check_uid(str(command.AffectedSOPInstanceUID or ""), _AFFECTED_SOP_INSTANCE_UID)
    if exchange.message.data is None:
        raise CannotUnderstand("the request has no data set")
    source = Source("DIMSE", association.peer_address, exchange.ae_title, association.called_ae_title)
    with exchange.archive.ingest.data_set(
        context.transfer_syntax, context.abstract_syntax, sop_instance_uid, source
    ) as reception:
        for piece in exchange.message.data:
            reception.write(piece)
        receipt = reception.finish()
    if receipt.warning:
        return exchange.respond(Status(receipt.warning, comment(receipt.remark), receipt.offending))
    return exchange.respond(Status(SUCCESS))
