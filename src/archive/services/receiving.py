"""What comes in, summed up by sender and study (PS3.15 A.5.3.7, and A.5.3.5 for what is imported from files).

One record tells of all instances of a study that a sender has brought, when no further one came for a while: by one
association, by several at a time, or by one for each instance, as many modalities have it. Until then a row of the
index stands for them, which comes with the first one in the same transaction: what was received by a process that was
killed is counted from the instances themselves, which say where they came from.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from archive.audit import events, messages
from archive.audit.events import Patient, Study
from archive.audit.messages import Message
from archive.dicom.instance import Source
from archive.index import audit
from archive.index.database import Connection, Database
from archive.security.actor import Actor, operator
from archive.services.receipts import Receipt
from archive.services.trail import Build, Trail

IMPORT = "IMPORT"
"""The door of what is read from files."""
QUIET_SECONDS = 10.0
LONGEST_SECONDS = 600.0
"""A sender that never pauses is told of this often."""
MARGIN_SECONDS = 5.0
"""An instance is entered a moment before it is known of here."""
DEAD_SECONDS = 5 * audit.SEEN_SECONDS

_Key = tuple[Source, str]


@dataclass(slots=True)
class _Coming:
    """What a sender brings of a study. `stands`: a row of the index stands for it."""

    begun: float
    last: float
    seen: float
    transfer: str = field(default_factory=lambda: uuid.uuid4().hex)
    stands: bool = False
    new: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)

    def is_over(self, now: float) -> bool:
        """Whether it is to be told of."""
        return not 0 <= now - self.last < QUIET_SECONDS or not 0 <= now - self.begun < LONGEST_SECONDS


class Receptions:
    """All that comes in by this process; and what others left behind. Safe for threads."""

    def __init__(self, database: Database, trail: Trail, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._trail = trail
        self._clock = clock
        self._lock = threading.Lock()
        self._coming: dict[_Key, _Coming] = {}
        trail.gather(self._due)

    def enter(self, connection: Connection, source: Source, study_instance_uid: str) -> None:
        """The last part of the change that enters an instance."""
        with self._lock:
            coming = self._of(source, study_instance_uid)
            stands = coming.stands
        if not stands:
            begun, actor = coming.begun - MARGIN_SECONDS, _actor(source).name
            audit.begin_receiving(connection, coming.transfer, study_instance_uid, actor, source, begun)

    def note(self, source: Source, receipt: Receipt) -> None:
        """An instance is safe."""
        with self._lock:
            coming = self._of(source, receipt.StudyInstanceUID)
            coming.stands = coming.stands or not receipt.already_there
            (coming.held if receipt.already_there else coming.new)[receipt.SOPClassUID] += 1
        self._trail.wake()

    def rejected(
        self, connection: Connection, source: Source, patients: Mapping[str, str], reason: str
    ) -> None:
        """The last part of the change by which a rejection note hides instances of these studies, each with whose it
        is."""
        now, actor, details = self._clock(), _actor(source), (("Rejected", reason),)
        studies = (Study(uid, Patient(whose), details=details) for uid, whose in patients.items())
        reporter = self._trail.reporter
        told = [events.accessed(reporter, now, actor, one, messages.DELETE) for one in studies]
        self._trail.write(connection, told)

    def sweep(self) -> int:
        """Record what was received by who is dead by now; how many studies. Raises OutOfResources."""

        def change(connection: Connection) -> int:
            left = audit.left_behind(connection, self._clock() - DEAD_SECONDS)
            patients = audit.patients_of(connection, [one.StudyInstanceUID for one in left])
            for one in left:
                audit.end_receiving(connection, one.transfer)
            self._trail.write(connection, [self._left(one, patients) for one in left])
            return len(left)

        return self._database.write(change)

    def _of(self, source: Source, study_instance_uid: str) -> _Coming:
        now = self._clock()
        key = source, study_instance_uid
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = _Coming(now, now, now)
        coming.last = now
        return coming

    def _due(self, everything: bool) -> list[Build]:
        now = self._clock()
        with self._lock:
            over = [key for key, one in self._coming.items() if everything or one.is_over(now)]
            ended = [(key, self._coming.pop(key)) for key in over]
            lasting = [one for one in self._coming.values() if now - one.seen >= audit.SEEN_SECONDS]
            for one in lasting:
                one.seen = now
        builds: list[Build] = []
        if lasting:
            transfers = [one.transfer for one in lasting]
            builds.append(lambda connection: _still(connection, transfers, now))
        if ended:
            builds.append(lambda connection: self._ended(connection, ended))
        return builds

    def _ended(self, connection: Connection, ended: Sequence[tuple[_Key, _Coming]]) -> Iterator[Message]:
        patients = audit.patients_of(connection, [study for (_, study), _ in ended])
        for (source, uid), one in ended:
            for classes, already_held in ((one.new, False), (one.held, True)):
                if classes:
                    study = Study(uid, Patient(patients.get(uid, "")), events.counted(classes))
                    yield self._message(one.last, source, study, already_held=already_held)
            audit.end_receiving(connection, one.transfer)

    def _message(self, at: float, source: Source, study: Study, *, already_held: bool) -> Message:
        reporter, actor = self._trail.reporter, _actor(source)
        if source.door == IMPORT:
            return events.data_import(reporter, at, actor, study, source="file:")
        return events.received(reporter, at, actor, study, already_held=already_held)

    def _left(self, left: audit.Received, patients: dict[str, str]) -> Message:
        uid, source = left.StudyInstanceUID, left.source
        known = (source.calling_ae_title, source.address, source.door)
        user = "" if left.actor in known else left.actor
        return events.received(
            self._trail.reporter,
            left.begun_at,
            Actor(source.door, source.address, source.calling_ae_title, user),
            Study(uid, Patient(patients.get(uid, "")), events.counted(left.sop_classes)),
            outcome=messages.MINOR_FAILURE,
            outcome_text="its end was not seen: counted from what is stored",
        )


def _still(connection: Connection, transfers: Sequence[str], now: float) -> Iterable[Message]:
    """Those that last for long still live."""
    audit.still_receiving(connection, transfers, now)
    return ()


def _actor(source: Source) -> Actor:
    if source.door == IMPORT:
        return operator()
    return Actor(source.door, source.address, source.calling_ae_title, user=source.user)
