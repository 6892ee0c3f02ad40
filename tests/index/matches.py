"""Asking an index, and reading its answers."""

from __future__ import annotations

from typing import Any

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.query import Key, Match, Matching, Query
from archive.index.database import Database
from archive.services.search import Search


def tag(keyword: str) -> int:
    return BY_KEYWORD[keyword].tag


def keys(**given: Matching) -> tuple[Key, ...]:
    return tuple(Key((tag(keyword),), value) for keyword, value in given.items())


def find(database: Database, query: Query) -> list[Match]:
    """All that matches, and as much of it as is counted."""
    search = Search(database)
    found = list(search.find(query).matches)
    if query.limit is None and not query.offset:
        assert search.count(query) == len(found)
    return found


def values(match: Match, keyword: str) -> Any:
    return match[BY_KEYWORD[keyword].tag_hex].get("Value")
