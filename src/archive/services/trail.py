"""Writing the audit trail: at once, with a change, or soon.

What changes the archive is recorded in the transaction of the change (`write`). What leaves it is recorded before it
goes (`at_once`). The rest (queries, sums, what was refused) waits a second for others and is written with them
(`later`), by a thread that there is only once something has come; a process that is killed loses that second.

Where the index takes no record, the archive goes on, as people wait for pictures; what could not be written is kept and
tried again, and it is said in the trail itself when that was too much. With `audit.required` nothing leaves the archive
unrecorded.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import structlog

from archive.audit import codes, events, messages
from archive.audit.events import Reporter
from archive.audit.messages import Message
from archive.dicom.errors import ArchiveError
from archive.index import audit
from archive.index.audit import Entry
from archive.index.database import Connection, Database
from archive.security.actor import THE_ARCHIVE

Build = Callable[[Connection], Iterable[Message]]
"""What is to be recorded, made in the transaction that records it: only there it is known whom a study is of."""
Due = Callable[[bool], list[Build]]
"""Whoever gathers: what is to be recorded now; with True, all."""

GATHER_SECONDS = 1.0
AGAIN_SECONDS = 5.0
MOST_WAITING = 50_000
"""Of what could not be written; the oldest is given up beyond."""
CLOSING_SECONDS = 10.0

_log = structlog.get_logger()


class Trail:
    """The audit trail as this process writes it. Safe for threads."""

    def __init__(self, database: Database, reporter: Reporter, *, required: bool = False) -> None:
        self._database = database
        self.reporter = reporter
        self._required = required
        self._lock = threading.Lock()
        self._waiting: deque[Build] = deque()
        self._lost = 0
        self._gatherers: list[Due] = []
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, connection: Connection, recorded: Iterable[Message]) -> None:
        """Record these in the transaction of what they tell of; the last thing that it does."""
        audit.append(connection, [entry(one) for one in recorded])

    def at_once(self, build: Build) -> None:
        """Record before it happens. Raises OutOfResources where that cannot be and the site wants it."""
        try:
            self._database.write(lambda connection: self.write(connection, build(connection)))
        except ArchiveError as error:
            if self._required:
                raise
            _log.warning("not recorded in the audit trail yet", reason=error.reason)
            self.later(build)

    def later(self, build: Build) -> None:
        """Record soon. Never raises."""
        with self._lock:
            self._waiting.append(build)
            self._make_room()
        self.wake()

    def gather(self, due: Due) -> None:
        """Ask this one, as long as there is something to be recorded."""
        self._gatherers.append(due)

    def wake(self) -> None:
        """There is something to be recorded. Never raises."""
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closing.is_set():
                    self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                    self._thread.start()
        self._woken.set()

    def flush(self, *, everything: bool = True) -> bool:
        """Record what waits; False where that cannot be now."""
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
            lost, self._lost = self._lost, 0
        waiting += [build for due in self._gatherers for build in due(everything)]
        if lost:
            waiting.append(self._gap(lost))
        if not waiting:
            return True
        try:
            self._database.write(lambda connection: self.write(connection, _built(connection, waiting)))
        except ArchiveError as error:
            _log.error("audit records wait", number=len(waiting), reason=error.reason)
            with self._lock:
                self._waiting.extendleft(reversed(waiting))
                self._make_room()
            return False
        return True

    def close(self) -> None:
        """Record all that is left."""
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(CLOSING_SECONDS)
        self.flush()

    def _make_room(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1

    def _gap(self, lost: int) -> Build:
        """In the trail, it is said that some of it is missing."""
        now = time.time()
        reason = f"{lost} events could not be recorded"
        alert = events.security_alert(
            self.reporter, now, THE_ARCHIVE, codes.RECORDING_STOPPED, reason, outcome=messages.SERIOUS_FAILURE
        )
        return lambda _: (alert,)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._woken.wait(GATHER_SECONDS)
            self._woken.clear()
            if self._closing.wait(GATHER_SECONDS):
                return
            if not self.flush(everything=False):
                self._closing.wait(AGAIN_SECONDS)


def _built(connection: Connection, builds: Sequence[Build]) -> list[Message]:
    return [message for build in builds for message in build(connection)]


def entry(message: Message) -> Entry:
    """What is kept of a message."""
    return kept(messages.kept(message).decode(), message)


def kept(text: str, message: Message) -> Entry:
    """The same of a message that is kept in this text."""
    who = message.requestor
    patient, study = next(iter(message.patient_ids), ""), next(iter(message.study_instance_uids), "")
    searched = map(messages.plain, (message.event.value, who.UserID, who.address, patient, study))
    return Entry(text, message.time, *searched)
