"""The transactions of our own API for administrators, each described once, and the schemas of their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archive.web.description.route import About, Parameter, Status
from archive.web.description.transactions import about
from archive.web.http.media_types import JSON

_FORBIDDEN = Status(403, "Administration is for this machine only, or off, or a page of another origin asks.")
_NOT_JSON = Status(400, "A body that is not what is taken here; it says what is wrong.")


def described(
    summary: str,
    *statuses: Status,
    schema: str = "",
    parameters: Iterable[Parameter] = (),
    takes_schema: str = "",
) -> About:
    """A transaction of the API: JSON comes back unless `schema` is empty, and a body in JSON is taken where
    `takes_schema` names what it is. What all of them may answer need not be said."""
    body = (_NOT_JSON,) if takes_schema else ()
    return about(
        summary,
        (_FORBIDDEN, *body, *statuses),
        (JSON,) if schema else (),
        tuple(parameters),
        (JSON,) if takes_schema else (),
        extension=True,
        schema=schema,
        takes_schema=takes_schema,
    )


SCHEMAS: dict[str, dict[str, Any]] = {}
"""By the names that the rows of the route table use."""
