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
it is. Objects that have come together take the last steps together (`arrivals`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from copy import copy as copy_of
from functools import partial

import structlog

from archive.dicom import part10
from archive.dicom.errors import InstanceConflict, NotAuthorized, ObjectTooLarge
from archive.dicom.instance import Form, Instance, Source
from archive.dicom.reading.reader import WANTED, DataSetReader
from archive.dicom.writing.coercion import Coercer
from archive.index.database import Database
from archive.index.recording import Outcome
from archive.index.settled import Settled
from archive.index.views import any_hidden
from archive.security.views import View
from archive.services import arrivals, rejecting
from archive.services.arrivals import Arrival
from archive.services.coercing import NOTHING, Coercions
from archive.services.duplicates import REASONS, Fate, Policy
from archive.services.late_arrivals import LateArrivals
from archive.services.receipts import (
    COERCED,
    COERCED_REMARK,
    SOP_INSTANCE_UID,
    Expected,
    Receipt,
    kept_aside_remark,
)
from archive.services.receiving import Receptions
from archive.services.rejecting import Note
from archive.services.shaping import Shaper, Written
from archive.services.throughput import Throughput
from archive.storage.base import BlobStore, BlobWriter, Spool

Piece = bytes | bytearray | memoryview

_log = structlog.get_logger()

MOST_BUFFERED = 256 * 1024
"""Of the bytes of an object that has come whole: a store keeps no more of them in memory."""


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
        preamble: str = "zero",
        receptions: Receptions | None = None,
        throughput: Throughput | None = None,
    ) -> None:
        self.store = store
        self.database = database
        self.maximum_object_bytes = maximum_object_bytes
        self.coercions = coercions
        self.policy_of = policy_of
        self.shapers = shapers
        self.wanted = wanted
        self.preamble = preamble
        self.receptions = receptions
        self.throughput = throughput or Throughput()
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

    def seen_by(self, view: View) -> Ingest:
        """The same, for who sees some of the studies: stores nothing into one that they do not see, and rejects nothing
        there. Else they could make it theirs by what they say in it."""
        within = copy_of(self)
        within.note_of = partial(self._note_within, view)
        return within

    def _note_within(self, view: View, instance: Instance) -> Note | None:
        note = self.note_of(instance)
        named = {instance.StudyInstanceUID, *(note.studies if note is not None else ())}
        with self.database.read() as connection:
            if any_hidden(connection, view, named):
                raise NotAuthorized(
                    "there is no right to store into this study, or to reject something in it"
                )
        return note

    @property
    def is_quick(self) -> bool:
        """Whether what is left to do for an object that has come whole is little, so that many take one thread."""
        return not self.shapers

    def finish(self, receptions: Sequence[Reception]) -> list[Settled[Receipt]]:
        """All pieces of these have come: make the objects safe together. For each its receipt, or what `finish` of it
        alone would raise."""
        whole = [Settled.of(one.whole) for one in receptions]
        fates = iter(arrivals.fates(self, [one.result() for one in whole if one.error is None]))
        settled = [
            Settled.of(partial(one.receipt, next(fates))) if found.error is None else Settled((), found.error)
            for one, found in zip(receptions, whole, strict=True)
        ]
        for reception, one in zip(receptions, settled, strict=True):
            for receipt in one.results:
                if self.receptions is not None:
                    self.receptions.note(reception.source, receipt)
                self.throughput.received(reception.source, reception.length)
        return settled

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
        self.source = source
        self._identity = expected.SOPClassUID, expected.SOPInstanceUID
        self._meta: part10.FileMetaReader | None = part10.FileMetaReader()
        self._reader: DataSetReader | None = None
        self._coercer: Coercer | None = None
        self._received = hashlib.sha256()
        self._kept = self._received
        self._length = 0
        self._data_set_offset = 0
        self._writer: BlobWriter = ingest.store.create()
        self._arrival: Arrival | None = None

    def __enter__(self) -> Reception:
        return self

    def __exit__(self, *_: object) -> None:
        if self._arrival is not None:
            self._arrival.close()
        else:
            self._writer.discard()

    @property
    def length(self) -> int:
        """Bytes of the data set that have come."""
        return self._length

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
        self._coercer = self._ingest.coercions.coercer(transfer_syntax_uid, self.source)
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

    def end(self) -> int:
        """All pieces have come: learn what the object is. About so many bytes of memory it takes until it is finished.
        Raises InvalidObject, OutOfResources."""
        instance = self.whole().received
        learnt = len(instance.metadata) + len(instance.frames) + 100 * len(instance.bulk_values)
        return min(self._length, MOST_BUFFERED) + learnt

    def whole(self) -> Arrival:
        """What it is now that all pieces have come. Raises InvalidObject, OutOfResources."""
        if self._arrival is None:
            if self._meta is not None:
                self._meta.meta  # noqa: B018 - raises, as the header never became complete
            instance = self._read_to_end()
            self._expected.compare(instance)
            self._identity, self._reader = self.identity, None
            written = Written(self._writer, instance, self._data_set_offset, self._kept.hexdigest())
            received = Form(self._received.hexdigest(), instance.transfer_syntax_uid)
            self._arrival = Arrival(self._ingest, self.source, written, received)
        return self._arrival

    def finish(self) -> Receipt:
        """All pieces have come: make the object safe. Raises InvalidObject, InstanceConflict, OutOfResources."""
        (settled,) = self._ingest.finish((self,))
        return settled.result()

    def receipt(self, settled: Settled[Fate]) -> Receipt:
        """What its sender is told of its fate. Raises what has become of it instead, and InstanceConflict."""
        fate, one = settled.result(), self.whole().received
        if fate.refused:
            raise InstanceConflict(
                REASONS[fate.outcome], sop_instance_uid=one.SOPInstanceUID, conflict_id=fate.conflict_id
            )
        warning, remark, offending = self._warning(fate)
        return Receipt(
            one.SOPClassUID,
            one.SOPInstanceUID,
            one.SeriesInstanceUID,
            one.StudyInstanceUID,
            fate.outcome is Outcome.ALREADY_THERE,
            warning,
            remark,
            offending,
            fate.conflict_id,
            fate.held,
            fate.hidden,
            fate.outcome is Outcome.AWAITED,
        )

    def _warning(self, fate: Fate) -> tuple[int, str, tuple[int, ...]]:
        """The status, what it means in words, and the tags it is about."""
        if fate.held:
            remark = kept_aside_remark(fate.outcome is Outcome.AWAITED, fate.conflict_id)
            return COERCED, remark, (SOP_INSTANCE_UID,)
        arrival = self.whole()
        tags = {*(self._coercer.modified_tags if self._coercer is not None else ()), *arrival.shaped_tags}
        if tags or arrival.was_coerced:
            return COERCED, COERCED_REMARK, tuple(sorted(tags))
        return 0, "", ()

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
        header = meta.header_under(self._ingest.preamble)
        if contents := part10.preamble_contents(meta.preamble):
            _log.info(
                "preamble", holds=contents, kept=header != meta.header, SOPInstanceUID=self._identity[1]
            )
        self.begin(header, meta.transfer_syntax_uid)
        return rest
