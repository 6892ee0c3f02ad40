"""JSON in and out. A body has to call itself application/json: a form of a foreign page cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from archive.web.http import media_types
from archive.web.http.errors import IDENTITY, RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import JSON

MAXIMUM_BYTES = 1 << 20
"""Of a body, unless the handler says otherwise."""

_NOT_KEPT = ("Cache-Control", "no-store")


def answer(value: Any, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """`value` as JSON; nobody keeps it, as it may change at any moment."""
    return Answer(status, JSON, orjson.dumps(value), (_NOT_KEPT, *headers))


def taker(asked: Asked, act: Callable[[Any], Answer], maximum_bytes: int = MAXIMUM_BYTES) -> JSONBody:
    """What a handler that takes a body returns: `act` gets the value that the body is, and makes the answer.

    Raises RequestRefused (415) when the body is not said to be JSON."""
    if asked.headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise RequestRefused("the body has to come without Content-Encoding", 415)
    if media_types.parse(asked.headers.get("content-type", "")).name != JSON:
        raise RequestRefused(f"the body has to be JSON, with Content-Type: {JSON}", 415)
    return JSONBody(act, maximum_bytes)


class JSONBody:
    """The receiving end of a body in JSON (`exchange.Taker`)."""

    def __init__(self, act: Callable[[Any], Answer], maximum_bytes: int) -> None:
        self._act = act
        self._maximum_bytes = maximum_bytes
        self._body = bytearray()

    def feed(self, piece: bytes) -> bool:
        """Keep what has come. Raises RequestRefused (413)."""
        self._body += piece
        if len(self._body) > self._maximum_bytes:
            raise RequestRefused(f"a body of more than {self._maximum_bytes} bytes", 413)
        return True

    def finish(self) -> Answer:
        """Read the body and act on it. Raises RequestRefused (400), and what the action raises."""
        try:
            value = orjson.loads(bytes(self._body))
        except orjson.JSONDecodeError as error:
            raise RequestRefused(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
        return self._act(value)

    def close(self) -> None:
        """Nothing is held but memory."""


def members(value: Any, known: Mapping[str, type]) -> dict[str, Any]:
    """The members of a JSON object, each of the type that is named. Raises RequestRefused (400) for another value, for
    a member that is not known (a slip must not pass for a default), and for one of another type."""
    if not isinstance(value, dict):
        raise RequestRefused("the body has to be a JSON object")
    for name, member in value.items():
        if name not in known:
            raise RequestRefused(f"unknown member {name[:64]!r}; known are {', '.join(known)}")
        if not isinstance(member, known[name]) or (known[name] is int and isinstance(member, bool)):
            raise RequestRefused(f"the member {name} has to be {_NAMES[known[name]]}")
    return value


_NAMES = {str: "a text", int: "a whole number", bool: "true or false", list: "an array", dict: "an object"}
