"""Answers to queries, the same for C-FIND and QIDO-RS.

Which entities match is read first, then their answers a few at a time, each in a short transaction of its own. A
receiver may take as long as it likes: it keeps no connection from those who store.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from archive.dicom.errors import TooBroad
from archive.dicom.query import Match, Query
from archive.index import matching, newest
from archive.index.database import Connection, Database
from archive.index.examining import BATCH, Examination, examination
from archive.index.time_limit import limited
from archive.security.views import View, both
from archive.settings.keeping import Limits

STREAMED = 10
"""Candidates that are examined before what matches is handed on: some metadata are megabytes, and who asked may have
thought better of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Matches in a stable order, as there were at the beginning; `number` of them, less those that are deleted
    before their turn comes. `remaining` match too, after those that the limit allows. `unread` are candidates with
    metadata too long to be examined, which do not match."""

    number: int
    matches: Generator[Match]
    remaining: int = 0
    unread: int = 0


class Search:
    """What somebody sees is decided here, and in `Retrieve`, once for all doors."""

    maximum_examined = 20_000
    """Instances whose metadata one search may read for keys that the index has no column for."""

    def __init__(
        self, database: Database, seconds: float = Limits.search_seconds, view: View | None = None
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._view = view

    def seen_by(self, view: View) -> Search:
        """The same, which finds only what the view shows."""
        return Search(self._database, self._seconds, both(self._view, view))

    def find(self, query: Query) -> Found:
        """What matches, to be streamed. Raises InvalidQuery, TooBroad, OutOfResources."""
        examined = examination(query, self._view)
        if examined is not None:
            return self._examined(query, examined)
        with self._looking() as connection:
            page = matching.page(connection, query, self._view)
        return Found(len(page.keys), self._matches(query, page.keys), page.remaining)

    def stream(self, query: Query) -> Generator[Match | None]:
        """What matches, as it is found; None now and then while nothing is, so that whoever takes them can look whether
        they are still wanted. Raises as `find` does, at whatever place; TooBroad at the end when there are candidates
        with metadata too long to be examined."""
        examined = examination(query, self._view)
        with self._looking() as connection:
            if examined is None:
                keys = matching.keys(connection, query, self._view)
            else:
                keys = matching.candidates(connection, query, examined, self.maximum_examined, self._view)
        yield None
        if examined is None:
            yield from self._matches(query, keys)
        else:
            yield from self._as_examined(query, examined, keys)

    def newest(self, queries: Sequence[Query], limit: int, offset: int = 0) -> list[Match]:
        """A page of the studies that match any of these, the latest first. They are not counted, so it is quick also
        where there are very many. The first query says what an answer holds. Raises InvalidQuery, OutOfResources."""
        if not queries:
            return []
        with self._looking() as connection:
            keys = newest.keys(connection, queries, offset + limit, self._view)
        return list(self._matches(queries[0], keys[offset:]))

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        """A connection for finding out what matches, which takes as long as the question is wide. To read answers by
        their keys, or to examine a few candidates, takes no longer than they are."""
        with self._database.read() as connection, limited(connection, self._seconds):
            yield connection

    def _as_examined(
        self, query: Query, examined: Examination, candidates: Sequence[int]
    ) -> Generator[Match | None]:
        skip, left = query.offset, query.limit
        for start in range(0, len(candidates), STREAMED):
            with self._database.read() as connection:
                found = examined.keep(connection, candidates[start : start + STREAMED])
            wanted = found[skip:][:left]
            taken_from = time.monotonic()
            yield from self._matches(query, wanted)
            yield None
            examined.ends += time.monotonic() - taken_from  # a slow receiver is no long examination
            skip = max(0, skip - len(found))
            left = None if left is None else left - len(wanted)
            if left == 0:
                return
        if examined.unread:
            raise TooBroad(
                f"{examined.unread} candidates not searched: metadata too long. Ask by UID, or with other keys"
            )

    def count(self, query: Query) -> int:
        """How many matches there are, whatever `limit` and `offset` say. Raises InvalidQuery, TooBroad."""
        examined = examination(query, self._view)
        if examined is not None:
            return len(self._kept(query, examined))
        with self._looking() as connection:
            return matching.count(connection, query, self._view)

    def _examined(self, query: Query, examined: Examination) -> Found:
        found = self._kept(query, examined)[query.offset :]
        keys = found if query.limit is None else found[: query.limit]
        return Found(len(keys), self._matches(query, keys), len(found) - len(keys), examined.unread)

    def _kept(self, query: Query, examined: Examination) -> list[int]:
        """The candidates that match, examined a few at a time."""
        with self._looking() as connection:
            left = matching.candidates(connection, query, examined, self.maximum_examined, self._view)
        found: list[int] = []
        for start in range(0, len(left), BATCH):
            with self._database.read() as connection:
                found += examined.keep(connection, left[start : start + BATCH])
        return found

    def _matches(self, query: Query, keys: Sequence[int]) -> Generator[Match]:
        size = matching.batch_size(query)
        for start in range(0, len(keys), size):
            with self._database.read() as connection:
                batch = matching.find(connection, query, keys[start : start + size], self._view)
            yield from batch
