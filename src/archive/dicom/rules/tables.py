"""A table of the settings, read key by key. Everything here raises ValueError with a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

Table = Mapping[str, Any]


def check_keys(table: Any, known: Iterable[str]) -> None:
    """Each key has to be one of these."""
    if not isinstance(table, Mapping):
        raise ValueError("a rule is a table: Keyword = value, line by line")
    names = list(known)
    for key in table:
        if key not in names:
            nearest = difflib.get_close_matches(str(key), names, n=1, cutoff=0.0)
            raise ValueError(f"unknown key {key}; the nearest known is {nearest[0]}")


def text(value: Any, what: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError(f"{what} must be text")
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """A text, or a list of them; not an empty list, which would mean either all or nothing."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not found:
        raise ValueError(f"{what} must be a text or a list of texts")
    return tuple(text(one, what) for one in found)


def lines(value: Any, what: str) -> Mapping[str, Any]:
    """Keywords of attributes, each with a value."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be {{ Keyword = … }}")
    return value


def flag(value: Any, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{what} must be true or false")
    return value
