"""Taking objects out of the archive for good: the one decision about it, the transaction, and the end of the bytes.

The index forgets first, in one transaction that also leaves the job of removing the bytes: a crash leaves at most
bytes that nobody points to, which that job removes afterwards. It waits a little, so that who has read the index just
before still finds the bytes; who has a blob open reads it to its end in any case. When the last of them has gone, the
job makes the certificate.

Nothing goes that is on hold, or has to be kept for longer; both are looked at in that transaction (`destroy`).

Whoever deletes twice is told the second time that it is gone (410), as every retrieve is: PS3.18 8.5 wants that rather
than 404 where a deletion is known of. Storing an instance again is allowed and undoes that.

With it goes what was kept aside of it by a conflict that is decided. What nobody has decided about, and what was
rejected, stays unless `everything` is to go: an instance may be deleted to make room for the right one. What was kept
aside because it is another patient's stays in any case.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy as copy_of

from archive.dicom.errors import ArchiveError, NotFound
from archive.dicom.instance import Scope
from archive.dicom.part10 import FileMetaReader
from archive.dicom.patient_key import PatientKey
from archive.index import (
    audit,
    conflicts,
    corrected_objects,
    deletion_requests,
    deletions,
    holds,
    instances,
    outbox,
    rejected_copies,
    rejections,
    shares,
    standing,
)
from archive.index.database import Connection, Database, Raced
from archive.index.deletion_requests import Destroyed, Order, State, Target, What
from archive.index.recording import Outcome
from archive.index.rejected_copies import Fate
from archive.security.actor import THE_ARCHIVE, Actor, operator
from archive.security.views import View, both
from archive.services import certificates
from archive.services.auditing import Auditing
from archive.services.certificates import Purge
from archive.services.duplicates import REASONS
from archive.services.retention import Retention
from archive.storage.base import BlobStore

BLOBS_DELETED = "BlobsDeleted"
"""Outbox event: what pointed to these bytes was deleted; payload `{"keys": […]}`, and the number of the `request`."""

KEYS_PER_JOB = 200
GRACE_SECONDS = 60.0
"""How long the bytes outlive their entry in the index."""
_OF_THIS_PATIENT = tuple(
    reason for outcome, reason in REASONS.items() if outcome is not Outcome.OTHER_PATIENT
)


class Deletion:
    """The one way of taking objects out of the archive."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        auditing: Auditing | None = None,
        retention: Retention | None = None,
        forget: Callable[[Sequence[str]], None] = lambda _: None,
        view: View | None = None,
    ) -> None:
        self._store = store
        self._database = database
        self._auditing = auditing
        self._retention = retention or Retention(())
        self._forget = forget
        self._view = view

    def seen_by(self, view: View) -> Deletion:
        """The same, for which nothing else exists than what the view shows."""
        within = copy_of(self)
        within._view = both(self._view, view)
        return within

    def delete(self, scope: Scope, actor: Actor | None = None) -> int:
        """Delete a study, a series or an instance, named from the study down; how many instances that were.

        Raises OnHold, Retained, Gone when it was deleted before, NotFound when nothing is known of it, OutOfResources
        (nothing done), OutcomeUnknown (done or not: ask again)."""
        uids = (scope.study_instance_uids, scope.series_instance_uids, scope.sop_instance_uids)
        target = Target("", "", *(next(iter(found), "") for found in uids))
        who = actor or operator()

        def change(connection: Connection) -> int:
            return self.carry_out(connection, Order(target), who)[1]

        return self._database.write(change)

    def studies(self, connection: Connection, target: Target) -> list[str]:
        """The studies that are concerned, as far as they are seen. Raises NotFound when there is none."""
        key = PatientKey(target.PatientID, target.IssuerOfPatientID)
        uid = target.StudyInstanceUID
        found = [uid] if uid else holds.studies_of(connection, key)
        if self._view is not None:
            found = [one for one in found if instances.instances(connection, target.within(one), self._view)]
        if found:
            return found
        if uid:
            raise deletions.missing(connection, target.within(uid), self._view)
        raise NotFound("nothing of this patient is stored: search under /studies, with the issuer if any")

    def carry_out(
        self, connection: Connection, order: Order, actor: Actor, number: int = 0
    ) -> tuple[int, int]:
        """Delete in this transaction, of which it is the last thing; the number of the request, which is made where
        there is none yet, and how many instances that were. Raises what `delete` does."""
        target = order.target
        named = self.studies(connection, target)
        patients = audit.patients_of(connection, named)
        destroyed = self.destroy(connection, order, named)
        stored = Counter(one.StudyInstanceUID for one in destroyed if one.what == What.STORED)
        counts = {uid: stored[uid] for uid in named}
        instances = sum(counts.values())
        if not number:
            number = deletion_requests.enter(connection, order, actor.name, instances, State.DELETED)
        deletion_requests.add(connection, number, destroyed)
        keys = [one.blob_key for one in destroyed]
        standing.changed(connection, keys)
        for start in range(0, len(keys), KEYS_PER_JOB):
            payload = {"keys": keys[start : start + KEYS_PER_JOB], "request": number}
            outbox.put(connection, BLOBS_DELETED, payload, after_seconds=GRACE_SECONDS)
        self._record(connection, actor, counts, patients)
        return number, instances

    def destroy(self, connection: Connection, order: Order, named: Sequence[str]) -> list[Destroyed]:
        """Let the index forget what is to go, and whose bytes that were. Raises OnHold, Retained, NotFound."""
        holds.check(connection, named)
        if not order.overrides:
            self._retention.check(connection, named, time.time())
        destroyed: list[Destroyed] = []
        for uid in named:
            destroyed += _forget(connection, order.target.within(uid), everything=order.everything)
        if not destroyed:
            raise deletions.missing(connection, order.target.within(named[0]), self._view)
        return destroyed

    def _record(
        self, connection: Connection, actor: Actor, counts: dict[str, int], patients: dict[str, str]
    ) -> None:
        if self._auditing is None:
            return
        left = audit.patients_of(connection, tuple(counts))
        for uid, number in counts.items():
            whole = uid not in left
            self._auditing.deleted(connection, actor, uid, patients.get(uid, ""), number, whole=whole)

    # --- the end of the bytes ---

    def discard(self, keys: Sequence[str], number: int = 0) -> None:
        """Remove the bytes of what was deleted; done by the jobs, any number of times. With the last of a deletion
        comes its certificate."""
        self._store.delete_all(keys)
        if not number:
            return
        with self._database.read() as connection:
            uids = deletion_requests.uids_of(connection, number)
        from_quarantine = self._store.delete_aside(lambda one, head: one.key in keys or _uid(head) in uids)
        self._forget(keys)
        overwritten = self._database.empty_log()
        purge = Purge(time.time(), overwritten, from_quarantine)

        def change(connection: Connection) -> None:
            if deletion_requests.went(connection, number, keys):
                self._certify(connection, number, purge)

        self._database.write(change)

    def _certify(self, connection: Connection, number: int, purge: Purge) -> None:
        one = deletion_requests.find(connection, number)
        assert one is not None
        destroyed = deletion_requests.objects(connection, number)
        source_id = self._auditing.trail.reporter.source_id if self._auditing else ""
        text, sha256 = certificates.made(source_id, one, destroyed, purge)
        deletion_requests.certify(connection, number, text, sha256, purge.at)
        if self._auditing is not None:
            of = dict.fromkeys(each.StudyInstanceUID for each in destroyed)
            self._auditing.certified(connection, THE_ARCHIVE, of, one.PatientID, number, sha256)


