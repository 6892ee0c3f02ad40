"""Rejection notes that have come, and what is held for them: looking, taking back, letting go; and notes of our own.

    restore   what the note rejects is stored again, unless another note rejects it too; then the note means nothing
    drop      the bytes that are held for it are deleted; what it rejects stays rejected
    expire    the same, for what has been held as long as the settings say

Each instance is brought back by itself, read and compared with its digest first, in one transaction that changes who
points to its bytes. So a crash leaves each of them here or there, and doing it again does the rest.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from copy import copy as copy_of
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import structlog

from archive.dicom.errors import ArchiveError, InstanceConflict, NotFound, OutOfResources
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.receiving.commitment import Reference
from archive.dicom.rejection_notes import KEY_OBJECT_SELECTION, Reason, data_set
from archive.dicom.writing.encoder import encode_data_set
from archive.index import correction_rules, deletions, holds, instances, outbox, rejected_copies, rejections
from archive.index.database import Connection, Database
from archive.index.recording import Outcome
from archive.index.rejected_copies import Fate, HeldCopy, Kept
from archive.index.rejections import Rejected, Rejection, State
from archive.security.views import View, both
from archive.services import duplicates
from archive.services.delete import BLOBS_DELETED, KEYS_PER_JOB
from archive.services.duplicates import GRACE_SECONDS, REASONS, Incoming, abandon
from archive.services.ingest import Ingest
from archive.services.up_to_date import UpToDate
from archive.storage.base import Blob, BlobStore

__all__ = ["Fate", "Reason", "Rejected", "Rejection", "Rejections", "Restored", "State"]

_log = structlog.get_logger()

DAY = 86_400.0
IN_ONE_NOTE = 5_000
"""Instances that a note of ours refers to; of more there are several notes."""
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_UTF_8 = ("ISO_IR 192",)
_NEXT_STEP = "look at it (archive rejections show), and delete what is in its way"


@dataclass(frozen=True, slots=True)
class Restored:
    """How many instances were brought back, or are kept out by another note only; why the others were not."""

    number: int
    failed: dict[str, str]


class Rejections:
    """The rejection notes, for command line and API."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        ingest: Ingest,
        shown: frozenset[Reason] = frozenset(),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._database = database
        # Our own notes say what is stored: rules for what others send would make another patient's of them.
        self._ingest = copy_of(ingest)
        self._ingest.shapers = ()
        self._shown = shown
        self._up_to_date = UpToDate(store, database, ingest.late_arrivals)
        self._now = now
        self._view: View | None = None

    def seen_by(self, view: View) -> Rejections:
        """The same, for which nothing can be rejected but what the view shows."""
        within = copy_of(self)
        within._view = both(self._view, view)
        return within

    def last(
        self, limit: int = 1000, states: Sequence[State] = (), study_instance_uid: str = ""
    ) -> list[tuple[Rejection, dict[str, int]]]:
        """The last notes, newest first, each with how many instances of each fate it refers to."""
        with self._database.read() as connection:
            found = rejections.last(connection, limit, states, study_instance_uid)
            counts = rejections.counts(connection, [one.id for one in found])
        return [(one, counts[one.id]) for one in found]

    def get(self, number: int) -> Rejection:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _known(rejections.find(connection, number))

    def counted(self, number: int) -> tuple[Rejection, dict[str, int]]:
        """A note, and how many instances of each fate it refers to. Raises NotFound."""
        with self._database.read() as connection:
            found = _known(rejections.find(connection, number))
            return found, rejections.counts(connection, [number])[number]

    def references(self, number: int, limit: int | None = None) -> list[Rejected]:
        """What a note refers to. Raises NotFound."""
        with self._database.read() as connection:
            _known(rejections.find(connection, number))
            return rejections.references(connection, number, limit)

    def open_note(self, number: int) -> tuple[StoredInstance, Blob]:
        """The note as a PS3.10 file that the caller closes. Raises NotFound."""
        return self._open(self.get(number).note)

    def open_copy(self, number: int, sop_instance_uid: str) -> tuple[StoredInstance, Blob]:
        """What is held of an instance that a note refers to, as a PS3.10 file that the caller closes. Raises NotFound
        when there is nothing."""
        referred = any(one.SOPInstanceUID == sop_instance_uid for one in self.references(number))
        with self._database.read() as connection:
            copy = rejected_copies.find_copy(connection, sop_instance_uid) if referred else None
        if copy is None:
            raise NotFound("nothing is held of this instance for this note")
        return self._open(copy.kept)

    def restore(self, number: int, by: str, sop_instance_uid: str = "") -> Restored:
        """Take a note back, or what it says of one instance.

        Raises NotFound, InstanceConflict for one that is taken back already, OutOfResources, OutcomeUnknown."""
        one = self.get(number)
        if one.state != State.ACTIVE:
            raise InstanceConflict("this rejection note is taken back already")
        self._check_referred(number, sop_instance_uid)
        tried, failed, restored = set[int](), dict[str, str](), 0
        while left := [copy for copy in self._copies(number, sop_instance_uid) if copy.id not in tried]:
            for copy in left:
                tried.add(copy.id)
                try:
                    self._restore(copy, by)
                    restored += 1
                except OutOfResources:
                    raise
                except ArchiveError as error:
                    failed[copy.kept.stored.SOPInstanceUID] = error.reason
        if not failed and not self._settle(number, by, sop_instance_uid):
            return self._again(number, by, sop_instance_uid, restored)
        _log.info("rejection_taken_back", note=number, restored=restored, failed=len(failed), by=by)
        return Restored(restored, failed)

    def drop(self, number: int, by: str, sop_instance_uid: str = "") -> int:
        """Delete the bytes that are held for a note, or for one instance of it; how many instances that were.

        Raises NotFound, OutOfResources, OutcomeUnknown."""
        self.get(number)
        self._check_referred(number, sop_instance_uid)
        dropped = 0
        while some := self._let_go(
            lambda connection: rejected_copies.copies(connection, number, sop_instance_uid, KEYS_PER_JOB),
            Fate.DROPPED,
        ):
            dropped += some
        _log.info("rejected_dropped", note=number, dropped=dropped, by=by)
        return dropped

    def expire(self, days: int) -> int:
        """Delete what has been held for so many days, for 0 nothing; how many instances that were."""
        expired, before = 0, self._now() - days * DAY
        while days and (
            some := self._let_go(
                lambda connection: rejected_copies.old_copies(connection, before, KEYS_PER_JOB), Fate.EXPIRED
            )
        ):
            expired += some
        return expired

    def reject(self, scope: Scope, reason: Reason, source: Source) -> int:
        """Reject a study, a series or an instance by notes of our own; how many instances that were.

        Raises Gone, NotFound, InstanceConflict where nothing is hidden for this reason, OutOfResources."""
        if reason in self._shown:
            raise InstanceConflict("nothing is hidden for this reason here: the setting is rejection.quality")
        with self._database.read() as connection:
            found = list(instances.instances(connection, scope, self._view))
            if not found:
                raise deletions.missing(connection, scope, self._view)
            beside = orjson.loads(rejections.attributes_beside(connection, scope.study_instance_uids[0]))
        for start in range(0, len(found), IN_ONE_NOTE):
            self._send(_note(found[start : start + IN_ONE_NOTE], reason, beside), source)
        return len(found)

    def _send(self, encoded: _Encoded, source: Source) -> None:
        with self._ingest.data_set(
            _EXPLICIT_VR_LITTLE_ENDIAN, KEY_OBJECT_SELECTION, encoded.SOPInstanceUID, source
        ) as reception:
            reception.write(encoded.data)
            reception.finish()

    def _again(self, number: int, by: str, sop_instance_uid: str, restored: int) -> Restored:
        """Something has come for the note in the meantime."""
        more = self.restore(number, by, sop_instance_uid)
        return Restored(restored + more.number, more.failed)

    def _copies(self, number: int, sop_instance_uid: str) -> list[HeldCopy]:
        with self._database.read() as connection:
            return rejected_copies.copies(connection, number, sop_instance_uid)

    def _check_referred(self, number: int, sop_instance_uid: str) -> None:
        if sop_instance_uid and all(
            one.SOPInstanceUID != sop_instance_uid for one in self.references(number)
        ):
            raise NotFound("the note does not refer to this instance: see `archive rejections show`")

    def _restore(self, copy: HeldCopy, by: str) -> None:
        held = self._read(copy)

        def change(connection: Connection, incoming: Incoming) -> None:
            correction_rules.record_beside(connection)
            rejections.claim(connection, [held.instance.StudyInstanceUID])
            if rejected_copies.find_copy(connection, blob_key=held.blob_key) != copy:
                raise InstanceConflict("somebody else has just decided about it: look at it again")
            rejections.forgive(connection, copy.rejection_id, held.instance.SOPInstanceUID)
            if rejected_copies.hand_over(connection, copy):
                return
            outcome = duplicates.record(connection, incoming)
            if outcome is Outcome.STORED:
                duplicates.release_same(connection, incoming, by)
            elif outcome is not Outcome.ALREADY_THERE:
                raise InstanceConflict(f"{REASONS[outcome]}: {_NEXT_STEP}")
            rejected_copies.release(connection, copy)
            for key in {held.blob_key, incoming.blob_key}:
                if outcome is Outcome.ALREADY_THERE or key != incoming.blob_key:
                    abandon(connection, key, GRACE_SECONDS)

        self._up_to_date.write(held, change)

    def _settle(self, number: int, by: str, sop_instance_uid: str) -> bool:
        """The note rejects nothing any more, or not this instance; False when something is held for it after all."""

        def change(connection: Connection) -> bool:
            referred = rejections.references(connection, number)
            rejections.claim(connection, {one.StudyInstanceUID for one in referred})
            if rejected_copies.copies(connection, number, sop_instance_uid, 1):
                return False
            if sop_instance_uid:
                rejections.forgive(connection, number, sop_instance_uid)
            else:
                rejections.settle(connection, number, by)
            return True

        return self._database.write(change)

    def _let_go(self, find: Callable[[Connection], list[HeldCopy]], fate: Fate) -> int:
        def change(connection: Connection) -> int:
            copies = find(connection)
            if fate is Fate.DROPPED:
                holds.check(connection, {copy.kept.stored.StudyInstanceUID for copy in copies})
            rejections.claim(connection, {copy.kept.stored.StudyInstanceUID for copy in copies})
            for copy in copies:
                rejected_copies.release(connection, copy, fate)
            keys = {"keys": [copy.kept.stored.blob_key for copy in copies]}
            if copies:
                outbox.put(connection, BLOBS_DELETED, keys, after_seconds=GRACE_SECONDS)
            return len(copies)

        return self._database.write(change)

    def _open(self, kept: Kept) -> tuple[StoredInstance, Blob]:
        blob = self._store.open(kept.stored.blob_key)
        if blob.length != kept.stored.blob_length:
            blob.close()
            raise NotFound("the bytes that are held are damaged: restore them from a backup")
        return kept.stored, blob

    def _read(self, copy: HeldCopy) -> Incoming:
        """An instance as it was, read from its bytes, which must be what they were."""
        stored, blob = self._open(copy.kept)
        reader, digest = DataSetReader(stored.transfer_syntax_uid), hashlib.sha256()
        with blob:
            for piece in blob.pieces(stored.data_set_offset, stored.data_set_length):
                digest.update(piece)
                reader.feed(piece)
        instance = reader.finish()
        if digest.hexdigest() != stored.sha256:
            raise NotFound("the bytes that are held are damaged: restore them from a backup")
        source = copy.kept.source
        return Incoming(
            instance, stored.blob_key, stored.data_set_offset, stored.sha256, stored.received, source
        )


@dataclass(frozen=True, slots=True)
class _Encoded:
    SOPInstanceUID: str
    data: bytes


def _note(found: Sequence[StoredInstance], reason: Reason, beside: dict[str, object]) -> _Encoded:
    """A note of our own, in the study of what it rejects."""
    uids = found[0].StudyInstanceUID, _new_uid(), _new_uid()
    rejected = [
        Reference(one.SOPClassUID, one.SOPInstanceUID, one.StudyInstanceUID, one.SeriesInstanceUID)
        for one in found
    ]
    moment = datetime.now(UTC).astimezone().strftime("%Y%m%d%H%M%S")
    attributes = data_set(uids, reason, rejected, beside, moment)
    return _Encoded(uids[2], encode_data_set(attributes, implicit=False, specific_character_set=_UTF_8))


def _new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def _known(one: Rejection | None) -> Rejection:
    if one is None:
        raise NotFound("there is no rejection note of this number: see `archive rejections list --all`")
    return one
