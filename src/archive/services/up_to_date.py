"""Objects that were kept aside, and come back after a correction: they are corrected before they are recorded.

Their bytes stay as they are; what is recorded is a copy that says what is right by now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from archive.dicom.errors import OutcomeUnknown, OutOfResources
from archive.index.correction_rules import Outdated
from archive.index.database import Connection, Database
from archive.services import shaping
from archive.services.duplicates import Incoming
from archive.services.late_arrivals import LateArrivals
from archive.services.shaping import Received
from archive.storage.base import BlobStore

ATTEMPTS = 10

T = TypeVar("T")


class UpToDate:
    """Records what was kept aside."""

    def __init__(self, store: BlobStore, database: Database, late_arrivals: LateArrivals) -> None:
        self._store = store
        self._database = database
        self._late_arrivals = late_arrivals

    def write(self, kept: Incoming, change: Callable[[Connection, Incoming], T]) -> T:
        """Run `change` in a transaction with the object; again with a corrected copy of it, where `duplicates.record`
        has found it outdated. `change` sees to the bytes of `kept` where it gets another object. Raises what it raises,
        what `Database.write` does, and InvalidObject for what cannot be corrected."""
        one = kept
        for _ in range(ATTEMPTS):
            try:
                return self._database.write(partial(_with, change, one))
            except Outdated:
                former, one = one, self._corrected(kept)
                self._drop(former, kept)
            except OutcomeUnknown:
                raise  # perhaps the index points to it
            except BaseException:
                self._drop(one, kept)
                raise
        self._drop(one, kept)
        raise OutOfResources("its patient or study is being corrected: try again in a moment")

    def _corrected(self, kept: Incoming) -> Incoming:
        opened = partial(self._store.open, kept.blob_key)
        shape = self._late_arrivals.look(Received(kept.instance, kept.stored, kept.source, opened))
        if shape is None:
            return kept  # the correction was taken back since
        made = shaping.written(self._store, kept.stored, opened, kept.source, shape)
        try:
            made.writer.publish()
        except BaseException:
            made.writer.discard()
            raise
        return replace(
            kept,
            instance=made.instance,
            blob_key=made.writer.key,
            data_set_offset=made.data_set_offset,
            sha256=made.sha256,
            notes=(shape.note,) if shape.note is not None else (),
        )

    def _drop(self, one: Incoming, kept: Incoming) -> None:
        if one.blob_key != kept.blob_key:
            self._store.delete(one.blob_key)


def _with(change: Callable[[Connection, Incoming], T], one: Incoming, connection: Connection) -> T:
    return change(connection, one)