def _forget(connection: Connection, scope: Scope, *, everything: bool) -> list[Destroyed]:
    if everything:
        rejections.claim(connection, scope.study_instance_uids)
    there = {one.blob_key: one for one in deletion_requests.stored(connection, scope)}
    keys = deletions.delete(connection, scope)
    if not keys and not everything:
        return []
    there |= {one.blob_key: one for one in deletion_requests.beside(connection, scope)}
    keys += conflicts.release_settled(connection, scope, and_open=_OF_THIS_PATIENT if everything else ())
    keys += corrected_objects.release(connection, scope)
    for copy in rejected_copies.within(connection, scope) if everything else ():
        rejected_copies.release(connection, copy, Fate.DROPPED)
        keys.append(copy.kept.stored.blob_key)
    if everything and not (scope.series_instance_uids or scope.sop_instance_uids):
        keys += rejected_copies.release_notes(connection, scope.study_instance_uids[0])
    if keys and not audit.patients_of(connection, scope.study_instance_uids):
        shares.forget_study(connection, scope.study_instance_uids[0])
    if any(key not in there for key in keys):
        raise Raced  # something was stored, or kept aside, in between
    return [there[key] for key in keys]


def _uid(head: bytes) -> str:
    """The SOP Instance UID of a PS3.10 file; empty where it does not say."""
    reader = FileMetaReader()
    try:
        return reader.meta.MediaStorageSOPInstanceUID if reader.feed(head) else ""
    except ArchiveError:
        return ""
