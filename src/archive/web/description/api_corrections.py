"""What a client has to know of /api/patients and /api/corrections."""

from __future__ import annotations

from typing import Any

from archive.dicom.demographics import OF_PATIENT, OF_STUDY
from archive.services.corrections import Kind, State
from archive.web.api.corrections import DEFAULT_LIMIT, KINDS, MOST
from archive.web.description.api import described
from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import OK

_UID = r"^[0-9][0-9.]{0,63}$"
_NO_SUCH = Status(404, "There is no such correction.")
_NOTHING = Status(404, "Nothing is stored of this patient or study.")
_UNDER_WAY = Status(202, "It is safe, and in part still to be carried out.")
_CONFLICT = Status(409, "It would undo, or go round, what another correction has done; it says which.")
_LIMIT = Parameter("limit", f"Most in the answer; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST)
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_KEYS = ("PatientID", "IssuerOfPatientID")
_PATIENT_TEXTS = (*_KEYS, "name", "birth_date", "sex")
_STATE: dict[str, Any] = {"type": "string", "enum": list(State)}
_TEXTS = (*_KEYS, "StudyInstanceUID", *(f"to_{key}" for key in _KEYS), "made_by", "reason", "failure")
_STUDY: dict[str, Any] = {
    "type": "object",
    "required": ["StudyInstanceUID", "state", "reason"],
    "properties": {"StudyInstanceUID": _TEXT, "state": _STATE, "reason": _TEXT},
}
_ATTRIBUTES: dict[str, Any] = {"type": "object", "additionalProperties": _TEXT}
_WANTED_KEY: dict[str, Any] = {
    "type": "object",
    "required": ["PatientID"],
    "additionalProperties": False,
    "properties": {
        "PatientID": {"type": "string", "minLength": 1, "maxLength": 64},
        "IssuerOfPatientID": _TEXT,
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Patients": {
        "type": "array",
        "items": {
            "type": "object",
            "required": [*_PATIENT_TEXTS, "studies"],
            "properties": {**dict.fromkeys(_PATIENT_TEXTS, _TEXT), "studies": _NUMBER},
        },
    },
    "Correction": {
        "type": "object",
        "required": ["id", "kind", "state", "undoes", "attributes", "made_at", "done_at", *_TEXTS],
        "properties": {
            "id": _NUMBER,
            "kind": {"type": "string", "enum": list(Kind)},
            "state": _STATE,
            "undoes": _NUMBER,
            "attributes": _ATTRIBUTES,
            **dict.fromkeys(("made_at", "done_at"), _MOMENT),
            **dict.fromkeys(_TEXTS, _TEXT),
            "studies": {"type": "array", "items": _STUDY},
        },
    },
    "Corrections": {"type": "array", "items": {"$ref": "#/components/schemas/Correction"}},
    "WantedCorrection": {
        "type": "object",
        "required": ["kind"],
        "additionalProperties": False,
        "properties": {
            "kind": {"type": "string", "enum": list(KINDS)},
            "patient": _WANTED_KEY,
            "to": _WANTED_KEY,
            "study": {"type": "string", "pattern": _UID},
            "attributes": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict.fromkeys((*OF_PATIENT, *OF_STUDY), _TEXT),
            },
            "reason": _TEXT,
            "anyway": {"type": "boolean"},
        },
    },
    "CorrectionReason": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"reason": _TEXT},
    },
}
"""Of requests and answers."""

PATIENTS = described(
    "Show the patients of whom something is stored.",
    OK,
    schema="Patients",
    parameters=(
        Parameter("PatientID", "Patient ID; * and ? stand for others."),
        Parameter("PatientName", "Name; * and ? stand for others."),
        _LIMIT,
    ),
)
SEARCH = described(
    "Show corrections of patients and studies, the last first.",
    OK,
    schema="Corrections",
    parameters=(
        Parameter("state", "Only those in this state.", options=tuple(State)),
        Parameter("PatientID", "Only those of this patient, before or after."),
        Parameter("IssuerOfPatientID", "With PatientID: its issuer; none unless it is given."),
        Parameter("study", "Study Instance UID: only those of this study.", pattern=_UID),
        _LIMIT,
    ),
)
RETRIEVE = described("Show one, and how far it is in each study.", OK, _NO_SUCH, schema="Correction")
MAKE = described(
    "Correct a patient or a study; what is made of it comes back, nothing where nothing had to be changed.",
    Status(200, "It is carried out."),
    _UNDER_WAY,
    _NOTHING,
    _CONFLICT,
    schema="Corrections",
    takes_schema="WantedCorrection",
)
UNDO = described(
    "Take a correction back.",
    Status(200, "It is carried out."),
    _UNDER_WAY,
    _NO_SUCH,
    _CONFLICT,
    schema="Corrections",
    takes_schema="CorrectionReason",
)
RETRY = described(
    "Try again what has failed.",
    Status(200, "It is carried out."),
    _UNDER_WAY,
    _NO_SUCH,
    Status(409, "Nothing of it has failed."),
    schema="Corrections",
)
