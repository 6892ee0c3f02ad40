"""Answers to queries, the same for C-FIND and QIDO-RS."""

from __future__ import annotations

from collections.abc import Generator

from archive.dicom.query import Match, Query
from archive.index import matching
from archive.index.database import Database


class Search:
    """Who may see what will be decided here, once for both doors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, query: Query) -> Generator[Match]:
        """The matches in a stable order, streamed. Close the iterator when you stop early.

        Raises InvalidQuery, OutOfResources."""
        with self._database.read() as connection:
            yield from matching.find(connection, query)

    def count(self, query: Query) -> int:
        """How many matches there are, whatever `limit` and `offset` say."""
        with self._database.read() as connection:
            return matching.count(connection, query)
