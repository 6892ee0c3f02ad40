"""Conflicts: what was refused, kept aside or replaced because its identifiers are taken, and deciding about it.

    accept   what is kept aside becomes what is stored; what was stored until now is kept aside instead
    keep     what is stored stays; the copy goes when `storage.copies_days` are over
    drop     the copy goes now

No bytes move: a decision is one transaction that changes who points to them, so a crash leaves it undone or done. What
is accepted is read and compared with its digest before. An object that would bring another patient into a study, or a
series into another study, cannot be accepted while that study stands: that would be the mix-up itself.
"""

from __future__ import annotations

import enum
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog

from archive.audit import messages
from archive.dicom.errors import ArchiveError, InstanceConflict, NotFound
from archive.dicom.instance import Instance, Scope, Source
from archive.dicom.patient_key import PatientKey
from archive.dicom.reading.reader import DataSetReader
from archive.index import conflicts, deletions, holds, recording, rows
from archive.index.conflicts import WAITING, Conflict, State
from archive.index.database import Connection, Database, Raced
from archive.index.recording import Outcome
from archive.security.actor import THE_ARCHIVE, Actor
from archive.services import comparing, duplicates
from archive.services.auditing import Auditing
from archive.services.comparing import Difference
from archive.services.duplicates import GRACE_SECONDS, REASONS, Incoming, abandon
from archive.services.late_arrivals import LateArrivals
from archive.services.up_to_date import UpToDate
from archive.storage.base import Blob, BlobStore

__all__ = ["WAITING", "Conflict", "Conflicts", "Decision", "Difference", "State"]

_log = structlog.get_logger()

DAY = 86_400.0
EXPIRED_AT_ONCE = 500

_NEXT_STEPS = {
    Outcome.OTHER_PATIENT: "delete that study if it is the wrong one, then accept this; else drop this",
    Outcome.OTHER_STUDY: "delete that series if it is the wrong one, then accept this; else drop this",
    Outcome.REJECTED: "take that note back first (archive rejections restore), or drop this",
    Outcome.AWAITED: "take that note back first (archive rejections restore), or drop this",
}


class Decision(enum.StrEnum):
    """What a person decides."""

    ACCEPT = "accept"
    KEEP = "keep"
    DROP = "drop"


class Conflicts:
    """The conflicts, for command line and API."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        now: Callable[[], float] = time.time,
        up_to_date: UpToDate | None = None,
        auditing: Auditing | None = None,
    ) -> None:
        self._auditing = auditing
        self._store = store
        self._database = database
        self._now = now
        self._up_to_date = up_to_date or UpToDate(store, database, LateArrivals(database, ""))

    def last(
        self, limit: int = 1000, states: Iterable[State] = (), study_instance_uid: str = ""
    ) -> Sequence[Conflict]:
        """The last ones, newest first; of these states and this study where those are named."""
        with self._database.read() as connection:
            return conflicts.conflicts(connection, limit, states, study_instance_uid)

    def open_in(self, study_instance_uid: str, limit: int) -> list[int]:
        """The numbers of what nobody has decided about in a study, in the order in which they came: so of several
        versions of an instance that are accepted the newest is shown in the end."""
        return [one.id for one in reversed(self.last(limit, (State.OPEN,), study_instance_uid))]

    def get(self, number: int) -> Conflict:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _known(conflicts.find(connection, number))

    def open_copy(self, number: int) -> tuple[Conflict, Blob]:
        """What is kept aside, as a PS3.10 file that the caller closes. Raises NotFound when there is none."""
        one = self.get(number)
        if not one.has_copy:
            raise NotFound("nothing is kept aside of this conflict: its state says why")
        blob = self._store.open(one.blob_key)
        if blob.length != one.blob_length:
            blob.close()
            raise NotFound("the bytes that were kept aside are damaged: restore them from a backup")
        return one, blob

    def differences(self, number: int) -> list[Difference]:
        """In what the copy differs from what is stored; from what study and series say where the instance itself is
        not stored. Raises NotFound when there is no copy."""
        one, blob = self.open_copy(number)
        with blob:
            copy = comparing.Side(_reader(one, blob).finish(), blob, one.data_set_offset)
            return comparing.differences(self._store, self._database, one, copy)

    def decide(self, number: int, decision: Decision, settled_by: str, by: Actor = THE_ARCHIVE) -> Conflict:
        """Carry a decision out; the conflict as it is then.

        Raises NotFound, InstanceConflict when it cannot be decided so, OutOfResources, OutcomeUnknown (done or not:
        look)."""
        {Decision.ACCEPT: self._accept, Decision.KEEP: self._keep, Decision.DROP: self._drop}[decision](
            self.get(number), settled_by, by
        )
        _log.info("conflict_decided", conflict=number, decision=decision.value, settled_by=settled_by)
        return self.get(number)

    def decide_all(
        self, numbers: Sequence[int], decision: Decision, settled_by: str, by: Actor = THE_ARCHIVE
    ) -> tuple[list[Conflict], dict[int, str]]:
        """Each by itself: those that were decided, and why the others could not be."""
        decided, failed = [], {}
        for number in numbers:
            try:
                decided.append(self.decide(number, decision, settled_by, by))
            except ArchiveError as error:
                failed[number] = error.reason
        return decided, failed

    def expire(self, days: int) -> int:
        """Let go of copies that were decided so many days ago, for 0 of none; how many."""
        if not days:
            return 0
        before, number = self._now() - days * DAY, 0
        while True:
            released = self._database.write(lambda connection: _expire(connection, before))
            number += released
            if released < EXPIRED_AT_ONCE:
                return number

    def _accept(self, one: Conflict, settled_by: str, by: Actor) -> None:
        def change(connection: Connection, incoming: Incoming) -> None:
            _claim(connection, one)
            outcome = duplicates.record(connection, incoming)
            if outcome is Outcome.STORED:
                duplicates.release_same(connection, incoming, settled_by)
            elif outcome is Outcome.OTHER_CONTENT:
                duplicates.replace(connection, incoming, settled_by)
            elif outcome is Outcome.ALREADY_THERE:
                _take_over(connection, incoming, settled_by)
            elif outcome is Outcome.ELSEWHERE:
                _displace(connection, incoming, settled_by)
            else:
                raise _cannot(f"{REASONS[outcome]}: {_NEXT_STEPS[outcome]}", one)
            self._record(connection, one, Decision.ACCEPT, by)

        self._up_to_date.write(self._read(one), change)

    def _keep(self, one: Conflict, settled_by: str, by: Actor) -> None:
        if one.state != State.OPEN:
            raise _cannot("only what is open can be kept aside: its state says what has become of it", one)

        def change(connection: Connection) -> None:
            _claim(connection, one)
            conflicts.settle(connection, one.id, State.KEPT, settled_by)
            self._record(connection, one, Decision.KEEP, by)

        self._database.write(change)

    def _drop(self, one: Conflict, settled_by: str, by: Actor) -> None:
        if not one.has_copy and one.state != State.REFUSED:
            raise _cannot("nothing is kept aside any more that could be dropped", one)
        patient = self._patient(one)

        def change(connection: Connection) -> None:
            holds.check(connection, (one.StudyInstanceUID,), patient)
            _claim(connection, one)
            conflicts.settle(connection, one.id, State.DROPPED, settled_by)
            abandon(connection, one.blob_key, GRACE_SECONDS)
            self._record(connection, one, Decision.DROP, by)

        self._database.write(change)

    def _record(self, connection: Connection, one: Conflict, decision: Decision, by: Actor) -> None:
        if self._auditing is not None:
            details = (("Conflict", str(one.id)), ("Decision", decision.value))
            self._auditing.changed(connection, by, one.StudyInstanceUID, messages.UPDATE, details)

    def _patient(self, one: Conflict) -> PatientKey | None:
        """Whose the copy says that it is, which may be another patient than the study's; None where it cannot say."""
        try:
            found = rows.patient(self._read(one).instance)
        except ArchiveError:
            return None
        return PatientKey(*found)

    def _read(self, one: Conflict) -> Incoming:
        """The copy as it came in, read from its bytes, which must be what they were."""
        if not one.has_copy:
            raise _cannot(
                "its bytes were not kept: have it sent again, with duplicates = replace or conflict "
                "for its sender (archive ae set)",
                one,
            )
        _, blob = self.open_copy(one.id)
        with blob:
            digest = hashlib.sha256()
            instance: Instance = _reader(one, blob, digest).finish()
        if digest.hexdigest() != one.kept_sha256:
            raise NotFound("the bytes that were kept aside are damaged: restore them from a backup")
        source = Source(one.door, one.address, one.calling_ae_title, one.called_ae_title)
        return Incoming(instance, one.blob_key, one.data_set_offset, one.kept_sha256, one.received, source)


