"""An object on its way in, in pieces: written to its blob while it is read, safe before anybody hears Success.

The order is the promise (a crash after any step leaves at most bytes that nobody points to):

    write every piece  ->  check the structure and the identity  ->  publish: fsync, rename, fsync
      ->  one index transaction: rows, metadata, frame table, outbox  ->  Receipt

Nothing is held in memory but the piece at hand. The digest is that of the encoded data set without preamble and
File Meta Information, so the same object is recognised whichever door it comes through. Where a site has attributes
coerced, bytes are changed on the way to the blob, and the digest of what was received is kept as well: by it the same
object is recognised although the moment of coercion is in the stored one. What needs the whole object to change it
(`shaping`) does so when the object is known to be new, before its bytes are published.

Where something is in an object's way, `duplicates` says what becomes of it. The order is the same then: bytes that are
kept aside are published before the one transaction that enters the record of them, and what they replace stays where
it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from archive.dicom import part10
from archive.dicom.errors import (
    InstanceConflict,
    NotFound,
    ObjectTooLarge,
    OutcomeUnknown,
    OutOfResources,
)
from archive.dicom.instance import Form, Instance, Source, StoredInstance
from archive.dicom.reading.reader import WANTED, DataSetReader
from archive.dicom.writing.coercion import Coercer
from archive.index import conflicts, instances, recording
from archive.index.conflicts import Conflict
from archive.index.correction_rules import Outdated
from archive.index.database import Database
from archive.index.recording import Outcome
from archive.services import duplicates, rejecting, shaping
from archive.services.coercing import NOTHING, Coercions
from archive.services.duplicates import REASONS, Fate, Incoming, Policy
from archive.services.late_arrivals import LateArrivals
from archive.services.receipts import (
    COERCED,
    COERCED_REMARK,
    SOP_INSTANCE_UID,
    Expected,
    Receipt,
    kept_aside_remark,
)
from archive.services.rejecting import Note
from archive.services.shaping import Shaped, Shaper, Written
from archive.storage.base import BlobStore, BlobWriter, Spool

Piece = bytes | bytearray | memoryview

ATTEMPTS = 10
"""So often corrections may overtake one object."""


class Ingest:
    """The one way into the archive, for every door."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        maximum_object_bytes: int,
        coercions: Coercions = NOTHING,
        policy_of: Callable[[Source], Policy] = lambda _: Policy.REJECT,
        shapers: tuple[Shaper, ...] = (),
        note_of: Callable[[Instance], Note | None] = rejecting.note_of,
        late_arrivals: LateArrivals | None = None,
        wanted: frozenset[int] = WANTED,
    ) -> None:
        self.store = store
        self.database = database
        self.maximum_object_bytes = maximum_object_bytes
        self.coercions = coercions
        self.policy_of = policy_of
        self.shapers = shapers
        self.wanted = wanted
        self.note_of = note_of
        self.late_arrivals = late_arrivals or LateArrivals(database, coercions.modifying_system)

    def data_set(
        self,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        source: Source,
        study_instance_uid: str = "",
    ) -> Reception:
        """Receive an encoded data set without File Meta Information, as C-STORE sends it; we write the header. With
        `study_instance_uid` an object of another study is an ObjectMismatch.

        Raises OutOfResources when nothing can be taken now."""
        header = part10.file_meta(
            sop_class_uid,
            sop_instance_uid,
            transfer_syntax_uid,
            calling_ae_title=source.calling_ae_title,
            called_ae_title=source.called_ae_title,
        )
        expected = Expected(sop_class_uid, sop_instance_uid, study_instance_uid)
        reception = Reception(self, expected, source)
        reception.begin(header, transfer_syntax_uid)
        return reception

    def part10(self, source: Source, study_instance_uid: str = "") -> Reception:
        """Receive a PS3.10 file. With `study_instance_uid` an object of another study is an ObjectMismatch."""
        return Reception(self, Expected(StudyInstanceUID=study_instance_uid), source)

    def spool(self) -> Spool:
        """Room for parts of objects that are put together later. Raises OutOfResources."""
        return self.store.spool()

    def discard_abandoned(self, key: str) -> None:
        """Delete bytes that lost a race; done by the jobs, any number of times."""
        self.store.delete(key)


