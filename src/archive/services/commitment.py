"""Storage commitment: the promise to keep an instance, given after its bytes were read again (PS3.18 13, PS3.4 J).

An instance is committed to when it is stored under the UIDs that were named and the SHA-256 of its bytes, read now from
the store, is the one that was noted when it came in. Whatever keeps us from seeing that is a failure, never a promise.
So is another version that the same sender brought and about which nobody has decided yet: it may mean that one.

A few small objects are read at once. For more, the request is entered into the index together with a job, which checks
some items, notes how far it came, and leaves a job for the rest: no restart loses it, and no worker is away for long.
The same decision serves both doors. Who asks by DIMSE is told (`reports`), and what it names may still be on its way:
instances that are not there are waited for a while. A rejection note is committed to although nobody finds it.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from archive.dicom.errors import Gone, NotFound, OutOfResources, TransactionInUse
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.receiving.commitment import (
    CLASS_INSTANCE_CONFLICT,
    COMMITTED,
    NO_SUCH_OBJECT_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    Reference,
    Verdict,
)
from archive.index import commitments, conflicts, instances, outbox, rejections, reports
from archive.index.commitments import State
from archive.index.database import Database
from archive.security.views import Grant, View
from archive.storage.base import BlobStore

T = TypeVar("T")

COMMITMENT_REQUESTED = "CommitmentRequested"
"""Outbox event: items of a request are to be checked; payload `{"id": …}`."""

AT_ONCE_BYTES = 64 << 20
AT_ONCE_ITEMS = 200
"""A request within both is answered at once."""

ITEMS_PER_TRANSACTION = 200
SECONDS_TO_WAIT = 2.0
"""Between looks for an instance that is not there yet."""
SECONDS_PER_JOB = 20.0
"""After so long a job leaves the rest to the next one."""

DAY = 86_400.0
RESULT_DAYS = 30
"""A result is kept so long after it was found."""
RECORD_DAYS = 365
"""So long it is known that a Transaction UID was used."""

Verdicts = list[Verdict]


class Commitment:
    """The one decision about storage commitment, for every door."""

    def __init__(
        self,
        store: BlobStore,
        database: Database,
        clock: Callable[[], float] = time.monotonic,
        view_of: Callable[[str], View | None] = lambda _: None,
    ) -> None:
        """`view_of`: what an AE title sees, as of what one may not see there is no such object instance."""
        self._store = store
        self._database = database
        self._clock = clock
        self._view_of = view_of

    def request(
        self, transaction_uid: str, references: Sequence[Reference], source: Source
    ) -> Verdicts | None:
        """Decide about these instances: the verdicts, or None when it takes longer and `result` will have them.

        Raises TransactionInUse, OutOfResources."""
        self._check_unused(transaction_uid)
        found = self._find(references, source.calling_ae_title)
        size = sum(stored.data_set_length for stored in found.values())
        if len(references) > AT_ONCE_ITEMS or size > AT_ONCE_BYTES:
            self.begin(transaction_uid, references, source)
            return None
        verdicts = _result(self._verdicts(references, found, self._undecided(references, source)))
        self._enter(transaction_uid, references, source, verdicts)
        return verdicts

    def begin(self, transaction_uid: str, references: Sequence[Reference], source: Source) -> None:
        """Leave the decision to the jobs. Raises TransactionInUse, OutOfResources."""
        self._enter(transaction_uid, references, source, [])

    def result(self, transaction_uid: str) -> Verdicts | None:
        """The verdicts, or None as long as there is more to be checked. Raises NotFound, Gone."""
        with self._database.read() as connection:
            state = commitments.find(connection, transaction_uid)
            if state is None:
                raise NotFound("no storage commitment was requested under this Transaction UID")
            if state.expired:
                raise Gone("the result is not kept any longer: request storage commitment again")
            return list(commitments.verdicts(connection, state)) if state.finished else None

    def work(self, key: int) -> Iterator[None]:
        """Check some items of a request, and leave a job for the rest; done by the jobs, any number of times. A pause
        after each piece that was read lets the worker show that it lives.

        Raises OutOfResources when the index cannot be used: the job is tried again."""
        deadline = self._clock() + SECONDS_PER_JOB
        with self._database.read() as connection:
            state = commitments.get(connection, key)
        while state is not None and not state.finished:
            state = yield from self._step(state, deadline)
            if self._clock() >= deadline:
                return

    def check_at_once(self, key: int) -> None:
        """Check what can be checked now, if that does not take long; the rest is the jobs' business. Raises
        OutOfResources."""
        with self._database.read() as connection:
            state = commitments.get(connection, key)
            asked = commitments.references(connection, state, AT_ONCE_ITEMS) if state else []
            title = commitments.sender(connection, key).calling_ae_title if state else ""
        if state is None or state.number_of_items > AT_ONCE_ITEMS:
            return
        if sum(stored.data_set_length for stored in self._find(asked, title).values()) <= AT_ONCE_BYTES:
            _result(self._step(state, math.inf, leave=False))

    def standing(self, references: Sequence[Reference], ae_title: str = "") -> set[Reference]:
        """Those of the instances that are still stored as they are named, for who asks. Raises OutOfResources."""
        found: dict[str, StoredInstance] = {}
        for start in range(0, len(references), ITEMS_PER_TRANSACTION):
            found |= self._find(references[start : start + ITEMS_PER_TRANSACTION], ae_title)
        return {one for one in references if _is_there(one, found.get(one.SOPInstanceUID))}

    def expire(self) -> None:
        """Throw old results away, and forget older requests."""
        now = time.time()
        before = {"finished_before": now - RESULT_DAYS * DAY, "requested_before": now - RECORD_DAYS * DAY}
        self._database.write(lambda connection: commitments.expire(connection, **before))

    def _check_unused(self, transaction_uid: str) -> None:
        with self._database.read() as connection:
            if commitments.find(connection, transaction_uid) is not None:
                raise TransactionInUse("this Transaction UID is in use: take another one for a new request")

    def _enter(
        self, transaction_uid: str, references: Sequence[Reference], source: Source, verdicts: Verdicts
    ) -> None:
        def change(connection: Any) -> bool:
            key = commitments.begin(connection, transaction_uid, references, source)
            if key is None:
                return False
            if verdicts:
                state = State(key, len(references), 0, expired=False)
                commitments.conclude(connection, state, verdicts)
            else:
                outbox.put(connection, COMMITMENT_REQUESTED, {"id": key})
            return True

        if not self._database.write(change):
            raise TransactionInUse("this Transaction UID is in use: take another one for a new request")

    def _step(
        self, state: State, deadline: float, *, leave: bool = True
    ) -> Generator[None, None, State | None]:
        """Check some items and note the verdicts; with `leave`, leave a job for the rest if there is no more to be done
        now."""
        with self._database.read() as connection:
            asked = commitments.references(connection, state, ITEMS_PER_TRANSACTION)
            patient = time.time() < reports.wait_until(connection, state.id)
            source = commitments.sender(connection, state.id)
        found = self._find(asked, source.calling_ae_title)
        there = list(itertools.takewhile(lambda one: _is_there(one, found.get(one.SOPInstanceUID)), asked))
        ready = there if patient else asked
        verdicts = yield from self._verdicts(ready, found, self._undecided(ready, source), deadline)
        waits = len(verdicts) == len(ready) < len(asked)
        late = waits or self._clock() >= deadline

        def change(connection: Any) -> State | None:
            after = commitments.conclude(connection, state, verdicts)
            if after is not None and after.finished:
                reports.schedule(connection, state.id, time.time())
            elif after is not None and late and leave:
                pause = SECONDS_TO_WAIT if waits else 0.0
                outbox.put(connection, COMMITMENT_REQUESTED, {"id": state.id}, after_seconds=pause)
            return after

        after = self._database.write(change)
        return None if late else after

    def _verdicts(
        self,
        asked: Sequence[Reference],
        found: Mapping[str, StoredInstance],
        undecided: Collection[str],
        deadline: float = math.inf,
    ) -> Generator[None, None, Verdicts]:
        """The verdicts of as many as can be checked until then, of one at least."""
        verdicts: Verdicts = []
        for one in asked:
            reason = yield from self._reason(one, found.get(one.SOPInstanceUID))
            doubtful = reason == COMMITTED and one.SOPInstanceUID in undecided
            verdicts.append(Verdict(one, PROCESSING_FAILURE if doubtful else reason))
            if self._clock() >= deadline:
                break
        return verdicts

    def _find(self, references: Sequence[Reference], ae_title: str) -> dict[str, StoredInstance]:
        """Of what the AE title sees, and of studies of which it has sent something: it knows them, and has to hear that
        they are safe. Of rejection notes, which are no part of them any more, who does not see all hears nothing."""
        uids = tuple({one.SOPInstanceUID for one in references})
        view = self._view_of(ae_title) if ae_title else None
        if view is not None:
            view |= Grant(ae=(ae_title,))
        with self._database.read() as connection:
            notes = rejections.find_notes(connection, uids) if view is None else ()
            found = [one.note.stored for one in notes]
            found += instances.instances(connection, Scope(sop_instance_uids=uids), view)
        return {stored.SOPInstanceUID: stored for stored in found}

    def _undecided(self, references: Sequence[Reference], source: Source) -> set[str]:
        with self._database.read() as connection:
            return conflicts.undecided(connection, source, [one.SOPInstanceUID for one in references])

    def _reason(self, reference: Reference, stored: StoredInstance | None) -> Generator[None, None, int]:
        """Failure Reason, or COMMITTED."""
        if stored is None or not _is_there(reference, stored):
            return NO_SUCH_OBJECT_INSTANCE
        if reference.SOPClassUID != stored.SOPClassUID:
            return CLASS_INSTANCE_CONFLICT
        try:
            digest = yield from self._digest(stored)
        except NotFound:
            return PROCESSING_FAILURE
        except OutOfResources:
            return RESOURCE_LIMITATION
        return COMMITTED if digest == stored.sha256 else PROCESSING_FAILURE

    def _digest(self, stored: StoredInstance) -> Generator[None, None, str]:
        digest = hashlib.sha256()
        with self._store.open(stored.blob_key) as blob:
            for piece in blob.pieces(stored.data_set_offset, stored.data_set_length):
                digest.update(piece)
                yield
        return digest.hexdigest()


def _result(steps: Generator[None, None, T]) -> T:
    """All steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def _is_there(reference: Reference, stored: StoredInstance | None) -> bool:
    return (
        stored is not None
        and reference.StudyInstanceUID in ("", stored.StudyInstanceUID)
        and reference.SeriesInstanceUID
        in (
            "",
            stored.SeriesInstanceUID,
        )
    )
