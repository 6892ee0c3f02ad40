"""/api/holds: what is on hold, and nobody deletes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.patient_key import PatientKey
from archive.services.holds import Hold
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 100
STATES = ("standing", "all")
_DIGITS = 18
_WANTED = dict.fromkeys(("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "reason"), str)


def search(archive: Archive, asked: Asked) -> Answer:
    """The last holds, newest first; those that stand unless `state` says otherwise. Raises InvalidQuery."""
    state = asked.parameter("state") or STATES[0]
    if state not in STATES:
        raise InvalidQuery(f"state is one of {', '.join(STATES)}")
    limit = listing.limit(asked, DEFAULT_LIMIT, MOST)
    found = archive.holds.last(lifted=state == STATES[1], limit=limit)
    return json_body.answer([_described(one) for one in found])


def place(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Place a hold on a study or a patient, for a reason. Raises RequestRefused (415)."""

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, _WANTED)
        patient = PatientKey(wanted.get("PatientID", ""), wanted.get("IssuerOfPatientID", ""))
        made = archive.holds.place(
            asked.actor,
            wanted.get("reason", ""),
            study=wanted.get("StudyInstanceUID", ""),
            patient=patient if patient.PatientID else None,
        )
        return json_body.answer(_described(made), 201)

    return json_body.taker(asked, act)


def lift(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Lift a hold, for a reason. Raises RequestRefused (415), NotFound."""
    text = asked.path["hold"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no hold of this number")

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, {"reason": str})
        return json_body.answer(
            _described(archive.holds.lift(asked.actor, int(text), wanted.get("reason", "")))
        )

    return json_body.taker(asked, act)


def _described(one: Hold) -> dict[str, Any]:
    told = dataclasses.asdict(one)
    return told | {name: listing.moment(told[name]) for name in ("placed_at", "lifted_at")}
