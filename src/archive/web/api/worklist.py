"""/api/worklist: the entries of the modality worklist, written and read by keyword; and /api/performed-steps: what
modalities have told of them.

    POST /api/worklist
    {"PatientID": "4711", "PatientName": "Doe^Jane", "RequestedProcedureDescription": "CT of the head",
     "ScheduledProcedureStepSequence": [{"Modality": "CT", "ScheduledStationAETitle": "CT1"}]}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.identifiers import check_uid
from archive.dicom.worklist import keyword_form, performed_steps
from archive.dicom.worklist.entries import STATES
from archive.services.performed_steps import Step
from archive.services.worklist import Entry
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 1000
_LARGEST_KEY = 2**63 - 1
_SOP_INSTANCE_UID = 0x00080018
_STATE = {"state": str}


def search(archive: Archive, asked: Asked) -> Answer:
    """Entries in the order of their dates. Raises InvalidQuery."""
    state = asked.parameter("state")
    if state is not None and state not in STATES:
        raise InvalidQuery(f"state is one of {', '.join(STATES)}")
    found = archive.worklist.all(
        STATES if state is None else (state,), listing.limit(asked, DEFAULT_LIMIT, MOST)
    )
    return json_body.answer([_entry(one) for one in found])


def one(archive: Archive, asked: Asked) -> Answer:
    """One entry. Raises NotFound."""
    return json_body.answer(_entry(archive.worklist.get(_key(asked))))


def add(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """New entries, one for each item of ScheduledProcedureStepSequence. Raises RequestRefused (415)."""

    def act(value: Any) -> Answer:
        keys = archive.worklist.add(keyword_form.data_set(value), _source(asked))
        made = [_entry(archive.worklist.get(key)) for key in keys]
        return json_body.answer(made, 201)

    return json_body.taker(asked, act)


def replace(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Other content for an entry. Raises NotFound, RequestRefused (415)."""
    key = _key(asked)

    def act(value: Any) -> Answer:
        return json_body.answer(
            _entry(archive.worklist.replace(key, keyword_form.data_set(value), _source(asked)))
        )

    return json_body.taker(asked, act)


def plan(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """`{"state": "ARRIVED"}`. Raises NotFound, RequestRefused (415)."""
    key = _key(asked)

    def act(value: Any) -> Answer:
        state = json_body.members(value, _STATE).get("state", "")
        return json_body.answer(_entry(archive.worklist.plan(key, state, _source(asked))))

    return json_body.taker(asked, act)


def remove(archive: Archive, asked: Asked) -> Answer:
    """Forget an entry. Raises NotFound."""
    archive.worklist.remove(_key(asked))
    return Answer(204)


def steps(archive: Archive, asked: Asked) -> Answer:
    """The performed steps that were told of last. Raises InvalidQuery."""
    return json_body.answer(
        [_step(one) for one in archive.performed_steps.newest(listing.limit(asked, DEFAULT_LIMIT, MOST))]
    )


def step(archive: Archive, asked: Asked) -> Answer:
    """One performed step. Raises NotFound, InvalidUID."""
    uid = check_uid(asked.path["step"], _SOP_INSTANCE_UID)
    return json_body.answer(_step(archive.performed_steps.find(uid)))


def _source(asked: Asked) -> str:
    return f"api {asked.peer_address}".strip()


def _key(asked: Asked) -> int:
    text = asked.path["entry"]
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _LARGEST_KEY):
        raise NotFound("the worklist has no entry of this number")
    return int(text)


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "attributes": keyword_form.written(entry.data_set),
        "source": entry.source,
        "added_at": listing.moment(entry.added_at),
        "changed_at": listing.moment(entry.changed_at),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "SOPInstanceUID": step.SOPInstanceUID,
        "status": performed_steps.status_of(step.data_set),
        "attributes": keyword_form.written(step.data_set),
        "calling_ae_title": step.calling_ae_title,
        "created_at": listing.moment(step.created_at),
        "changed_at": listing.moment(step.changed_at),
    }
