"""What leaves the archive, recorded before it goes, and summed up when it has gone.

A viewer asks for a study in a thousand requests. The first of somebody for a study, for looking at it or for fetching
it, is recorded and durable before anything is answered; those that follow are counted, and told of by one more record
when nothing came for a while. A process that is killed loses how much it was, never that it was.

Questions (C-FIND, QIDO-RS) are recorded a second after they were asked, the same one by the same asker once.
"""

from __future__ import annotations

import enum
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archive.audit import events, messages
from archive.audit.events import Patient, Study
from archive.audit.messages import Message
from archive.dicom.instance import StoredInstance
from archive.index import audit
from archive.index.database import Connection
from archive.security.actor import Actor
from archive.services.trail import Build, Trail

QUIET_SECONDS = 10.0
LONGEST_SECONDS = 60.0
"""For so long, at most, reads of a study are counted as one."""
MOST_INSTANCES = 100_000
"""Of one study that are told apart in what one asker reads of it."""
MOST_READS = 2_000
"""Studies and askers at a time; beyond, the oldest are told of early."""
PATIENCE_SECONDS = 30.0


class Kind(enum.Enum):
    """How instances are read."""

    VIEWED = enum.auto()
    """Pictures, frames, metadata."""
    FETCHED = enum.auto()
    """Whole objects."""


_Key = tuple[Kind, Actor, str]


@dataclass(slots=True)
class _Reads:
    """What somebody reads of a study. `recorded`: that it began is."""

    begun: float
    last: float
    classes: dict[str, set[str]] = field(default_factory=dict)
    number: int = 0
    first: int = 0
    recorded: threading.Event = field(default_factory=threading.Event)

    def add(self, instance: StoredInstance) -> None:
        if self.number >= MOST_INSTANCES:
            return
        seen = self.classes.setdefault(instance.SOPClassUID, set())
        before = len(seen)
        seen.add(instance.SOPInstanceUID)
        self.number += len(seen) - before

    @property
    def counts(self) -> tuple[tuple[str, int], ...]:
        return events.counted({uid: len(seen) for uid, seen in self.classes.items()})


@dataclass(frozen=True, slots=True)
class _Question:
    actor: Actor
    sop_class_uid: str
    asked: bytes
    transfer_syntax_uid: str
    outcome: int


class Disclosures:
    """All that this process gives out. Safe for threads."""

    def __init__(self, trail: Trail, clock: Callable[[], float] = time.time) -> None:
        self._trail = trail
        self._clock = clock
        self._lock = threading.Lock()
        self._reads: dict[_Key, _Reads] = {}
        self._questions: dict[_Question, list[float]] = {}
        trail.gather(self._due)

    def viewed(self, actor: Actor, instances: Sequence[StoredInstance]) -> None:
        """Somebody is about to see these, or their metadata. Raises OutOfResources where that has to be recorded
        first and cannot."""
        self._read(Kind.VIEWED, actor, instances)

    def fetched(self, actor: Actor, instances: Sequence[StoredInstance]) -> None:
        """Somebody is about to get these as a whole. Raises OutOfResources as `viewed` does."""
        self._read(Kind.FETCHED, actor, instances)

    def asked(
        self,
        actor: Actor,
        sop_class_uid: str,
        asked: bytes,
        transfer_syntax_uid: str = "",
        outcome: int = messages.SUCCESS,
    ) -> None:
        """Somebody has searched. Never raises."""
        question = _Question(actor, sop_class_uid, asked, transfer_syntax_uid, outcome)
        with self._lock:
            self._questions.setdefault(question, [self._clock(), 0])[1] += 1
        self._trail.wake()

    def sending(
        self, actor: Actor, instances: Sequence[StoredInstance], receiver: Actor | None = None
    ) -> Sending:
        """These are about to be sent, to who asks or to a receiver. Raises OutOfResources as `viewed` does."""
        sending = Sending(self._trail, actor, receiver, self._clock)
        if instances:
            sending.begin(instances)
        return sending

    def _read(self, kind: Kind, actor: Actor, instances: Sequence[StoredInstance]) -> None:
        now, begun = self._clock(), []
        waited: list[_Reads] = []
        with self._lock:
            for instance in instances:
                key = kind, actor, instance.StudyInstanceUID
                reads = self._reads.get(key)
                if reads is None:
                    reads = self._reads[key] = _Reads(now, now)
                    begun.append((key, reads))
                reads.last = now
                reads.add(instance)
            waited = [self._reads[kind, actor, instances[0].StudyInstanceUID]] if instances else []
            for _, reads in begun:
                reads.first = reads.number
            full = len(self._reads) > MOST_READS
        if begun:
            self._begin(begun, now)
        for reads in waited:
            reads.recorded.wait(PATIENCE_SECONDS)
        if full:
            self._trail.wake()

    def _begin(self, begun: Sequence[tuple[_Key, _Reads]], now: float) -> None:
        """Durable when it returns; where that cannot be it is tried again, or what is asked for is refused."""
        told = [(key, reads.counts) for key, reads in begun]
        try:
            self._trail.at_once(lambda connection: self._begun(connection, told, now))
        except BaseException:
            with self._lock:
                for key, _ in begun:
                    self._reads.pop(key, None)
            raise
        finally:
            for _, reads in begun:
                reads.recorded.set()

    def _begun(
        self, connection: Connection, told: Sequence[tuple[_Key, tuple[tuple[str, int], ...]]], now: float
    ) -> Iterator[Message]:
        patients = audit.patients_of(connection, [uid for (_, _, uid), _ in told])
        for (kind, actor, uid), counts in told:
            study = Study(uid, Patient(patients.get(uid, "")), counts)
            if kind is Kind.FETCHED:
                yield events.begin_sending(self._trail.reporter, now, actor, study)
            else:
                yield events.accessed(self._trail.reporter, now, actor, study, messages.READ)

    def _due(self, everything: bool) -> list[Build]:
        now = self._clock()
        with self._lock:
            crowded = len(self._reads) > MOST_READS
            over = [
                key for key, reads in self._reads.items() if everything or crowded or _is_over(reads, now)
            ]
            ended = [(key, self._reads.pop(key)) for key in over]
            questions, self._questions = self._questions, {}
        # Of what was looked at and recorded whole when it began there is nothing more to say.
        told = [(key, one) for key, one in ended if key[0] is Kind.FETCHED or one.number > one.first]
        builds: list[Build] = [lambda connection: self._ended(connection, told)] if told else []
        if questions:
            asked = [self._question(one, begun, int(times)) for one, (begun, times) in questions.items()]
            builds.append(lambda _: asked)
        return builds

    def _ended(self, connection: Connection, told: Sequence[tuple[_Key, _Reads]]) -> Iterator[Message]:
        patients = audit.patients_of(connection, [uid for (_, _, uid), _ in told])
        for (kind, actor, uid), reads in told:
            study = Study(uid, Patient(patients.get(uid, "")), reads.counts)
            if kind is Kind.FETCHED:
                yield events.sent(self._trail.reporter, reads.last, actor, study)
            else:
                yield events.accessed(self._trail.reporter, reads.last, actor, study, messages.READ)

    def _question(self, one: _Question, begun: float, times: int) -> Message:
        return events.query(
            self._trail.reporter,
            begun,
            one.actor,
            one.sop_class_uid,
            one.asked,
            transfer_syntax_uid=one.transfer_syntax_uid,
            times=times,
            outcome=one.outcome,
        )


