"""What a client has to know of /api/session/second-factor and /api/people/{person}/second-factor."""

from __future__ import annotations

from typing import Any

from archive.web.description.api import described
from archive.web.description.route import Status
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_SECRET: dict[str, Any] = {**_TEXT, "writeOnly": True}
_NO_ACCOUNT = Status(404, "Nobody signs in here, so nobody has an account.")
_WRONG = Status(401, "It is wrong, or there were too many wrong ones.")


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "SecondFactor": _object(enabled=_FLAG, required=_FLAG, recovery_codes={"type": "integer", "minimum": 0}),
    "OwnPassword": _object(password=_SECRET),
    "NewSecondFactor": _object(secret=_TEXT, address=_TEXT, picture=_TEXT),
    "Code": _object(code=_SECRET),
    "RecoveryCodes": _object(recovery_codes={"type": "array", "items": _TEXT}),
    "PasswordAndCode": _object(password=_SECRET, code=_SECRET),
}
"""Of bodies and answers."""

STANDING = described(
    "Show whether one has a second factor, needs one, and how many recovery codes are left. In a session alone.",
    OK,
    _NO_ACCOUNT,
    schema="SecondFactor",
)
BEGIN = described(
    "Begin to set up a second factor (TOTP, RFC 6238), given the password: its secret, as text and as a QR code in "
    "SVG, is in the answer, and told this once. In a session alone.",
    Status(201, "It is in effect when it is confirmed, within a quarter of an hour."),
    _WRONG,
    _NO_ACCOUNT,
    schema="NewSecondFactor",
    takes_schema="OwnPassword",
)
CONFIRM = described(
    "Put a second factor in effect by a code of it; recovery codes are in the answer, and told this once. In a session "
    "alone, and one's other sessions end.",
    OK,
    _NO_ACCOUNT,
    schema="RecoveryCodes",
    takes_schema="Code",
)
REMOVE = described(
    "Take off one's own second factor, given password and a code. In a session alone.",
    Status(204, "The password is enough again.", empty=True),
    _WRONG,
    Status(404, "There is none, or nobody signs in here."),
    takes_schema="PasswordAndCode",
)
RESET = described(
    "Take off the second factor of somebody who has lost it.",
    Status(204, "Their password is enough again.", empty=True),
    Status(404, "Nobody has this name, or they have no second factor."),
)
