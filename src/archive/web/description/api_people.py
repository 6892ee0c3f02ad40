"""What a client has to know of /api/people, /api/credentials, /api/tokens and /api/session/password."""

from __future__ import annotations

from typing import Any

from archive.security.roles import Role
from archive.security.views import MOST_GRANTS
from archive.web.description.api import described
from archive.web.description.route import Status
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
_SECRET: dict[str, Any] = {**_TEXT, "writeOnly": True}
_ROLES: dict[str, Any] = {"type": "array", "items": {**_TEXT, "enum": [role.value for role in Role]}}
_UNKNOWN = Status(404, "Nobody has this name.")
_NO_ACCOUNT = Status(404, "Nobody signs in here, so nobody has an account; or there is none of this number.")
_LAST = Status(409, "Nobody would be left who may administer the archive.")
_ENDED = Status(204, "It has ended.", empty=True)


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


_SEE: dict[str, Any] = {
    "type": "array",
    "items": _TEXT,
    "maxItems": MOST_GRANTS,
    "description": "Studies that are seen, a text for each grant, such as institution=St. Mary*; modality=CT. A study "
    "has to fulfil one of them; [] is all studies.",
}
_CHANGE = {"full_name": _TEXT, "roles": _ROLES, "disabled": _FLAG, "password": _SECRET, "see": _SEE}
_CREDENTIAL = {
    "id": {"type": "integer"},
    "name": _TEXT,
    "kind": {**_TEXT, "enum": ["session", "token"]},
    "label": _TEXT,
    "roles": _ROLES,
    "see": _SEE,
    "created_at": _MOMENT,
    "used_at": _MOMENT,
    "expires_at": _MOMENT,
}
_MADE = {name: value for name, value in _CREDENTIAL.items() if name != "id"}

SCHEMAS: dict[str, dict[str, Any]] = {
    "Person": _object(
        {
            "name": _TEXT,
            "full_name": _TEXT,
            "roles": _ROLES,
            "disabled": _FLAG,
            "has_password": _FLAG,
            "has_second_factor": _FLAG,
            "see": _SEE,
        }
    ),
    "People": {"type": "array", "items": {"$ref": "#/components/schemas/Person"}},
    "NewPerson": _object({"name": _TEXT, **_CHANGE}, ("name", "roles")),
    "PersonChange": _object(_CHANGE, ()),
    "SignedIn": {"type": "array", "items": _object(_CREDENTIAL)},
    "NewToken": _object(
        {
            **{"label": _TEXT, "days": {"type": "integer", "minimum": 1, "maximum": 3660}},
            **{"roles": _ROLES, "see": _SEE},
        },
        ("label",),
    ),
    "Token": _object({**_MADE, "secret": _TEXT}),
    "Passwords": _object({"old": _SECRET, "new": _SECRET}),
}
"""Of bodies and answers."""

SEARCH = described("Show everybody who may sign in.", OK, schema="People")
RETRIEVE = described("Show one of them.", OK, _UNKNOWN, schema="Person")
ADD = described(
    "Make somebody known; without a password they can use tokens alone.",
    Status(201, "They are known now."),
    schema="Person",
    takes_schema="NewPerson",
)
CHANGE = described(
    "Change name, roles, password or view of somebody, or whether they may sign in; what is not named stays.",
    OK,
    _UNKNOWN,
    _LAST,
    schema="Person",
    takes_schema="PersonChange",
)
REMOVE = described(
    "Forget somebody, with all sessions and tokens.",
    Status(204, "They are forgotten.", empty=True),
    _UNKNOWN,
    _LAST,
)
CREDENTIALS = described("Show somebody's sessions and tokens.", OK, _UNKNOWN, schema="SignedIn")
REVOKE = described(
    "End a session or a token of anybody.",
    _ENDED,
    Status(404, "There is none of this number; it may have ended."),
)
OWN = described("Show one's own sessions and tokens.", OK, _NO_ACCOUNT, schema="SignedIn")
ISSUE = described(
    "Make a token of one's own; its secret is in the answer, and told this once. In a session alone.",
    Status(201, "It is in force now."),
    _NO_ACCOUNT,
    schema="Token",
    takes_schema="NewToken",
)
END = described("End a session or a token of one's own. In a session alone.", _ENDED, _NO_ACCOUNT)
SET_PASSWORD = described(
    "Change one's own password, given the old one: every session of one's own ends. In a session alone.",
    Status(204, "It is changed; sign in with it.", empty=True),
    Status(401, "The old one is wrong, or there were too many wrong ones."),
    _NO_ACCOUNT,
    takes_schema="Passwords",
)
