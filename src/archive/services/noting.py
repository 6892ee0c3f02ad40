"""Keeping the notes beside the blobs: how each stands that is not simply what is stored, as the index says it now.

Done by the jobs, a moment after the change that left it to them. In that moment the index alone knows it; a blob that
`archive reindex` then finds without its note is kept aside for a decision, where another has its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import orjson

from archive.dicom.errors import NotFound
from archive.index import standing
from archive.index.database import Database
from archive.index.standing import STANDING_CHANGED
from archive.storage.base import BlobStore
from archive.storage.notes import Notes

__all__ = ["STANDING_CHANGED", "Noting"]


class Noting:
    """Who writes the notes."""

    def __init__(self, notes: Notes, store: BlobStore, database: Database) -> None:
        self._notes = notes
        self._store = store
        self._database = database

    def note(self, subjects: Sequence[str]) -> None:
        """Note how these stand; any number of times. Raises OutOfResources."""

        def told() -> dict[str, str]:
            with self._database.read() as connection:
                found = standing.of(connection, subjects)
            return {subject: orjson.dumps(entry).decode() for subject, entry in found.items()}

        self._notes.append(told)

    def tidy(self) -> bool:
        """Forget notes about blobs that are not there any more, once there are many; not where none is there, as their
        disk may come back. Raises OutOfResources."""
        if next(self._store.keys(), None) is None:
            return False
        return self._notes.tidy(self._is_needed)

    def forget(self, keys: Collection[str]) -> None:
        """Have no note about these blobs any more: their bytes were destroyed. Raises OutOfResources."""
        self._notes.forget(frozenset(keys))

    def _is_needed(self, subject: str) -> bool:
        if " " in subject:
            return True
        try:
            self._store.stat(subject)
        except NotFound:
            return False
        return True
