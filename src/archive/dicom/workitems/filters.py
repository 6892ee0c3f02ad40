"""The matching keys of a filtered subscription as JSON and back: they are kept with it, and asked of every workitem
that comes later (PS3.4 CC.2.3.1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from archive.dicom.instance import Level
from archive.dicom.query import (
    AsGiven,
    Empty,
    Key,
    Matching,
    Query,
    Range,
    SingleValue,
    UIDList,
    Universal,
    Wildcard,
)

_KINDS: Mapping[str, Callable[..., Matching]] = {
    kind.__name__: kind for kind in (SingleValue, UIDList, Wildcard, Range, Empty, AsGiven)
}


def keys_of(query: Query) -> tuple[Key, ...]:
    """The keys that restrict."""
    return tuple(key for key in query.keys if not isinstance(key.matching, Universal))


def written(query: Query) -> dict[str, Any]:
    """What is kept of it: the keys that restrict, and how they are meant."""
    return {
        "keys": [
            {"path": list(key.path), "kind": type(key.matching).__name__, **dataclasses.asdict(key.matching)}
            for key in keys_of(query)
        ],
        "creators": [[list(path), name] for path, name in query.creators],
        "fuzzy": query.fuzzy,
        "combined": query.combined,
        "timezone": query.timezone,
    }


def read(kept: Mapping[str, Any]) -> Query:
    """The query again."""
    return Query(
        Level.IMAGE,
        tuple(_key(key) for key in kept["keys"]),
        creators=tuple((tuple(path), name) for path, name in kept["creators"]),
        fuzzy=kept["fuzzy"],
        combined=kept["combined"],
        timezone=kept["timezone"],
    )


def _key(kept: Mapping[str, Any]) -> Key:
    said = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept.items()
        if name not in ("path", "kind")
    }
    return Key(tuple(kept["path"]), _KINDS[kept["kind"]](**said))
