"""What becomes of objects that have come whole: judged, made safe, entered; those of one request together.

    judged     each for itself: it is there already, it is refused, or it is to be kept
    published  the bytes of all that are to be kept: fsync, link, fsync of the folder
    entered    all in one index transaction, in their order

Each has its own fate: what is refused, or cannot be written, takes no other with it, and leaves nothing behind. Two
of one request that are the same object are judged before either is entered; which of them is stored is told by the
transaction, as it is of two requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotFound, OutcomeUnknown
from archive.dicom.instance import Form, Instance, Source, StoredInstance
from archive.index import audit, conflicts, instances, recording, verification
from archive.index.conflicts import Conflict
from archive.index.correction_rules import Outdated
from archive.index.recording import Outcome
from archive.index.settled import Settled
from archive.services import duplicates, rejecting, shaping
from archive.services.duplicates import REASONS, Fate, Incoming, Policy
from archive.services.rejecting import Note
from archive.services.shaping import Shaped, Shaper, Written
from archive.storage.base import BlobWriter

if TYPE_CHECKING:
    from archive.services.ingest import Ingest

ATTEMPTS = 10
"""So often corrections may overtake one object."""


class Arrival:
    """An object that has come whole, in a blob that nobody knows of yet. Whoever made it closes it in the end."""

    def __init__(self, ingest: Ingest, source: Source, first: Written, form: Form) -> None:
        self._ingest = ingest
        self._source = source
        self._latest = first
        self._form = form
        self._notes: tuple[shaping.Note, ...] = ()
        self._policy = Policy.REJECT
        self._note: Note | None = None
        self._stored: StoredInstance | None = None
        self._settled = False
        self._mends = ""
        self.received = first.instance
        """What it was as it came."""
        self.shaped_tags: tuple[int, ...] = ()

    @property
    def was_coerced(self) -> bool:
        """Whether it is a re-send of what was coerced when it first came."""
        stored = self._stored
        if stored is None or stored.received != self._form or stored.received == stored.kept:
            return False
        with suppress(NotFound), self._ingest.database.read() as connection:
            return instances.was_modified_by(connection, stored, self._ingest.coercions.modifying_system)
        return False

    @property
    def writer(self) -> BlobWriter:
        """Its bytes, as the site wants them to be."""
        return self._latest.writer

    @property
    def subject(self) -> str:
        """What entering it is about: its study, or a note itself, which may be about hundreds."""
        instance = self._latest.instance
        return instance.StudyInstanceUID if self._note is None else instance.SOPInstanceUID

    def close(self) -> None:
        """Leave nothing behind unless something points to it."""
        if not self._settled:
            self._settled = True
            self.writer.discard()

    def judge(self) -> Fate | None:
        """The same object again is fine; anything else is what the site wants it to be, and is to be kept, or is asked
        of the policy where its UID is known. A rejection note is carried out. None: publish it, and `enter` it.

        Raises OutOfResources, and what shapers raise."""
        instance = self._latest.instance
        stored = self._stored = self._find(instance)
        note = self._note = self._ingest.note_of(instance)
        if note is None and stored is not None and instances.is_same(stored, instance, self._form):
            self._mends = "" if self._is_sound(stored) else stored.blob_key
            # Deleted in the meantime, and perhaps stored anew with other content: then these bytes are asked after all.
            if not self._mends and instances.is_same(self._find(instance), instance, self._form):
                return Fate(Outcome.ALREADY_THERE)
        self._shape()
        self._policy = self._ingest.policy_of(self._source)
        return None if stored is None or note is not None or self._mends else self._meet()

    def enter(self, connection: Any) -> Fate:
        """The change that records it, in which nobody is left to point to its bytes where it is not taken."""
        receptions, study = self._ingest.receptions, self._latest.instance.StudyInstanceUID
        if self._note is None:
            fate = duplicates.enter(connection, self._incoming, self._policy, self._mends)
            if receptions is not None:
                receptions.enter(connection, self._source, study)
            return fate
        patients = audit.patients_of(connection, self._note.studies)
        fate = rejecting.enter(connection, self._incoming, self._note)
        if receptions is not None:
            receptions.enter(connection, self._source, study)
            if fate.outcome is Outcome.STORED:
                receptions.rejected(connection, self._source, patients, self._note.reason.value)
        return fate

    def entered(self, entering: Callable[[], Fate]) -> Fate:
        """Its fate, when `entering` says what came of the change. What a correction has overtaken is corrected, and
        entered again."""
        for _ in range(ATTEMPTS):
            try:
                return self._entered(entering)
            except Outdated:
                self._correct()
                entering = partial(self._ingest.database.write, self.enter)
        return self._entered(entering)

    def _entered(self, entering: Callable[[], Fate]) -> Fate:
        try:
            fate = entering()
        except OutcomeUnknown:
            # The commit may have happened although its answer was lost: then the bytes must stay.
            self._settled = True
            known = self._recorded()
            if known is None:
                raise
            return known
        self._settled = True
        return fate

    @property
    def _incoming(self) -> Incoming:
        one = self._latest
        return Incoming(
            one.instance,
            one.writer.key,
            one.data_set_offset,
            one.sha256,
            self._form,
            self._source,
            self._notes,
        )

    def _shape(self) -> None:
        """Let it become what the site wants, and what corrections make of it."""
        shapers: tuple[Shaper, ...] = (*self._ingest.shapers, self._ingest.late_arrivals)
        store, wanted = self._ingest.store, self._ingest.wanted
        self._take(shaping.shaped(store, self._latest, self._source, shapers, wanted=wanted))

    def _correct(self) -> None:
        """Let it become what the correction that has overtaken it makes of it; published."""
        store, overtaken = self._ingest.store, self._latest
        shapers: tuple[Shaper, ...] = (self._ingest.late_arrivals.look,)
        opened = partial(store.open, overtaken.writer.key)
        wanted = self._ingest.wanted
        self._take(shaping.shaped(store, overtaken, self._source, shapers, opened, wanted))
        if self._latest is not overtaken:
            self.writer.publish()

    def _take(self, shaped: Shaped) -> None:
        self._latest, self._notes = shaped.latest, (*self._notes, *shaped.notes)
        self.shaped_tags = (*self.shaped_tags, *shaped.coerced_tags)

    def _recorded(self) -> Fate | None:
        """What became of it when its commit was not confirmed. Raises OutOfResources when it cannot be told."""
        one = self._incoming
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
            return instances.find_instance(connection, instance.SOPInstanceUID, alone=True)

    def _meet(self) -> Fate | None:
        """The UID is known, of something else. Nothing is published for an object that is refused, or whose bytes are
        held already."""
        one, policy, database = self._incoming, self._policy, self._ingest.database
        with database.read() as connection:
            outcome = recording.judge(connection, one.instance, one.received)
            copy = conflicts.held(connection, one.instance.SOPInstanceUID, one.received.sha256)
        if outcome is None or outcome not in REASONS or policy.replaces(outcome):
            return None
        if policy.holds(outcome) is None:
            number = database.write(lambda connection: duplicates.refuse(connection, one, outcome))
            return Fate(outcome, conflict_id=number)
        if copy is None or copy.received != one.received or not self._is_whole(copy):
            return None
        return self._held_again(outcome, copy)

    def _held_again(self, outcome: Outcome, copy: Conflict) -> Fate | None:
        def change(connection: Any) -> bool:
            known = conflicts.find(connection, copy.id, lock=True)
            if known is None or known.blob_key != copy.blob_key:
                return False  # somebody has decided meanwhile
            conflicts.count_again(connection, copy.id, self._source)
            return True

        is_held = self._ingest.database.write(change)
        return Fate(outcome, held=True, conflict_id=copy.id) if is_held else None

    def _is_sound(self, stored: StoredInstance) -> bool:
        """Never say Success for bytes that are gone, or were found altered: those that came take their place."""
        if not self._is_whole(stored):
            return False
        with self._ingest.database.read() as connection:
            return not verification.known(connection, [stored.blob_key])

    def _is_whole(self, kept: StoredInstance | Conflict) -> bool:
        try:
            with self._ingest.store.open(kept.blob_key) as blob:
                return blob.length == kept.blob_length
        except NotFound:
            return False


def fates(ingest: Ingest, arrivals: Sequence[Arrival]) -> list[Settled[Fate]]:
    """What becomes of these objects, or what went wrong with each, made safe together."""
    judged = [Settled.of(one.judge) for one in arrivals]
    waiting = [one for one, found in zip(arrivals, judged, strict=True) if found.results == (None,)]
    kept = iter(_kept(ingest, waiting))
    return [_known(found) or next(kept) for found in judged]


def _known(judged: Settled[Fate | None]) -> Settled[Fate] | None:
    if judged.error is not None:
        return Settled((), judged.error)
    fate = judged.result()
    return None if fate is None else Settled((fate,))


def _kept(ingest: Ingest, arrivals: Sequence[Arrival]) -> list[Settled[Fate]]:
    """Publish the bytes, then record them."""
    if not arrivals:
        return []
    faults = ingest.store.publish_all([one.writer for one in arrivals])
    safe = [one for one, fault in zip(arrivals, faults, strict=True) if fault is None]
    subjects = [one.subject for one in safe]
    changes = iter(ingest.database.write_each([one.enter for one in safe], subjects))
    # Each is asked for its fate now: as long as it does not know that it was entered, it would take its bytes away.
    return [
        Settled.of(partial(one.entered, next(changes).result)) if fault is None else Settled((), fault)
        for one, fault in zip(arrivals, faults, strict=True)
    ]
