"""What a client has to know of /api/ae-titles and /api/refusals."""

from __future__ import annotations

from typing import Any

from archive.remote.echo_scu import Step
from archive.security.rule_facts import FACTS, MOST_VALUES, Fact, Kind
from archive.web.api.refusals import DEFAULT_LIMIT, MOST
from archive.web.description.api import described
from archive.web.description.route import Parameter, Status
from archive.web.description.transactions import OK

_NOT_KNOWN = Status(404, "This AE title is not known.")
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}


def _schema(fact: Fact) -> dict[str, Any]:
    about = {"description": fact.sentence}
    if fact.kind is Kind.FLAG:
        return {**_FLAG, **about}
    if fact.kind is Kind.NUMBER:
        return {**_NUMBER, **about, "minimum": fact.minimum, "maximum": fact.maximum}
    one = {**_TEXT, "enum": list(fact.choices)} if fact.choices else _TEXT
    return (
        {"type": "array", "items": one, "maxItems": MOST_VALUES, **about}
        if fact.kind is Kind.LIST
        else {**one, **about}
    )


_RULES = {fact.name: _schema(fact) for fact in FACTS}
_CHANGED_RULES = {**_RULES, "password": {**_TEXT, "writeOnly": True}, "has_password": _FLAG}
_PLACE = {"host": _TEXT, "port": {**_NUMBER, "minimum": 1, "maximum": 65535}}
_SEEN = {"last_at": {"type": "string", "format": "date-time"}, "times": _NUMBER}


def _object(properties: dict[str, Any], required: tuple[str, ...] | None = None) -> dict[str, Any]:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


SCHEMAS: dict[str, dict[str, Any]] = {
    "AETitle": _object({"title": _TEXT, **_PLACE, "rules": _object({**_RULES, "has_password": _FLAG})}),
    "AETitles": {"type": "array", "items": {"$ref": "#/components/schemas/AETitle"}},
    "AETitleChange": _object(
        {
            "title": _TEXT,
            **_PLACE,
            "rules": {"$ref": "#/components/schemas/AETitleRules"},
        },
        ("host", "port"),
    ),
    "AETitlePatch": _object({**_PLACE, "rules": {"$ref": "#/components/schemas/AETitleRules"}}, ()),
    "AETitleRules": _object(_CHANGED_RULES, ()),
    "EchoOutcome": _object(
        {
            "ok": _FLAG,
            "step": {**_TEXT, "enum": [step.name.lower() for step in Step]},
            "reason": _TEXT,
            "milliseconds": _NUMBER,
        }
    ),
    "Refusals": _object(
        {
            "associations": {
                "type": "array",
                "items": _object(
                    {**_SEEN, **dict.fromkeys(("calling", "called", "address", "reason", "remedy"), _TEXT)}
                ),
            },
            "objects": {
                "type": "array",
                "items": _object(
                    {
                        **_SEEN,
                        **dict.fromkeys(
                            ("door", "calling", "address", "SOPClassUID", "sop_class_name"), _TEXT
                        ),
                        **dict.fromkeys(("transfer_syntax_uid", "status", "reason", "remedy"), _TEXT),
                        "SOPInstanceUID": _TEXT,
                    }
                ),
            },
        }
    ),
}
"""Of the answers and of the one request."""

SEARCH = described("Show the known AE titles and their rules.", OK, schema="AETitles")
RETRIEVE = described("Show one AE title with its rules.", OK, _NOT_KNOWN, schema="AETitle")
PUT = described(
    "Make an AE title known, or change it; rules that the body does not name get their defaults.",
    Status(200, "It was known, and is changed."),
    Status(201, "It is known now."),
    schema="AETitle",
    takes_schema="AETitleChange",
)
CHANGE = described(
    "Change host, port or rules of a known AE title; what is not named stays.",
    OK,
    _NOT_KNOWN,
    schema="AETitle",
    takes_schema="AETitlePatch",
)
REMOVE = described("Forget an AE title.", Status(204, "It is forgotten.", empty=True), _NOT_KNOWN)
ECHO = described(
    "Ask a known AE title whether it is there (C-ECHO), and say at which step that fails.",
    Status(200, "How far it came."),
    _NOT_KNOWN,
    schema="EchoOutcome",
)
REFUSALS = described(
    "Show the last refused associations and objects, why, and what would let them in.",
    OK,
    schema="Refusals",
    parameters=(
        Parameter("limit", f"Most of each kind; {DEFAULT_LIMIT}.", type="integer", minimum=1, maximum=MOST),
    ),
)
