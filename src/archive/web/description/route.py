"""What a row of the route table says: how a transaction is carried out, and what a client has to know of it.

The second half (`About`) is data only. Retrieve Capabilities, /openapi.json and the tables of the conformance
statement are made from it and from nothing else, so what they say of a resource is one thing said three times.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from archive.dicom.errors import ArchiveError
from archive.security.roles import Right
from archive.security.shares import Reach

_VARIABLE = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query or of a path. `type` is one of JSON Schema's; `alias` is another name for the same.
    With `open_ended` it stands for any number of parameters, and `name` says what their names look like."""

    name: str
    description: str
    clause: str = ""
    type: str = "string"
    alias: str = ""
    options: tuple[str, ...] = ()
    pattern: str = ""
    minimum: int | None = None
    maximum: int | None = None
    repeating: bool = False
    open_ended: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """One status that a transaction may answer with. `empty`: without a body. `reports`: with a body in one of the
    offered media types although it says failure."""

    code: int
    meaning: str
    empty: bool = False
    reports: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """What a client has to know of a transaction: `offers` are the media types of the answer, the default first,
    `takes` those of the request, `statuses` everything that comes back. An `extension` is not in PS3.18. `schema` is
    that of an answer in JSON, `takes_schema` that of a request in JSON, by their names in `openapi`."""

    summary: str = ""
    offers: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[Status, ...] = ()
    takes: tuple[str, ...] = ()
    extension: bool = False
    schema: str = ""
    takes_schema: str = ""


UNDESCRIBED = About()


@dataclass(frozen=True, slots=True)
class Route:
    """One transaction. `clause` is where PS3.18 asks for it, empty for resources of our own. `handler` is called with
    `(archive, asked)` and returns an Answer; when the transaction `takes_body`, it returns a Taker. One that `renders`
    makes pictures, of which few are made at a time; where only some requests do, it is a function that tells which."""

    method: str
    path: str
    name: str
    clause: str
    handler: Callable[[Any, Any], Any]
    takes_body: bool = False
    renders: bool | Callable[[Any], bool] = False
    about: About = UNDESCRIBED
    right: Right | None = field(kw_only=True)
    """What who asks has to have; None where nobody has to sign in."""
    refused: Callable[[Any, Any, ArchiveError], Any] | None = field(kw_only=True, default=None)
    """Of a page: called with `(archive, asked, error)` for the page in place of it, or raises the error."""

    reach: Reach | Callable[[Any], Reach] = field(default=Reach.NONE, kw_only=True)
    """How far it is open to who came by a share; where that depends on the request, a function that tells."""

    def reached(self, asked: Any) -> Reach:
        """How far this request is open to who came by a share."""
        return self.reach(asked) if callable(self.reach) else self.reach

    def makes_pictures(self, asked: Any) -> bool:
        """Whether this request is for a picture."""
        return self.renders(asked) if callable(self.renders) else self.renders

    @property
    def template(self) -> str:
        """The path as a URI template (RFC 6570), without the router's converters."""
        return _VARIABLE.sub(r"{\1}", self.path)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names in the braces of the path."""
        return tuple(_VARIABLE.findall(self.path))
