"""Answers to queries, the same for C-FIND and QIDO-RS.

Which entities match is read first, then their answers a few at a time, each in a short transaction of its own. A
receiver may take as long as it likes: it keeps no connection from those who store.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from archive.dicom.query import Match, Query
from archive.index import matching
from archive.index.database import Database


@dataclass(frozen=True, slots=True)
class Found:
    """Matches in a stable order, as there were at the beginning; `number` of them, less those that are deleted
    before their turn comes."""

    number: int
    matches: Generator[Match]


class Search:
    """Who may see what will be decided here, once for both doors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, query: Query) -> Found:
        """What matches, to be streamed. Raises InvalidQuery, OutOfResources."""
        with self._database.read() as connection:
            keys = matching.keys(connection, query)
        return Found(len(keys), self._matches(query, keys))

    def count(self, query: Query) -> int:
        """How many matches there are, whatever `limit` and `offset` say."""
        with self._database.read() as connection:
            return matching.count(connection, query)

    def _matches(self, query: Query, keys: Sequence[int]) -> Generator[Match]:
        size = matching.batch_size(query)
        for start in range(0, len(keys), size):
            with self._database.read() as connection:
                batch = matching.find(connection, query, keys[start : start + size])
            yield from batch