class Reception:
    """One object on its way in. Use it in a `with`: left without `finish`, it leaves nothing behind."""

    def __init__(self, ingest: Ingest, expected: Expected, source: Source) -> None:
        self._ingest = ingest
        self._expected = expected
        self._source = source
        self._identity = expected.SOPClassUID, expected.SOPInstanceUID
        self._meta: part10.FileMetaReader | None = part10.FileMetaReader()
        self._reader: DataSetReader | None = None
        self._coercer: Coercer | None = None
        self._received = hashlib.sha256()
        self._kept = self._received
        self._length = 0
        self._data_set_offset = 0
        self._form = Form("", "")
        self._shaped_tags: tuple[int, ...] = ()
        self._notes: tuple[shaping.Note, ...] = ()
        self._writer: BlobWriter = ingest.store.create()
        self._settled = False

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._settled:
            self._settled = True
            self._writer.discard()

    @property
    def identity(self) -> tuple[str, str]:
        """SOP Class UID and SOP Instance UID as the sender gave them, empty where unknown: for failure reports.

        In a file they come from its File Meta Information, or without one from the data set as far as it came.
        That they agree is not asked of a file: its File Meta Information is often stale after anonymisation, and
        the data set is what is stored, found and shown."""
        if any(self._identity) or self._reader is None:
            return self._identity
        return self._reader.identity

    def begin(self, header: bytes, transfer_syntax_uid: str) -> None:
        """The header is complete: write it, and read what follows as a data set."""
        self._meta = None
        self._data_set_offset = len(header)
        self._writer.write(header)
        self._reader = DataSetReader(transfer_syntax_uid, wanted=self._ingest.wanted)
        self._coercer = self._ingest.coercions.coercer(transfer_syntax_uid, self._source)
        if self._coercer is not None:
            self._kept = hashlib.sha256()

    def write(self, piece: Piece) -> None:
        """Take the next piece. Raises InvalidObject or OutOfResources as soon as the object is hopeless."""
        if self._meta is not None:
            rest = self._read_meta(piece)
            if rest is None:
                return
            piece = rest
        self._length += len(piece)
        if self._length > self._ingest.maximum_object_bytes:
            limit = self._ingest.maximum_object_bytes
            raise ObjectTooLarge(f"the object is larger than limits.maximum_object_bytes ({limit})")
        self._received.update(piece)
        if self._coercer is None:
            self._take(piece)
            return
        for changed in self._coercer.feed(piece):
            self._kept.update(changed)
            self._take(changed)

    def _take(self, piece: Piece) -> None:
        """The next bytes to be kept."""
        assert self._reader is not None
        self._writer.write(piece)
        self._reader.feed(piece)

    def finish(self) -> Receipt:
        """All pieces have come: make the object safe. Raises InvalidObject, InstanceConflict, OutOfResources."""
        if self._meta is not None:
            self._meta.meta  # noqa: B018 - raises, as the header never became complete
        instance = self._read_to_end()
        self._expected.compare(instance)
        self._form = Form(self._received.hexdigest(), instance.transfer_syntax_uid)
        stored = self._find(instance)
        fate = self._decide(stored, instance)
        if fate.refused:
            raise InstanceConflict(
                REASONS[fate.outcome], sop_instance_uid=instance.SOPInstanceUID, conflict_id=fate.conflict_id
            )
        return self._receipt(instance, fate, stored)

    def _receipt(self, instance: Instance, fate: Fate, stored: StoredInstance | None) -> Receipt:
        warning, remark = 0, ""
        offending: tuple[int, ...] = ()
        if fate.held:
            warning, remark, offending = (
                COERCED,
                kept_aside_remark(fate.outcome is Outcome.AWAITED, fate.conflict_id),
                (SOP_INSTANCE_UID,),
            )
        elif self._coerced_tags or self._was_coerced(stored):
            warning, remark, offending = COERCED, COERCED_REMARK, self._coerced_tags
        return Receipt(
            instance.SOPClassUID,
            instance.SOPInstanceUID,
            instance.SeriesInstanceUID,
            instance.StudyInstanceUID,
            fate.outcome is Outcome.ALREADY_THERE,
            warning,
            remark,
            offending,
            fate.conflict_id,
            fate.held,
            fate.hidden,
            fate.outcome is Outcome.AWAITED,
        )

    @property
    def _coerced_tags(self) -> tuple[int, ...]:
        coerced = self._coercer.modified_tags if self._coercer is not None else ()
        return tuple(sorted({*coerced, *self._shaped_tags}))

    def _was_coerced(self, stored: StoredInstance | None) -> bool:
        """Whether it is a re-send of what was coerced when it first came."""
        if stored is None or stored.received != self._form or stored.received == stored.kept:
            return False
        with suppress(NotFound), self._ingest.database.read() as connection:
            return instances.was_modified_by(connection, stored, self._ingest.coercions.modifying_system)
        return False

    def _read_to_end(self) -> Instance:
        if self._coercer is not None:
            rest = self._coercer.finish()
            self._kept.update(rest)
            self._take(rest)
        assert self._reader is not None
        return self._reader.finish()

    def _read_meta(self, piece: Piece) -> Piece | None:
        """Feed the File Meta Information; what follows it, or None while it is incomplete."""
        assert self._meta is not None
        if not self._meta.feed(piece):
            return None
        meta, rest = self._meta.meta, self._meta.rest
        self._identity = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        self.begin(meta.header, meta.transfer_syntax_uid)
        return rest

    def _decide(self, stored: StoredInstance | None, instance: Instance) -> Fate:
        """The same object again is fine; anything else is what the site wants it to be, and is entered, or is asked
        of the policy where its UID is known. A rejection note is carried out."""
        note = self._ingest.note_of(instance)
        if note is None and stored is not None and instances.is_same(stored, instance, self._form):
            self._check_bytes(stored)
            # Deleted in the meantime, and perhaps stored anew with other content: then these bytes are asked after all.
            if instances.is_same(self._find(instance), instance, self._form):
                return Fate(Outcome.ALREADY_THERE)
        shaped = self._shaped(Written(self._writer, instance, self._data_set_offset, self._kept.hexdigest()))
        return self._keep(shaped, note) if stored is None or note is not None else self._meet(shaped)

    def _shaped(self, first: Written) -> Written:
        """What the site wants the object to become, and what corrections make of it."""
        shapers: tuple[Shaper, ...] = (*self._ingest.shapers, self._ingest.late_arrivals)
        store, wanted = self._ingest.store, self._ingest.wanted
        return self._reshaped(shaping.shaped(store, first, self._source, shapers, wanted=wanted))

    def _corrected(self, overtaken: Written) -> Written:
        """What a correction makes of the object that has overtaken it; published."""
        store = self._ingest.store
        shapers: tuple[Shaper, ...] = (self._ingest.late_arrivals.look,)
        opened = partial(store.open, overtaken.writer.key)
        latest = self._reshaped(shaping.shaped(store, overtaken, self._source, shapers, opened))
        if latest is not overtaken:
            latest.writer.publish()
        return latest

    def _reshaped(self, shaped: Shaped) -> Written:
        self._writer, self._notes = shaped.latest.writer, (*self._notes, *shaped.notes)
        self._shaped_tags = (*self._shaped_tags, *shaped.coerced_tags)
        return shaped.latest

    def _keep(self, shaped: Written, note: Note | None = None) -> Fate:
        """Publish the bytes, then record them: one transaction, in which nobody is left to point to them where the
        object is not taken."""
        policy = self._ingest.policy_of(self._source)
        self._writer.publish()
        for _ in range(ATTEMPTS):
            try:
                return self._enter(shaped, policy, note)
            except Outdated:
                shaped = self._corrected(shaped)
        return self._enter(shaped, policy, note)

    def _enter(self, shaped: Written, policy: Policy, note: Note | None) -> Fate:
        one = self._incoming(shaped)

        def change(connection: Any) -> Fate:
            if note is not None:
                return rejecting.enter(connection, one, note)
            return duplicates.enter(connection, one, policy)

        try:
            fate = self._ingest.database.write(change)
        except OutcomeUnknown:
            # The commit may have happened although its answer was lost: then the bytes must stay.
            self._settled = True
            known = self._recorded(one)
            if known is None:
                raise
            return known
        self._settled = True
        return fate

    def _incoming(self, shaped: Written) -> Incoming:
        key, offset = shaped.writer.key, shaped.data_set_offset
        instance, digest = shaped.instance, shaped.sha256
        return Incoming(instance, key, offset, digest, self._form, self._source, self._notes)

    def _recorded(self, one: Incoming) -> Fate | None:
        """What became of an object whose commit was not confirmed. Raises OutOfResources when it cannot be told."""
        uid = one.instance.SOPInstanceUID
        with self._ingest.database.read() as connection:
            stored = instances.find_instance(connection, uid)
            if stored is not None and stored.blob_key == one.blob_key:
                return Fate(Outcome.STORED)
            copy = conflicts.held(connection, uid, one.received.sha256)
            if copy is None or copy.blob_key != one.blob_key:
                return rejecting.recorded(connection, one)
            outcome = recording.judge(connection, one.instance, one.received)
        return Fate(outcome or Outcome.OTHER_CONTENT, held=True, conflict_id=copy.id)

    def _find(self, instance: Instance) -> StoredInstance | None:
        with self._ingest.database.read() as connection:
            return instances.find_instance(connection, instance.SOPInstanceUID)

    def _meet(self, shaped: Written) -> Fate:
        """The UID is known, of something else. Nothing is published for an object that is refused, or whose bytes are
        held already."""
        one, policy = self._incoming(shaped), self._ingest.policy_of(self._source)
        database, instance = self._ingest.database, shaped.instance
        with database.read() as connection:
            outcome = recording.judge(connection, instance, one.received)
            copy = conflicts.held(connection, instance.SOPInstanceUID, one.received.sha256)
        if outcome is None or outcome not in REASONS or policy.replaces(outcome):
            return self._keep(shaped)
        if policy.holds(outcome) is None:
            number = database.write(lambda connection: duplicates.refuse(connection, one, outcome))
            return Fate(outcome, conflict_id=number)
        if copy is None or copy.received != one.received or not self._is_whole(copy):
            return self._keep(shaped)
        return self._held_again(shaped, outcome, copy)

    def _held_again(self, shaped: Written, outcome: Outcome, copy: Conflict) -> Fate:
        def change(connection: Any) -> bool:
            known = conflicts.find(connection, copy.id, lock=True)
            if known is None or known.blob_key != copy.blob_key:
                return False  # somebody has decided meanwhile
            conflicts.count_again(connection, copy.id, self._source)
            return True

        is_held = self._ingest.database.write(change)
        return Fate(outcome, held=True, conflict_id=copy.id) if is_held else self._keep(shaped)

    def _check_bytes(self, stored: StoredInstance) -> None:
        """Never say Success for bytes that are gone."""
        if not self._is_whole(stored):
            raise OutOfResources("the stored bytes of this instance are missing or cut: restore them first")

    def _is_whole(self, kept: StoredInstance | Conflict) -> bool:
        try:
            with self._ingest.store.open(kept.blob_key) as blob:
                return blob.length == kept.blob_length
        except NotFound:
            return False
