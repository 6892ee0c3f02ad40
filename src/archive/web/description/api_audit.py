"""What a client has to know of /api/audit."""

from __future__ import annotations

from typing import Any

from archive.web.api.audit import DEFAULT_LIMIT, FORMATS, MOST, OUTCOMES
from archive.web.description.route import About, Parameter, Status
from archive.web.description.transactions import BAD_REQUEST, OK, about
from archive.web.http.media_types import JSON

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "AuditRecords": _object(
        {
            "records": {
                "type": "array",
                "items": _object(
                    {
                        "id": _NUMBER,
                        "at": _MOMENT,
                        **dict.fromkeys(("code", "event", "user", "user_name", "address"), _TEXT),
                        "outcome": {**_TEXT, "enum": list(OUTCOMES)},
                        "reason": _TEXT,
                        "patients": _TEXTS,
                        "studies": _TEXTS,
                        "instances": _NUMBER,
                    }
                ),
            },
            "next": {"type": ["integer", "null"]},
        }
    ),
    "PatientReport": _object(
        {
            "PatientID": _TEXT,
            "complete": _FLAG,
            "dealings": {
                "type": "array",
                "items": _object(
                    {
                        **dict.fromkeys(("user", "address", "what"), _TEXT),
                        "times": _NUMBER,
                        "first_at": _MOMENT,
                        "last_at": _MOMENT,
                    }
                ),
            },
        }
    ),
    "AuditVerdict": _object({"whole": _FLAG, "records": _NUMBER, "anchors": _NUMBER, "fault": _TEXT}),
}
"""Of the answers."""

_SINCE = Parameter("since", "From then on: 2026-01-31 or 2026-01-31T12:00Z; UTC unless it says otherwise.")
_UNTIL = Parameter("until", "Before then.")
_FORMAT = Parameter("format", "As JSON, or as a table for a spreadsheet.", options=FORMATS)
_FORBIDDEN = Status(
    403, "Who has signed in is no auditor, or administration is for this machine only, or off."
)


def _about(summary: str, schema: str, *parameters: Parameter, table: bool = False) -> About:
    offers = (JSON, "text/csv") if table else (JSON,)
    statuses = (OK, BAD_REQUEST, _FORBIDDEN)
    return about(summary, statuses, offers, parameters, extension=True, schema=schema)


SEARCH = _about(
    "Search the audit trail, the newest first. That is recorded itself.",
    "AuditRecords",
    Parameter("patient", "Patient ID, or ID^^^ISSUER."),
    Parameter("study", "Study Instance UID."),
    Parameter("user", "User, or AE title."),
    Parameter("address", "Network address."),
    Parameter("event", "Code of an event, or part of its name.", repeating=True),
    Parameter("outcome", "What came of it.", options=OUTCOMES),
    _SINCE,
    _UNTIL,
    Parameter("limit", f"Most records; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST),
    Parameter(
        "before", "Only records before this one: `next` of the answer before.", type="integer", minimum=0
    ),
    _FORMAT,
    table=True,
)
PATIENT = _about(
    "Show everyone who saw, got or changed something of a patient. That is recorded itself.",
    "PatientReport",
    _SINCE,
    _UNTIL,
    _FORMAT,
    table=True,
)
VERIFICATION = _about(
    "Verify that no record was altered, removed or put in between; of many records that takes a while.",
    "AuditVerdict",
)
