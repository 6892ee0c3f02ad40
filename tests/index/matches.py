"""Asking an index, and reading its answers."""

from __future__ import annotations

from typing import Any

from archive.dicom.attributes import BY_KEYWORD
from archive.dicom.instance import Instance
from archive.dicom.query import Key, Match, Matching, Query
from archive.index import schema
from archive.index.database import Connection, Database
from archive.services.search import Search
from instances_made import store


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


def fill(connection: Connection, made: list[Instance]) -> None:
    """These objects and no others."""
    for table in reversed(schema.metadata.sorted_tables):
        connection.execute(table.delete())
    store(connection, *made)
