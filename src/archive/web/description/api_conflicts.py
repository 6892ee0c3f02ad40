"""What a client has to know of /api/conflicts."""

from __future__ import annotations

from typing import Any

from archive.web.api.conflicts import DECISIONS, DEFAULT_LIMIT, MOST, STATES
from archive.web.description.api import described
from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import (
    NOT_MODIFIED,
    NOT_SATISFIABLE,
    OK,
    PARTIAL,
    PRECONDITION_FAILED,
    about,
)
from archive.web.http.media_types import DICOM

_UID = r"^[0-9][0-9.]{0,63}$"
_NO_SUCH = Status(404, "There is no such conflict, or nothing is kept aside of it.")
_PARAMETERS = (
    Parameter("state", "What has become of it; waiting is open or refused.", options=STATES),
    Parameter("study", "Study Instance UID of the object.", pattern=_UID),
    Parameter("limit", f"Most in the answer; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST),
)
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_CONFLICT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state", "SOPInstanceUID", "reason", "has_copy"],
    "properties": {
        "id": _NUMBER,
        "state": {"type": "string", "enum": [state for state in STATES if state not in ("waiting", "all")]},
        **dict.fromkeys(("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID"), _TEXT),
        **dict.fromkeys(("sha256", "kept_sha256", "transfer_syntax_uid", "reason", "settled_by"), _TEXT),
        **dict.fromkeys(("door", "address", "calling_ae_title", "called_ae_title"), _TEXT),
        **dict.fromkeys(("times", "data_set_length"), _NUMBER),
        **dict.fromkeys(("first_at", "last_at", "settled_at"), _MOMENT),
        "has_copy": {"type": "boolean"},
    },
}
_SIDE: dict[str, Any] = {"type": ["object", "null"]}
_DIFFERENCE: dict[str, Any] = {
    "type": "object",
    "required": ["tag", "keyword", "stored", "copy"],
    "properties": {
        "tag": {"type": "string", "pattern": "^[0-9A-F]{8}$"},
        "keyword": _TEXT,
        **dict.fromkeys(("stored", "copy"), _SIDE),
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Conflict": _CONFLICT,
    "Conflicts": {"type": "array", "items": {"$ref": "#/components/schemas/Conflict"}},
    "Differences": {"type": "array", "items": _DIFFERENCE},
    "Decision": {
        "type": "object",
        "required": ["decision"],
        "additionalProperties": False,
        "properties": {
            "decision": {"type": "string", "enum": list(DECISIONS)},
            "conflicts": {"type": "array", "maxItems": MOST, "items": {"type": "integer", "minimum": 0}},
            "study": {"type": "string", "pattern": _UID},
        },
    },
    "Decided": {
        "type": "object",
        "required": ["decided", "failed"],
        "properties": {
            "decided": {"type": "array", "items": {"$ref": "#/components/schemas/Conflict"}},
            "failed": {
                "type": "array",
                "items": {"type": "object", "properties": {"conflict": _NUMBER, "reason": _TEXT}},
            },
        },
    },
}
"""Of the answers and of the one request."""

SEARCH = described(
    "Show objects that were refused, kept aside or replaced, the last first.",
    OK,
    schema="Conflicts",
    parameters=_PARAMETERS,
)
RETRIEVE = described("Show one.", OK, _NO_SUCH, schema="Conflict")
DIFFERENCES = described(
    "Show in what a copy differs from what is stored: this names patients.",
    OK,
    _NO_SUCH,
    Status(406, "There is nothing to compare with, or the metadata are too long: compare the files."),
    schema="Differences",
)
COPY = about(
    "Retrieve what is kept aside, as a PS3.10 file.",
    (
        *(OK, PARTIAL, NOT_MODIFIED, PRECONDITION_FAILED, NOT_SATISFIABLE),
        *(_NO_SUCH, Status(403, "Administration is for this machine only, or off.")),
    ),
    (DICOM,),
    (),
    extension=True,
)
DECIDE = described(
    "Decide about some, or about all that is open in a study: accept, keep or drop.",
    Status(200, "Some were decided; the others are named, with the reason."),
    Status(409, "None could be decided so; the body has the reason for each.", reports=True),
    schema="Decided",
    takes_schema="Decision",
)
