"""C-STORE (PS3.4 annex B): each piece goes to the ingest service as it comes; Success when the object is
safe, or a warning when attributes of it were coerced, or when it is kept aside because its identifiers are taken."""

from __future__ import annotations

from archive.dicom.errors import CannotUnderstand, ObjectMismatch, UnsupportedSOPClass
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.dicom.sop_classes import is_storage, sop_class_name
from archive.dimse.exchange import Exchange
from archive.dimse.statuses import SUCCESS, Status, comment

_AFFECTED_SOP_CLASS_UID = 0x00000002
_AFFECTED_SOP_INSTANCE_UID = 0x00001000


def _check_class(named: str, negotiated: str) -> None:
    """A command for something that is never stored here is told so first (PS3.7 annex C: 0122)."""
    if named and not is_storage(named):
        raise UnsupportedSOPClass(f"{sop_class_name(named)} is not stored here", tag=_AFFECTED_SOP_CLASS_UID)
    if named != negotiated:
        raise ObjectMismatch(
            "the SOP class of the command is not that of the presentation context",
            tag=_AFFECTED_SOP_CLASS_UID,
        )


def answer(exchange: Exchange) -> Status:
    """Store one object. Raises what ingest raises; nothing is left of an object that was refused."""
    command, context, association = exchange.request, exchange.message.context, exchange.association
    _check_class(str(command.AffectedSOPClassUID or ""), context.abstract_syntax)
    sop_instance_uid = check_uid(str(command.AffectedSOPInstanceUID or ""), _AFFECTED_SOP_INSTANCE_UID)
    if exchange.message.data is None:
        raise CannotUnderstand("the request has no data set")
    source = Source("DIMSE", association.peer_address, exchange.ae_title, association.called_ae_title)
    with exchange.archive.ingest.data_set(
        context.transfer_syntax, context.abstract_syntax, sop_instance_uid, source
    ) as reception:
        association.pass_on(exchange.message, reception.write)
        receipt = reception.finish()
    if receipt.warning:
        return exchange.respond(Status(receipt.warning, comment(receipt.remark), receipt.offending))
    return exchange.respond(Status(SUCCESS))