def _is_over(reads: _Reads, now: float) -> bool:
    return now - reads.last >= QUIET_SECONDS or now - reads.begun >= LONGEST_SECONDS or now < reads.begun


class Sending:
    """Instances that are sent by DIMSE, in one request: what was to be sent, and what was. One thread."""

    def __init__(
        self, trail: Trail, actor: Actor, receiver: Actor | None, clock: Callable[[], float]
    ) -> None:
        self._trail = trail
        self._actor = actor
        self._receiver = receiver
        self._clock = clock
        self._sent: dict[str, Counter[str]] = {}
        self._failed: dict[str, Counter[str]] = {}

    def begin(self, instances: Iterable[StoredInstance]) -> None:
        """Record what is to be sent; durable when it returns."""
        wanted: dict[str, Counter[str]] = {}
        for one in instances:
            wanted.setdefault(one.StudyInstanceUID, Counter())[one.SOPClassUID] += 1
        now = self._clock()

        def build(connection: Connection) -> Iterator[Message]:
            for study in _studies(connection, wanted):
                yield events.begin_sending(self._trail.reporter, now, self._actor, study, self._receiver)

        self._trail.at_once(build)

    def note(self, instance: StoredInstance, *, failed: bool) -> None:
        """One was sent, or could not be."""
        which = self._failed if failed else self._sent
        which.setdefault(instance.StudyInstanceUID, Counter())[instance.SOPClassUID] += 1

    def close(self) -> None:
        """All that will be sent is. What succeeded and what failed are records of their own (PS3.15 A.5.2). Never
        raises."""
        sent, failed, now = self._sent, self._failed, self._clock()
        self._sent, self._failed = {}, {}
        if not sent and not failed:
            return

        def build(connection: Connection) -> Iterator[Message]:
            for studies, outcome, text in (
                (sent, messages.SUCCESS, ""),
                (failed, messages.MINOR_FAILURE, "not sent"),
            ):
                for study in _studies(connection, studies):
                    yield events.sent(
                        self._trail.reporter,
                        now,
                        self._actor,
                        study,
                        self._receiver,
                        outcome=outcome,
                        outcome_text=text,
                    )

        self._trail.later(build)


def _studies(connection: Connection, counts: dict[str, Counter[str]]) -> Iterator[Study]:
    patients = audit.patients_of(connection, counts)
    for uid, classes in counts.items():
        yield Study(uid, Patient(patients.get(uid, "")), events.counted(classes))
