"""Deleting what is stored: an extension that Google's and Azure's DICOMweb share; PS3.18 knows no DELETE.

The index forgets first, in one transaction that also leaves the job of removing the bytes: a crash leaves at most
bytes that nobody points to, which that job removes afterwards. It waits a little, so that who has read the index just
before still finds the bytes; who has a blob open reads it to its end in any case.

Whoever deletes twice is told the second time that it is gone (410), as every retrieve is: PS3.18 8.5 wants that rather
than 404 where a deletion is known of. Storing an instance again is allowed and undoes that.

With it goes what was kept aside of it by a conflict that is decided. What nobody has decided about stays: an instance
may be deleted to make room for the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy as copy_of
from typing import Any

from archive.dicom.instance import Scope
from archive.index import (
    audit,
    conflicts,
    corrected_objects,
    deletions,
    instances,
    outbox,
    shares,
    standing,
)
from archive.index.database import Database
from archive.security.actor import Actor, operator
from archive.security.views import View, both
from archive.services.auditing import Auditing
from archive.storage.base import BlobStore

BLOBS_DELETED = "BlobsDeleted"
"""Outbox event: what pointed to these bytes was deleted; payload `{"keys": […]}`."""

KEYS_PER_JOB = 200
GRACE_SECONDS = 60.0
"""How long the bytes outlive their entry in the index."""


class Deletion:
    """The one way of taking objects out of the archive."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        auditing: Auditing | None = None,
        view: View | None = None,
    ) -> None:
        self._store = store
        self._database = database
        self._auditing = auditing
        self._view = view

    def seen_by(self, view: View) -> Deletion:
        """The same, for which nothing else exists than what the view shows."""
        within = copy_of(self)
        within._view = both(self._view, view)
        return within

    def delete(self, scope: Scope, actor: Actor | None = None) -> int:
        """Delete a study, a series or an instance, named from the study down; how many instances that were.

        Raises Gone when it was deleted before, NotFound when nothing is known of it, OutOfResources (nothing done),
        OutcomeUnknown (done or not: ask again)."""

        def change(connection: Any) -> int:
            if self._view is not None and not instances.instances(connection, scope, self._view):
                return 0
            patients = audit.patients_of(connection, scope.study_instance_uids)
            deleted = deletions.delete(connection, scope)
            if deleted:
                keys = [
                    *deleted,
                    *conflicts.release_settled(connection, scope),
                    *corrected_objects.release(connection, scope),
                ]
            else:
                keys = []
            standing.changed(connection, keys)
            for start in range(0, len(keys), KEYS_PER_JOB):
                payload = {"keys": keys[start : start + KEYS_PER_JOB]}
                outbox.put(connection, BLOBS_DELETED, payload, after_seconds=GRACE_SECONDS)
            if deleted and self._auditing is not None:
                study = scope.study_instance_uids[0]
                whole = not audit.patients_of(connection, (study,))
                if whole:
                    shares.forget_study(connection, study)
                who, patient = actor or operator(), patients.get(study, "")
                self._auditing.deleted(connection, who, study, patient, len(deleted), whole=whole)
            return len(deleted)

        number = self._database.write(change)
        if not number:
            with self._database.read() as connection:
                raise deletions.missing(connection, scope, self._view)
        return number

    def discard(self, keys: Sequence[str]) -> None:
        """Remove the bytes of what was deleted; done by the jobs, any number of times."""
        self._store.delete_all(keys)
