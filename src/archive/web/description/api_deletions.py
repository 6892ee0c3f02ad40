"""What a client has to know of /api/deletions, /api/holds and /api/retention."""

from __future__ import annotations

from typing import Any

from archive.services.deletion_requests import Level, State
from archive.web.api.deletions import DECISIONS, DEFAULT_LIMIT, MOST, STATES
from archive.web.api.holds import STATES as HOLD_STATES
from archive.web.description.api import described
from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_UID: dict[str, Any] = {"type": "string", "pattern": r"^[0-9][0-9.]{0,63}$"}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PATIENT = ("PatientID", "IssuerOfPatientID")
_KEPT = Status(
    409, "It is on hold, has to be kept for longer, or more of it has come since it was asked for."
)
_NO_SUCH = Status(404, "There is no such deletion, or it does not wait for anybody.")
_LIMIT = Parameter("limit", f"Most in the answer; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST)

SCHEMAS: dict[str, dict[str, Any]] = {
    "Deletion": {
        "type": "object",
        "required": ["id", "level", "state", "asked_by", "asked_at"],
        "properties": {
            "id": _NUMBER,
            "instances": _NUMBER,
            "level": {"type": "string", "enum": list(Level)},
            "state": {"type": "string", "enum": list(State)},
            **dict.fromkeys((*_PATIENT, *_UIDS, "reason", "asked_by", "decided_by"), _TEXT),
            **dict.fromkeys(("decided_because", "certificate_sha256"), _TEXT),
            **dict.fromkeys(("everything", "overrides"), _FLAG),
            **dict.fromkeys(("asked_at", "decided_at", "deleted_at", "certified_at"), _MOMENT),
        },
    },
    "Deletions": {"type": "array", "items": {"$ref": "#/components/schemas/Deletion"}},
    "DeletionOrder": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **dict.fromkeys((*_PATIENT, "reason"), _TEXT),
            **dict.fromkeys(_UIDS, _UID),
            "override_retention": _FLAG,
        },
    },
    "DeletionDecision": {
        "type": "object",
        "required": ["decision"],
        "additionalProperties": False,
        "properties": {"decision": {"type": "string", "enum": list(DECISIONS)}, "reason": _TEXT},
    },
    "DeletionCertificate": {"type": "object"},
    "DueStudies": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "StudyInstanceUID": _TEXT,
                "rule": _NUMBER,
                "then": {"type": "string", "enum": ["offer", "delete"]},
                "since": _MOMENT,
                "held": _NUMBER,
            },
        },
    },
    "Hold": {
        "type": "object",
        "required": ["id", "reason", "placed_by", "placed_at"],
        "properties": {
            "id": _NUMBER,
            **dict.fromkeys((*_PATIENT, "reason", "placed_by", "lifted_by", "lifted_because"), _TEXT),
            **dict.fromkeys(("placed_at", "lifted_at"), _MOMENT),
            "studies": {"type": "array", "items": _TEXT},
        },
    },
    "Holds": {"type": "array", "items": {"$ref": "#/components/schemas/Hold"}},
    "HoldOrder": {
        "type": "object",
        "required": ["reason"],
        "additionalProperties": False,
        "properties": {**dict.fromkeys((*_PATIENT, "reason"), _TEXT), "StudyInstanceUID": _UID},
    },
    "HoldLift": {
        "type": "object",
        "required": ["reason"],
        "additionalProperties": False,
        "properties": {"reason": _TEXT},
    },
}
"""Of the answers and of the requests."""

SEARCH = described(
    "Show deletions, the last first.",
    OK,
    schema="Deletions",
    parameters=(Parameter("state", "How far they are; all of them unless it says.", options=STATES), _LIMIT),
)
RETRIEVE = described("Show one deletion.", OK, _NO_SUCH, schema="Deletion")
ASK = described(
    "Delete a patient, study, series or instance with all that is kept of it, for a reason.",
    Status(201, "It is deleted; the bytes follow, and then the certificate."),
    Status(202, "It waits until a second person has approved."),
    Status(404, "Nothing of it is stored."),
    _KEPT,
    Status(410, "It was deleted before."),
    schema="Deletion",
    takes_schema="DeletionOrder",
)
DECIDE = described(
    "Approve of a deletion that waits, as somebody else than who asked for it; or refuse it, with a reason.",
    OK,
    _NO_SUCH,
    _KEPT,
    Status(410, "It was deleted in the meantime."),
    schema="Deletion",
    takes_schema="DeletionDecision",
)
CERTIFICATE = described(
    "The certificate of a deletion: what was destroyed, and where copies may still be.",
    OK,
    Status(404, "There is no such deletion, or its bytes have not all gone yet."),
    schema="DeletionCertificate",
)
DUE = described(
    "Show studies whose time is over by a rule of retention that offers or deletes.",
    OK,
    schema="DueStudies",
    parameters=(_LIMIT,),
)
HOLDS = described(
    "Show what is on hold, the last first.",
    OK,
    schema="Holds",
    parameters=(Parameter("state", "Those that stand, or all.", options=HOLD_STATES), _LIMIT),
)
PLACE = described(
    "Place a hold on a study or a patient, for a reason: nobody deletes anything of it.",
    Status(201, "It stands."),
    schema="Hold",
    takes_schema="HoldOrder",
)
LIFT = described(
    "Lift a hold, for a reason.",
    OK,
    Status(404, "There is no such hold, or it was lifted."),
    schema="Hold",
    takes_schema="HoldLift",
)
