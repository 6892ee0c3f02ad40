"""/api/patients and /api/corrections: of whom something is stored, and putting right what is said of patients and
studies.

    POST /api/corrections
    {"kind": "merge", "patient": {"PatientID": "T4711"}, "to": {"PatientID": "12345", "IssuerOfPatientID": "HOSPITAL"},
     "reason": "emergency patient identified"}

The answer is 202 as long as the jobs have something left to do; asking for the correction tells how far it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.identifiers import check_uid
from archive.services.corrections import Correction, Corrections, Kind, PatientKey, State
from archive.web.api import json_body, listing
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 100
CHANGE_ID = "change-id"
KINDS = (Kind.UPDATE_PATIENT, Kind.MERGE, CHANGE_ID, Kind.MOVE_STUDY, Kind.UPDATE_STUDY)
_STUDY_INSTANCE_UID = 0x0020000D
_DIGITS = 18
_KEY = {"PatientID": str, "IssuerOfPatientID": str}
_MEMBERS: Mapping[str, type] = {
    "kind": str,
    "patient": dict,
    "to": dict,
    "study": str,
    "attributes": dict,
    "reason": str,
    "anyway": bool,
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    Kind.UPDATE_PATIENT: ("patient", "attributes"),
    Kind.MERGE: ("patient", "to"),
    CHANGE_ID: ("patient", "to"),
    Kind.MOVE_STUDY: ("study", "to"),
    Kind.UPDATE_STUDY: ("study", "attributes"),
}


def patients(archive: Archive, asked: Asked) -> Answer:
    """The patients of whom something is stored, by PatientID and PatientName. Raises InvalidQuery."""
    patient_id, name = asked.parameter("PatientID") or "", asked.parameter("PatientName") or ""
    found = archive.patients.find(patient_id, name, listing.limit(asked, DEFAULT_LIMIT, MOST))
    return json_body.answer([dataclasses.asdict(one) for one in found])


def search(archive: Archive, asked: Asked) -> Answer:
    """The last corrections, newest first. Raises InvalidQuery, InvalidUID."""
    state = asked.parameter("state")
    if state is not None and state not in tuple(State):
        raise InvalidQuery(f"state is one of {', '.join(State)}")
    study = asked.parameter("study") or ""
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
    patient_id = asked.parameter("PatientID") or ""
    key = PatientKey(patient_id, asked.parameter("IssuerOfPatientID") or "") if patient_id else None
    states = (State(state),) if state else ()
    found = archive.corrections.last(listing.limit(asked, DEFAULT_LIMIT, MOST), states, key, study)
    return json_body.answer([_described(one) for one in found])


def one(archive: Archive, asked: Asked) -> Answer:
    """One of them, with how far it is in each study. Raises NotFound."""
    return json_body.answer(_whole(archive, _number(asked)))


def make(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Make a correction: as many follow from it as the answer says. Raises RequestRefused (415)."""

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, _MEMBERS)
        return _answer(archive, _make(archive.corrections, wanted, f"api {asked.peer_address}".strip()))

    return json_body.taker(asked, act)


def undo(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Take a correction back; the body may give a reason. Raises NotFound, RequestRefused (415)."""
    number = _number(asked)

    def act(value: Any) -> Answer:
        reason = json_body.members(value, {"reason": str}).get("reason", "")
        return _answer(archive, archive.corrections.undo(number, f"api {asked.peer_address}".strip(), reason))

    return json_body.taker(asked, act)


def retry(archive: Archive, asked: Asked) -> Answer:
    """Try again what has failed. Raises NotFound, InstanceConflict."""
    number = _number(asked)
    archive.corrections.retry(number)
    return _answer(archive, [number])


def _make(corrections: Corrections, wanted: Mapping[str, Any], by: str) -> list[int]:
    kind = wanted.get("kind", "")
    if kind not in KINDS:
        raise RequestRefused(f"kind is one of {', '.join(KINDS)}")
    for member in _NEEDED[kind]:
        if not wanted.get(member):
            raise RequestRefused(f"{kind} needs the member {member}")
    reason, attributes = wanted.get("reason", ""), _attributes(wanted.get("attributes", {}))
    study = wanted.get("study", "")
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
    patient, target = _key(wanted.get("patient", {})), _key(wanted.get("to", {}))
    anyway = wanted.get("anyway", False)
    acts: Mapping[str, Callable[[], list[int]]] = {
        Kind.UPDATE_PATIENT: lambda: corrections.update_patient(patient, attributes, by, reason),
        Kind.MERGE: lambda: corrections.merge(patient, target, attributes, by, reason, anyway=anyway),
        CHANGE_ID: lambda: corrections.change_id(patient, target, attributes, by, reason),
        Kind.MOVE_STUDY: lambda: corrections.move_study(study, target, attributes, by, reason),
        Kind.UPDATE_STUDY: lambda: corrections.update_study(study, attributes, by, reason),
    }
    return acts[kind]()


def _key(value: Any) -> PatientKey:
    members = json_body.members(value, _KEY)
    return PatientKey(members.get("PatientID", ""), members.get("IssuerOfPatientID", ""))


def _attributes(value: dict[Any, Any]) -> dict[str, str]:
    if not all(isinstance(text, str) for text in value.values()):
        raise RequestRefused("attributes are texts by keyword; an empty one takes the value away")
    return value


def _answer(archive: Archive, numbers: list[int]) -> Answer:
    made = [_whole(archive, number) for number in numbers]
    is_pending = any(each["state"] == State.PENDING for each in made)
    return json_body.answer(made, 202 if is_pending else 200)


def _whole(archive: Archive, number: int) -> dict[str, Any]:
    studies = archive.corrections.studies(number)
    told = [{"StudyInstanceUID": uid, "state": state, "reason": why} for uid, (state, why) in studies.items()]
    return _described(archive.corrections.get(number)) | {"studies": told}


def _described(correction: Correction) -> dict[str, Any]:
    members = dataclasses.asdict(correction)
    del members["begun"]
    for name in ("made_at", "done_at"):
        members[name] = listing.moment(members[name])
    return members


def _number(asked: Asked) -> int:
    text = asked.path["correction"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no correction of this number")
    return int(text)
