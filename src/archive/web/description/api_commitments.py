"""What a client has to know of /api/commitments and /api/notifications."""

from __future__ import annotations

from typing import Any

from archive.web.api.commitments import DEFAULT_LIMIT, MOST, STATES
from archive.web.description.api import described
from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import OK

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_STATE: dict[str, Any] = {"type": "string", "enum": list(STATES)}
_PARAMETERS = (
    Parameter("state", "How far it has come.", options=STATES),
    Parameter("limit", f"Most in the answer; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST),
)
_ACCEPTED = Status(202, "The running archive will tell it.")
_COMMITMENT: dict[str, Any] = {
    **dict.fromkeys(("TransactionUID", "calling_ae_title", "called_ae_title", "address", "reason"), _TEXT),
    **dict.fromkeys(("instances_asked", "instances_checked", "instances_failed", "attempts"), _NUMBER),
    **dict.fromkeys(("requested_at", "last_at"), _MOMENT),
    "state": _STATE,
}
_INSTANCE: dict[str, Any] = {
    "type": "object",
    "required": ["SOPClassUID", "SOPInstanceUID", "FailureReason"],
    "properties": {"SOPClassUID": _TEXT, "SOPInstanceUID": _TEXT, "FailureReason": _NUMBER},
}
_NOTIFICATION: dict[str, Any] = {
    **dict.fromkeys(("StudyInstanceUID", "ae_title", "reason"), _TEXT),
    **dict.fromkeys(("id", "attempts"), _NUMBER),
    "last_at": _MOMENT,
    "state": _STATE,
}


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


SCHEMAS: dict[str, dict[str, Any]] = {
    "Commitment": _object({**_COMMITMENT, "instances": {"type": "array", "items": _INSTANCE}}, "instances"),
    "Commitments": {"type": "array", "items": {"$ref": "#/components/schemas/Commitment"}},
    "Notification": _object(_NOTIFICATION),
    "Notifications": {"type": "array", "items": {"$ref": "#/components/schemas/Notification"}},
}
"""Of the answers."""

SEARCH = described(
    "Show the last requests of storage commitment by DIMSE, and who was told what came of them.",
    OK,
    schema="Commitments",
    parameters=_PARAMETERS,
)
RETRIEVE = described(
    "Show one request, with what was found of each instance; FailureReason is 0 for what is kept.",
    OK,
    Status(404, "Nobody asked by DIMSE under this Transaction UID."),
    Status(410, "The result is not kept any longer."),
    schema="Commitment",
)
AGAIN = described(
    "Check a request anew and tell the result once more.",
    _ACCEPTED,
    Status(404, "Nobody asked by DIMSE under this Transaction UID, or its result is not kept any longer."),
    schema="Commitment",
)
NOTIFICATIONS = described(
    "Show the last notifications of instance availability.",
    OK,
    schema="Notifications",
    parameters=_PARAMETERS,
)
NOTIFY_AGAIN = described(
    "Tell of a study once more.",
    _ACCEPTED,
    Status(404, "There is no such notification."),
    schema="Notification",
)
