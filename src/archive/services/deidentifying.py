"""Copies of studies that say nothing of whose they are, for shares.

A share has its copy in a store and an index of its own, made once: who comes by the share is given these in place of
the archive's, so there is nothing that a search, a path or an error could bring to light. An object whose pixels may
say whose it is has no copy. What goes in the archive goes from the copies as well (`keep_up`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from archive.dicom import part10
from archive.dicom.deidentifying.eligible import obstacle
from archive.dicom.deidentifying.rewriting import deidentified
from archive.dicom.errors import ArchiveError, InvalidEntry, OutcomeUnknown, OutOfResources
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.metadata_values import Metadata, integer, text
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from archive.dicom.writing.byte_order import Read
from archive.dicom.writing.recoding import Copy
from archive.index import deletions, instances
from archive.index.database import Connection, Database
from archive.security.shares import Deidentified
from archive.services import explicit
from archive.services.ingest import Ingest, Reception
from archive.services.retrieve import Retrieve
from archive.storage.base import BlobStore, Spool

AT_ONCE = 16
"""Copies that are made safe together."""
_PIECE = 1 << 20
_MAXIMUM = 1 << 62
"""What is stored has been let in already."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many objects of a series that are not in the copy, and why not."""

    SeriesInstanceUID: str
    Modality: str
    objects: int
    reason: str


class Copying:
    """Into one store and its index."""

    def __init__(self, store: BlobStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._ingest = Ingest(store, database, _MAXIMUM)

    def make(self, seen: Retrieve, studies: Sequence[str], how: Deidentified) -> list[LeftOut]:
        """Copy what is seen of these studies; what was left out. Raises InvalidEntry where all of it was, NotFound,
        OutOfResources."""
        left: Counter[tuple[str, str, str]] = Counter()
        open_: list[Reception] = []
        found = seen.intact(Scope(tuple(studies)))
        try:
            for one in (*found.instances, *found.damaged):
                metadata = seen.attributes(one)
                reason = self._copied(seen, one, metadata, how, open_)
                if reason:
                    left[one.SeriesInstanceUID, text(metadata, "00080060"), reason] += 1
                if len(open_) >= AT_ONCE:
                    self._settle(open_)
            self._settle(open_)
        finally:
            for reception in open_:
                reception.__exit__()
        told = [LeftOut(uid, modality, number, why) for (uid, modality, why), number in left.items()]
        if sum(one.objects for one in told) == len(found.instances) + len(found.damaged):
            why = "; ".join(dict.fromkeys(one.reason for one in told))
            raise InvalidEntry(f"nothing of this can be de-identified: {why}")
        return told

    def keep_up(self, seen: Retrieve, studies: Sequence[str], how: Deidentified) -> int:
        """Remove the copies of what is no more in these studies; how many. Raises OutOfResources."""
        stored = seen.instances(Scope(tuple(studies))) if studies else []
        wanted = {how.replacements.uid(one.SOPInstanceUID) for one in stored}
        with self._database.read() as connection:
            there = instances.instances(connection, Scope())
        gone = [one for one in there if one.SOPInstanceUID not in wanted]
        for one in gone:
            self._remove(one)
        return len(gone)

    def _remove(self, one: StoredInstance) -> None:
        scope = Scope((one.StudyInstanceUID,), (one.SeriesInstanceUID,), (one.SOPInstanceUID,))

        def change(connection: Connection) -> list[str]:
            return deletions.delete(connection, scope)

        self._store.delete_all(self._database.write(change))

    def _copied(
        self,
        seen: Retrieve,
        one: StoredInstance,
        metadata: Metadata,
        how: Deidentified,
        open_: list[Reception],
    ) -> str:
        """Begin a copy, to be settled; or why there is none."""
        if reason := obstacle(one.SOPClassUID, metadata):
            return reason
        reception = self._ingest.part10(Source("IMPORT"))
        try:
            with _readable(seen, one, metadata, self._store.spool) as (read, length, syntax):
                patient = how.replacements.patient(text(metadata, "00100020"), text(metadata, "00100021"))
                head = part10.file_meta(one.SOPClassUID, how.replacements.uid(one.SOPInstanceUID), syntax)
                reception.write(head)
                for segment in deidentified(read, length, how.replacements, patient, how.options):
                    for piece in _pieces(segment, read):
                        reception.write(piece)
            reception.whole()
        except (OutOfResources, OutcomeUnknown):
            reception.__exit__()
            raise
        except ArchiveError:
            reception.__exit__()
            return "it is damaged, or not well-formed"
        open_.append(reception)
        return ""

    def _settle(self, open_: list[Reception]) -> None:
        for settled in self._ingest.finish(open_):
            settled.result()
        for reception in open_:
            reception.__exit__()
        open_.clear()


def _pieces(segment: bytes | Copy, read: Read) -> Iterator[bytes]:
    if isinstance(segment, bytes):
        yield segment
        return
    for start in range(0, segment.length, _PIECE):
        yield read(segment.offset + start, min(_PIECE, segment.length - start))


@contextmanager
def _readable(
    seen: Retrieve, one: StoredInstance, metadata: Metadata, spool: Callable[[], Spool]
) -> Iterator[tuple[Read, int, str]]:
    """The data set in Explicit VR Little Endian, or encapsulated as it is: how to read it, its length, its transfer
    syntax."""
    uid = one.transfer_syntax_uid
    if uid == EXPLICIT_VR_LITTLE_ENDIAN or uid not in explicit.NATIVE:
        with seen.open(one) as blob:
            yield lambda at, length: blob.read(one.data_set_offset + at, length), one.data_set_length, uid
        return
    pixel_bytes = max(1, integer(metadata, "00280100", 16) // 8)
    whole, skipped = explicit.of_native(one, lambda: seen.open(one), pixel_bytes), len(explicit.head(one))
    kept = spool()
    try:
        for piece in whole.read(skipped, whole.length - skipped):
            kept.write(piece)

        def read(at: int, length: int) -> bytes:
            return b"".join(kept.pieces(at, length))

        yield read, kept.length, EXPLICIT_VR_LITTLE_ENDIAN
    finally:
        kept.close()
