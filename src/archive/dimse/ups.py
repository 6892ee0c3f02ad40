"""Unified Procedure Steps as SCP (PS3.4 annex CC): N-CREATE, N-SET, N-GET, N-ACTION and C-FIND over workitems.

Which request belongs into which presentation context is a table (CC.2-1 to CC.2-5); the SOP Class that it names is
mostly that of UPS Push, which all workitems are of, and may be any of the five (CC.3.1). What goes wrong with Action
Information is an Invalid Argument Value (PS3.7 10.1.4.1.10). Events are told on associations of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pynetdicom.dimse_primitives import C_FIND, N_ACTION, N_CREATE, N_GET, N_SET

from archive.dicom.errors import InvalidObject, InvalidQuery
from archive.dicom.query import Query
from archive.dicom.receiving.received import DataSet
from archive.dicom.workitems import attributes as table
from archive.dicom.workitems.attributes import PULL, PUSH, QUERY, WATCH
from archive.dicom.worklist.entries import text
from archive.dimse import worklist
from archive.dimse.answers import encoded_instance
from archive.dimse.exchange import Exchange
from archive.dimse.identifier import Identifier, collected, read
from archive.dimse.normalized import (
    AFFECTED_SOP_INSTANCE_UID,
    REQUESTED_SOP_INSTANCE_UID,
    attributes,
    no_uid,
)
from archive.dimse.statuses import NO_SUCH_ACTION, SUCCESS, Status, misplaced

ALREADY_CANCELED, ALREADY_COMPLETED = 0xB304, 0xB306

CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = 1, 2, 3, 4, 5
"""Action Type IDs (PS3.4 Tables CC.2.1-1, CC.2.2-1, CC.2.3-1)."""

_RECEIVING_AE, _DELETION_LOCK = 0x00741234, 0x00741230
_TRANSACTION_UID = int(table.TRANSACTION_UID, 16)

REQUESTS: Mapping[str, frozenset[type[Any]]] = {
    PUSH: frozenset({N_CREATE, N_ACTION, N_GET}),
    PULL: frozenset({C_FIND, N_GET, N_SET, N_ACTION}),
    WATCH: frozenset({N_ACTION, N_GET, C_FIND}),
    QUERY: frozenset({C_FIND}),
}
"""What is asked in a context of each SOP Class."""

ACTIONS: Mapping[str, frozenset[int]] = {
    PUSH: frozenset({REQUEST_CANCEL}),
    PULL: frozenset({CHANGE_STATE}),
    WATCH: frozenset({REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND}),
}


def answer(exchange: Exchange) -> Status:
    """Answer one request. Raises CannotUnderstand, InvalidQuery and what the service raises."""
    kind, context = type(exchange.request), exchange.message.context.abstract_syntax
    if kind not in REQUESTS[context]:
        return exchange.respond(misplaced(exchange.request))
    return _ANSWERS[kind](exchange)


def _create(exchange: Exchange) -> Status:
    """Without a UID the SCP gives one (PS3.7 10.1.5.1.4)."""
    uid = str(exchange.request.AffectedSOPInstanceUID or "")
    if uid and (refused := no_uid(uid, AFFECTED_SOP_INSTANCE_UID)):
        return exchange.respond(refused)
    given = exchange.archive.workitems.create(uid, attributes(exchange))
    return exchange.respond(Status(SUCCESS), sop_instance_uid=given)


def _set(exchange: Exchange) -> Status:
    uid = _requested(exchange)
    if refused := no_uid(uid, REQUESTED_SOP_INSTANCE_UID):
        return exchange.respond(refused)
    exchange.archive.workitems.update(uid, attributes(exchange))
    return exchange.respond(Status(SUCCESS))


def _get(exchange: Exchange) -> Status:
    """The attributes that are named, all of them if none is; never the Transaction UID (CC.2.7.3)."""
    uid = _requested(exchange)
    if refused := no_uid(uid, REQUESTED_SOP_INSTANCE_UID):
        return exchange.respond(refused)
    found = exchange.archive.workitems.get(uid)
    named = exchange.request.AttributeIdentifierList
    if named:
        tags = [f"{int(tag):08X}" for tag in (named if isinstance(named, list | tuple) else [named])]
        found = {tag: found[tag] for tag in tags if tag in found}
    character_set = worklist.own_character_set(exchange)
    return exchange.respond(
        Status(SUCCESS), encoded_instance(found, character_set, implicit=exchange.implicit)
    )


def _find(exchange: Exchange) -> Status:
    identifier = exchange.identifier()
    asked = worklist.question(identifier, exchange.agreed)
    if any(_TRANSACTION_UID in key.path for key in asked.query.keys):
        asked = replace(asked, unsupported_keys=True)
    return worklist.send(exchange, identifier, asked, exchange.archive.workitems.search)


def _act(exchange: Exchange) -> Status:
    uid, action = _requested(exchange), exchange.request.ActionTypeID
    if refused := no_uid(uid, REQUESTED_SOP_INSTANCE_UID):
        return exchange.respond(refused)
    if action not in ACTIONS[exchange.message.context.abstract_syntax]:
        return exchange.respond(Status(NO_SUCH_ACTION, "the action does not belong into this context"))
    try:
        return _ACTIONS[action](exchange, uid)
    except InvalidObject as error:
        raise InvalidQuery(error.reason, getattr(error, "tag", 0)) from None


def _change_state(exchange: Exchange, uid: str) -> Status:
    information = attributes(exchange)
    state, lock = text(information, table.STATE), text(information, table.TRANSACTION_UID)
    if exchange.archive.workitems.change_state(uid, state, lock, exchange.ae_title):
        return exchange.respond(Status(SUCCESS))
    code = ALREADY_CANCELED if state == "CANCELED" else ALREADY_COMPLETED
    return exchange.respond(Status(code, f"the UPS is already in the requested state of {state}"))


def _request_cancel(exchange: Exchange, uid: str) -> Status:
    information: DataSet = attributes(exchange) if exchange.message.data is not None else {}
    if exchange.archive.workitems.request_cancel(uid, information, exchange.ae_title):
        return exchange.respond(Status(SUCCESS))
    return exchange.respond(Status(ALREADY_CANCELED, "the UPS is already in the requested state of CANCELED"))


def _subscribe(exchange: Exchange, uid: str) -> Status:
    information = _information(exchange)
    locked = next(iter(information.values(_DELETION_LOCK)), "FALSE")
    if locked not in ("TRUE", "FALSE"):
        raise InvalidQuery("DeletionLock is TRUE or FALSE", _DELETION_LOCK)
    exchange.archive.workitems.subscribe(
        _receiver(information), uid, locked == "TRUE", _matching_keys(exchange, information), reported=True
    )
    return exchange.respond(Status(SUCCESS))


def _unsubscribe(exchange: Exchange, uid: str) -> Status:
    exchange.archive.workitems.unsubscribe(_receiver(_information(exchange)), uid)
    return exchange.respond(Status(SUCCESS))


def _suspend(exchange: Exchange, uid: str) -> Status:
    exchange.archive.workitems.suspend(_receiver(_information(exchange)), uid)
    return exchange.respond(Status(SUCCESS))


def _information(exchange: Exchange) -> Identifier:
    """Action Information that may hold matching keys, read as those of a C-FIND are."""
    return read(collected(exchange.message.data), exchange.message.context.transfer_syntax)


def _receiver(information: Identifier) -> str:
    named = information.values(_RECEIVING_AE)
    if len(named) != 1:
        raise InvalidQuery("ReceivingAE has one value: who is to be told", _RECEIVING_AE)
    return named[0]


def _matching_keys(exchange: Exchange, information: Identifier) -> Query:
    """The keys of a filtered subscription; each has to be one that restricts."""
    keys = {
        tag: one for tag, one in information.elements.items() if tag not in (_RECEIVING_AE, _DELETION_LOCK)
    }
    asked = worklist.question(replace(information, elements=keys), exchange.agreed)
    if asked.unsupported_keys or any(_TRANSACTION_UID in key.path for key in asked.query.keys):
        raise InvalidQuery("a matching key of the subscription is not matched here: leave it out")
    return asked.query


def _requested(exchange: Exchange) -> str:
    return str(exchange.request.RequestedSOPInstanceUID or "")


_ANSWERS: Mapping[type[Any], Callable[[Exchange], Status]] = {
    N_CREATE: _create,
    N_SET: _set,
    N_GET: _get,
    N_ACTION: _act,
    C_FIND: _find,
}
_ACTIONS: Mapping[int, Callable[[Exchange, str], Status]] = {
    CHANGE_STATE: _change_state,
    REQUEST_CANCEL: _request_cancel,
    SUBSCRIBE: _subscribe,
    UNSUBSCRIBE: _unsubscribe,
    SUSPEND: _suspend,
}
