"""What a client has to know of /api/session."""

from __future__ import annotations

from typing import Any

from archive.security.roles import Right
from archive.web.description.api import described
from archive.web.description.route import Status
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_RIGHTS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "enum": [right.value for right in Right]},
}
_WRONG = Status(
    401,
    "Name, password or code is wrong, or there were too many wrong ones; or a code is missing, which the challenge "
    "says (insufficient_user_authentication, RFC 9470).",
)

SCHEMAS: dict[str, dict[str, Any]] = {
    "Credentials": {
        "type": "object",
        "required": ["name", "password"],
        "properties": {"name": _TEXT, "password": _TEXT, "code": _TEXT},
    },
    "Principal": {
        "type": "object",
        "required": ["name", "rights"],
        "properties": {"name": _TEXT, "rights": _RIGHTS, "must_enrol": {"type": "boolean"}},
    },
}
"""Of bodies and answers."""

ENTER = described(
    "Sign in with name and password, and a code of who has a second factor: the answer sets the cookie of a session.",
    OK,
    _WRONG,
    schema="Principal",
    takes_schema="Credentials",
)
WHO = described(
    "Show who has signed in, and their rights; no name where nobody has to.",
    OK,
    Status(401, "Nobody has signed in.", reports=True),
    schema="Principal",
)
LEAVE = described("Sign out.", Status(204, "The session has ended.", empty=True))
