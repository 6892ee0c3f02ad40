"""What a client has to know of /api/worklist and /api/performed-steps."""

from __future__ import annotations

from typing import Any

from archive.dicom.worklist.entries import STATES
from archive.web.api.worklist import DEFAULT_LIMIT, MOST
from archive.web.description.api import described
from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import NOT_ACCEPTABLE, OK

_NO_SUCH = Status(404, "There is no such entry.")
_CONFLICT = Status(409, "It would mix up patients, or take what is there; it says which.")
_LIMIT = Parameter("limit", f"Most in the answer; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST)
_STATE = Parameter("state", "Only entries in this state.", options=STATES)

_TEXT: dict[str, Any] = {"type": "string"}
_MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
_ATTRIBUTES: dict[str, Any] = {
    "type": "object",
    "description": "Attributes by keyword; several values and the items of sequences in arrays. Others than these, of "
    "PS3.4 Table K.6-1, as well.",
    "required": ["PatientID", "PatientName", "ScheduledProcedureStepSequence"],
    "properties": {
        "PatientID": _TEXT,
        "PatientName": _TEXT,
        "RequestedProcedureDescription": _TEXT,
        "ScheduledProcedureStepSequence": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["Modality"],
                "properties": {"Modality": _TEXT},
            },
        },
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "WorklistAttributes": _ATTRIBUTES,
    "WorklistEntry": {
        "type": "object",
        "required": ["id", "state", "attributes", "source", "added_at", "changed_at"],
        "properties": {
            "id": {"type": "integer"},
            "state": {"type": "string", "enum": list(STATES)},
            "attributes": {"type": "object"},
            "source": _TEXT,
            "added_at": _MOMENT,
            "changed_at": _MOMENT,
        },
    },
    "WorklistEntries": {"type": "array", "items": {"$ref": "#/components/schemas/WorklistEntry"}},
    "WorklistState": {
        "type": "object",
        "required": ["state"],
        "additionalProperties": False,
        "properties": {"state": {"type": "string", "enum": list(STATES)}},
    },
    "PerformedStep": {
        "type": "object",
        "required": [
            "SOPInstanceUID",
            "status",
            "attributes",
            "calling_ae_title",
            "created_at",
            "changed_at",
        ],
        "properties": {
            **dict.fromkeys(("SOPInstanceUID", "status", "calling_ae_title"), _TEXT),
            "attributes": {"type": "object"},
            **dict.fromkeys(("created_at", "changed_at"), _MOMENT),
        },
    },
    "PerformedSteps": {"type": "array", "items": {"$ref": "#/components/schemas/PerformedStep"}},
}
"""Of requests and answers."""

SEARCH = described(
    "Show the entries of the modality worklist.", OK, schema="WorklistEntries", parameters=(_STATE, _LIMIT)
)
RETRIEVE = described("Show one entry.", OK, _NO_SUCH, NOT_ACCEPTABLE, schema="WorklistEntry")
ADD = described(
    "Enter what is to be done; several scheduled procedure steps become as many entries.",
    Status(201, "They are entered, and offered to modalities from now on."),
    _CONFLICT,
    schema="WorklistEntries",
    takes_schema="WorklistAttributes",
)
REPLACE = described(
    "Give an entry other content; its patient stays.",
    OK,
    _NO_SUCH,
    _CONFLICT,
    schema="WorklistEntry",
    takes_schema="WorklistAttributes",
)
PLAN = described(
    "Set the state of an entry: arrived, cancelled and so on.",
    OK,
    _NO_SUCH,
    schema="WorklistEntry",
    takes_schema="WorklistState",
)
REMOVE = described("Forget an entry.", Status(204, "It is forgotten.", empty=True), _NO_SUCH)
STEPS = described(
    "Show what modalities have told of performed steps (MPPS), the last first.",
    OK,
    schema="PerformedSteps",
    parameters=(_LIMIT,),
)
STEP = described("Show one performed step.", OK, _NO_SUCH, NOT_ACCEPTABLE, schema="PerformedStep")