def _reader(one: Conflict, blob: Blob, digest: Any = None) -> DataSetReader:
    reader = DataSetReader(one.transfer_syntax_uid)
    for piece in blob.pieces(one.data_set_offset, one.data_set_length):
        if digest is not None:
            digest.update(piece)
        reader.feed(piece)
    return reader


def _take_over(connection: Connection, incoming: Incoming, settled_by: str) -> None:
    """The same object is stored meanwhile: its bytes were not read now, those of the copy were."""
    former = duplicates.take_place(connection, incoming, Outcome.ALREADY_THERE)
    duplicates.release_same(connection, incoming, settled_by)
    abandon(connection, former.stored.blob_key, GRACE_SECONDS)


def _displace(connection: Connection, incoming: Incoming, settled_by: str) -> None:
    """What has the SOP Instance UID goes from where it stands, and is kept aside."""
    former = recording.find_former(connection, incoming.instance.SOPInstanceUID)
    place = former.stored
    scope = Scope((place.StudyInstanceUID,), (place.SeriesInstanceUID,), (place.SOPInstanceUID,))
    if deletions.delete(connection, scope) != [place.blob_key]:
        raise Raced  # another version has taken its place since: its bytes are not to be lost
    outcome = duplicates.record(connection, incoming)
    if outcome is not Outcome.STORED:
        raise InstanceConflict(f"{REASONS[outcome]}: {_NEXT_STEPS.get(outcome, 'look at it again')}")
    duplicates.put_aside(connection, former, incoming, settled_by)


def _claim(connection: Connection, one: Conflict) -> None:
    """Nobody else decides about it now, or has since it was read."""
    now = conflicts.find(connection, one.id, lock=True)
    if now is None or (now.blob_key, now.state) != (one.blob_key, one.state):
        raise _cannot("somebody else has just decided about it: look at it again", one)


def _expire(connection: Connection, before: float) -> int:
    keys = conflicts.expire(connection, before, EXPIRED_AT_ONCE)
    for key in keys:
        abandon(connection, key, GRACE_SECONDS)
    return len(keys)


def _known(one: Conflict | None) -> Conflict:
    if one is None:
        raise NotFound("there is no conflict of this number: see `archive conflicts list --all`")
    return one


def _cannot(reason: str, one: Conflict) -> InstanceConflict:
    return InstanceConflict(reason, sop_instance_uid=one.SOPInstanceUID, conflict_id=one.id)
