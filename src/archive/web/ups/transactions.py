"""Workitems over HTTP: Create, Retrieve, Update, Change Workitem State, Request Cancellation (PS3.18 11.4 to 11.8).

What may be done is decided in `services/workitems`, for this door as for DIMSE. A Transaction UID is the lock of who
performs a workitem, so it never leaves here again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import orjson

from archive.dicom.errors import MissingAttribute
from archive.dicom.receiving.received import DataSet, first
from archive.dicom.workitems import rules
from archive.dicom.workitems.attributes import WORKLIST_LABEL
from archive.web.data_set_body import DataSetBody
from archive.web.http import charset, media_types, urls
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, Offer
from archive.web.http.multipart_body import related
from archive.web.metadata import xml_parts
from archive.web.ups import refusals, requests
from archive.web.ups.requests import SOP_INSTANCE_UID, TRANSACTION_UID, WORKITEM_NAMES

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

OFFERS = (Offer(DICOM_JSON), Offer(JSON), Offer(DICOM_XML, multipart=True), Offer(DICOM_XML))
"""The representations of one Workitem (PS3.18 Table 11.1.3-1); a single part, as 11.5.3.3 says, in XML too."""

_STATE = "00741000"
_NOT_KEPT = ("Cache-Control", "no-cache")
"""A Workitem may change at any moment."""


def create(archive: Archive, asked: Asked) -> DataSetBody:
    """A new Workitem, in the state SCHEDULED. Raises RequestRefused (415), InvalidUID, InvalidQuery; with the body
    MissingAttribute, InvalidValue, NotScheduled, InstanceConflict."""
    named = requests.uid_parameter(asked, WORKITEM_NAMES, SOP_INSTANCE_UID)

    def act(data_set: DataSet) -> Answer:
        _check_uid(asked, named, data_set)
        made = archive.workitems.create(named, data_set)
        label_given = rules.has_value(data_set, WORKLIST_LABEL)
        told = () if label_given else (refusals.warning(asked, refusals.CREATED_WITH_MODIFICATIONS),)
        return Answer(201, headers=(("Location", urls.workitem_url(asked.base_url, made)), *told))

    return requests.one_data_set(asked, act, "a Workitem")


def retrieve(archive: Archive, asked: Asked) -> Answer:
    """A Workitem, without its Transaction UID. Raises NotFound, Gone, InvalidUID, NotAcceptable."""
    chosen = media_types.choose(asked.accept, OFFERS)
    uid = requests.workitem(asked)
    found = archive.workitems.get(uid)
    headers = (_NOT_KEPT, ("Content-Location", urls.workitem_url(asked.base_url, uid)))
    if chosen.media_type != DICOM_XML:
        return Answer(200, chosen.media_type, orjson.dumps([found]), headers)
    spoken = charset.chosen(asked, DICOM_XML, multipart=chosen.multipart)
    [part] = xml_parts([found], spoken)
    if not chosen.multipart:
        return Answer(200, part.media_type, b"".join(part.pieces), headers)
    return related(DICOM_XML, [replace(part, location=headers[1][1])], headers)


def update(archive: Archive, asked: Asked) -> DataSetBody:
    """Other values for attributes of a Workitem. Raises RequestRefused (415), InvalidUID, InvalidQuery; with the body
    what `Workitems.update` raises."""
    uid = requests.workitem(asked)
    requests.uid_parameter(asked, requests.TRANSACTION_NAMES, TRANSACTION_UID)

    def act(data_set: DataSet) -> Answer:
        transaction_uid = requests.transaction_uid(data_set, asked)
        archive.workitems.update(uid, data_set, transaction_uid)
        return Answer(200, headers=(("Content-Location", urls.workitem_url(asked.base_url, uid)),))

    return requests.one_data_set(
        asked,
        lambda data_set: refusals.answered(asked, partial(act, data_set), refusals.UPDATE),
        "the changes to a Workitem",
    )


def change_state(archive: Archive, asked: Asked) -> DataSetBody:
    """Claim a Workitem, complete it, or cancel it as its performer. Raises RequestRefused (415), InvalidUID,
    InvalidQuery; with the body what `Workitems.change_state` raises."""
    uid = requests.workitem(asked)
    requester = requests.requester(asked)

    def act(state: str, transaction_uid: str) -> Answer:
        if not state:
            raise MissingAttribute("ProcedureStepState is absent or empty", int(_STATE, 16))
        changed = archive.workitems.change_state(uid, state, transaction_uid, requester)
        return Answer(200, headers=() if changed else (refusals.warning(asked, refusals.ALREADY[state]),))

    def checked(data_set: DataSet) -> Answer:
        transaction_uid = requests.transaction_uid(data_set, asked)
        texts = refusals.CHANGE_STATE if transaction_uid else refusals.CHANGE_STATE_UNLOCKED
        state = first(data_set, _STATE).strip()
        return refusals.answered(asked, partial(act, state, transaction_uid), texts)

    return requests.one_data_set(asked, checked, "a change of state")


def request_cancellation(archive: Archive, asked: Asked) -> DataSetBody:
    """Ask that somebody else's Workitem be canceled; the body, which may be absent, says why. Raises RequestRefused
    (415), InvalidUID, InvalidQuery; with the body what `Workitems.request_cancel` raises."""
    uid = requests.workitem(asked)
    requester = requests.requester(asked)

    def act(information: DataSet) -> Answer:
        if archive.workitems.request_cancel(uid, information, requester):
            return Answer(202)
        return Answer(202, headers=(refusals.warning(asked, refusals.ALREADY["CANCELED"]),))

    return requests.one_data_set(asked, act, "a request for cancellation", optional=True)


def _check_uid(asked: Asked, named: str, data_set: DataSet) -> None:
    """A new Workitem has its UID from the query string or from the data set (PS3.18 Table 11.4.1-1). Who gives none
    leaves it to us, but not in strict mode. Raises MissingAttribute."""
    if asked.strict and not (named or first(data_set, f"{SOP_INSTANCE_UID:08X}")):
        raise MissingAttribute(
            "a Workitem UID is neither in the query string nor in the data set", SOP_INSTANCE_UID
        )
