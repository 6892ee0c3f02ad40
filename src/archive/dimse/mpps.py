"""Modality Performed Procedure Step as SCP (PS3.4 F.7): N-CREATE and N-SET.

No attributes are sent back: what a modality tells is kept as it was told.
"""

from __future__ import annotations

from pynetdicom.dimse_primitives import N_CREATE

from archive.dimse.exchange import Exchange
from archive.dimse.normalized import (
    AFFECTED_SOP_INSTANCE_UID,
    REQUESTED_SOP_INSTANCE_UID,
    attributes,
    no_uid,
)
from archive.dimse.statuses import ATTRIBUTE_LIST_ERROR, SUCCESS, Status


def answer(exchange: Exchange) -> Status:
    """Create or change one performed step. Raises CannotUnderstand and what the service raises."""
    return _create(exchange) if type(exchange.request) is N_CREATE else _change(exchange)


def _create(exchange: Exchange) -> Status:
    """Without a UID the SCP gives one (PS3.7 10.1.5.1.4)."""
    uid = str(exchange.request.AffectedSOPInstanceUID or "")
    steps = exchange.archive.performed_steps
    if uid and (refused := no_uid(uid, AFFECTED_SOP_INSTANCE_UID)):
        return exchange.respond(refused)
    given = steps.create(uid, attributes(exchange), exchange.ae_title, exchange.association.peer_address)
    return exchange.respond(Status(SUCCESS), sop_instance_uid=given)


def _change(exchange: Exchange) -> Status:
    uid = str(exchange.request.RequestedSOPInstanceUID or "")
    if refused := no_uid(uid, REQUESTED_SOP_INSTANCE_UID):
        return exchange.respond(refused)
    steps = exchange.archive.performed_steps
    changed = steps.change(uid, attributes(exchange), exchange.ae_title)
    if changed.not_set:
        warning = "attributes that may not be set were left as they are"
        return exchange.respond(Status(ATTRIBUTE_LIST_ERROR, warning, changed.not_set))
    return exchange.respond(Status(SUCCESS))
