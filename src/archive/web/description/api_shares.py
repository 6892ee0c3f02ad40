"""What a client has to know of /api/shares and /api/share-session."""

from __future__ import annotations

from typing import Any

from archive.dicom.deidentifying.actions import OPTIONS
from archive.security.shares import (
    LONGEST_PASSCODE,
    LONGEST_TEXT,
    MOST_ATTEMPTS,
    MOST_STUDIES,
    MOST_USES,
    SHORTEST_PASSCODE,
    State,
    Use,
)
from archive.web.description.api import described
from archive.web.description.route import Status
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_LINE: dict[str, Any] = {**_TEXT, "maxLength": LONGEST_TEXT}
_NUMBER: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
_STUDIES: dict[str, Any] = {"type": "array", "items": _TEXT, "maxItems": MOST_STUDIES}
_PASSCODE: dict[str, Any] = {**_TEXT, "writeOnly": True}
_RETAINED: dict[str, Any] = {
    "type": "array",
    "items": {**_TEXT, "enum": list(OPTIONS)},
    "description": "What a de-identified share keeps: options of PS3.15 Annex E.",
}
_LEFT_OUT: dict[str, Any] = {"series": _TEXT, "modality": _TEXT, "objects": _NUMBER, "reason": _TEXT}
_SHARE: dict[str, Any] = {
    "id": _NUMBER,
    "state": {**_TEXT, "enum": [state.value for state in State]},
    "made_by": _TEXT,
    "recipient": _TEXT,
    "purpose": _TEXT,
    "studies": _STUDIES,
    "hidden": {
        **_NUMBER,
        "description": "More studies, which nobody is shown: its maker does not see them any more.",
    },
    "created_at": _MOMENT,
    "expires_at": _MOMENT,
    "revoked_at": {"type": ["string", "null"], "format": "date-time"},
    "has_passcode": _FLAG,
    "failed_attempts": _NUMBER,
    "attempts": _NUMBER,
    "times_used": _NUMBER,
    "uses": {**_NUMBER, "description": "Most of them; 0: any number."},
    "download": _FLAG,
    "deidentified": _FLAG,
    "retained": _RETAINED,
}


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


SCHEMAS: dict[str, dict[str, Any]] = {
    "Share": _object(_SHARE),
    "Shares": {"type": "array", "items": {"$ref": "#/components/schemas/Share"}},
    "NewShare": _object(
        {
            **_SHARE,
            "link": {**_TEXT, "format": "uri"},
            "left_out": {"type": "array", "items": _object(_LEFT_OUT)},
        }
    ),
    "ShareWanted": _object(
        {
            "studies": {**_STUDIES, "minItems": 1},
            "recipient": {**_LINE, "minLength": 1},
            "purpose": _LINE,
            "days": {**_NUMBER, "minimum": 1},
            "passcode": {**_PASSCODE, "minLength": SHORTEST_PASSCODE, "maxLength": LONGEST_PASSCODE},
            "attempts": {**_NUMBER, "minimum": 1, "maximum": MOST_ATTEMPTS},
            "uses": {**_NUMBER, "minimum": 0, "maximum": MOST_USES},
            "download": _FLAG,
            "deidentified": _FLAG,
            "retained": _RETAINED,
        },
        ("studies", "recipient"),
    ),
    "ShareUses": {
        "type": "array",
        "items": _object(
            {"at": _MOMENT, "what": {**_TEXT, "enum": [use.value for use in Use]}, "address": _TEXT}
        ),
    },
    "ShareKey": _object({"secret": _TEXT, "passcode": _PASSCODE}, ("secret",)),
    "ShareOpened": _object({"viewer": _TEXT, "recipient": _TEXT}),
}
"""Of bodies and answers."""

_NONE = Status(404, "There is no such share of one's own.")

SEARCH = described("Show the links that one has made; administrators see all.", OK, schema="Shares")
MAKE = described(
    "Make a link to studies that one sees: the answer has it, this once.",
    Status(201, "The link is made."),
    Status(404, "A study is not here, or one does not see it."),
    Status(410, "A study was deleted."),
    schema="NewShare",
    takes_schema="ShareWanted",
)
RETRIEVE = described("Show one link.", OK, _NONE, schema="Share")
REVOKE = described(
    "Take a link back: it ends at once, for who has it open as well.",
    Status(204, "It has ended.", empty=True),
    _NONE,
)
USES = described("Show when a link was used, and from where.", OK, _NONE, schema="ShareUses")
ENTER = described(
    "Come in by a link, which is one use of it: the answer sets the cookie of a session that sees its studies.",
    OK,
    Status(401, "The passcode is missing or wrong, or there were too many wrong ones."),
    Status(404, "There is no such link."),
    Status(410, "The link has ended."),
    schema="ShareOpened",
    takes_schema="ShareKey",
)
