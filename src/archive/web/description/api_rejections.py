"""What a client has to know of /api/rejections."""

from __future__ import annotations

from typing import Any

from archive.services.rejections import Fate, Reason
from archive.web.api.rejections import DECISIONS, DEFAULT_LIMIT, MOST, STATES
from archive.web.description.api import described
from archive.web.description.route import About, Parameter, Status
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
_NO_SUCH = Status(404, "There is no such rejection note, or nothing is held of this instance for it.")
_PARAMETERS = (
    Parameter("state", "Active, or taken back (restored); active unless it says otherwise.", options=STATES),
    Parameter("study", "Study Instance UID of what is rejected.", pattern=_UID),
    Parameter("limit", f"Most in the answer; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST),
)
_OF_ONE = (Parameter("limit", "Most instances in the answer.", type="integer", minimum=1, maximum=MOST),)
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_REJECTED: dict[str, Any] = {
    "type": "object",
    "required": [*_UIDS, "SOPClassUID", "fate"],
    "properties": {
        **dict.fromkeys((*_UIDS, "SOPClassUID"), _TEXT),
        "fate": {"type": "string", "enum": list(Fate)},
    },
}
_REJECTION: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state", "reason", *_UIDS, "counts"],
    "properties": {
        "id": _NUMBER,
        "state": {"type": "string", "enum": [state for state in STATES if state != "all"]},
        "reason": {"type": "string", "enum": list(Reason)},
        **dict.fromkeys((*_UIDS, "meaning", "settled_by"), _TEXT),
        **dict.fromkeys(("door", "address", "calling_ae_title", "called_ae_title"), _TEXT),
        **dict.fromkeys(("came_at", "settled_at"), _MOMENT),
        "counts": {"type": "object", "additionalProperties": _NUMBER},
        "instances": {"type": "array", "items": _REJECTED},
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Rejection": _REJECTION,
    "Rejections": {"type": "array", "items": {"$ref": "#/components/schemas/Rejection"}},
    "RejectionDecision": {
        "type": "object",
        "required": ["decision"],
        "additionalProperties": False,
        "properties": {
            "decision": {"type": "string", "enum": list(DECISIONS)},
            "instance": {"type": "string", "pattern": _UID},
        },
    },
    "RejectionDecided": {
        "type": "object",
        "required": ["decided", "failed"],
        "properties": {
            "decided": _NUMBER,
            "failed": {
                "type": "array",
                "items": {"type": "object", "properties": {"instance": _TEXT, "reason": _TEXT}},
            },
        },
    },
}
"""Of the answers and of the one request."""


def _file(summary: str) -> About:
    return about(
        summary,
        (
            *(OK, PARTIAL, NOT_MODIFIED, PRECONDITION_FAILED, NOT_SATISFIABLE),
            *(_NO_SUCH, Status(403, "Administration is for this machine only, or off.")),
        ),
        (DICOM,),
        (),
        extension=True,
    )


SEARCH = described(
    "Show the rejection notes that have come, the last first.",
    OK,
    schema="Rejections",
    parameters=_PARAMETERS,
)
RETRIEVE = described(
    "Show one, with what it refers to.", OK, _NO_SUCH, schema="Rejection", parameters=_OF_ONE
)
NOTE = _file("Retrieve a rejection note, as a PS3.10 file.")
INSTANCE = _file("Retrieve what is held of a rejected instance, as a PS3.10 file.")
DECIDE = described(
    "Take a note back (restore), or delete what is held for it (drop); of all instances, or of one.",
    Status(200, "It is done, or the failed instances are named with the reason."),
    _NO_SUCH,
    Status(
        409, "Nothing could be brought back: the body has the reasons; or the note is taken back already."
    ),
    schema="RejectionDecided",
    takes_schema="RejectionDecision",
)
