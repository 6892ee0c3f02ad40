"""Telling who asked for storage commitment by DIMSE what came of it (PS3.4 J.3.2, J.3.3).

Who asks is answered when the request is in the index, so that it is told the result whatever happens afterwards: on the
association that asked, as long as that lives, else on one of our own, again and again for days. Only AE titles that the
administrator has made known are called. What is told is looked at once more just before: what was deleted since its
bytes were checked is not promised.

The same request by the same AE again, while it has not been told, is the same transaction (its SCU has not heard our
answer): it is checked anew. Any other use of a Transaction UID that was used before is refused (J.3.3.1.2).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archive.dicom.errors import NotFound, PeerFailure, TransactionInUse, UnknownDestination
from archive.dicom.instance import Source
from archive.dicom.receiving.commitment import COMMITTED, NO_SUCH_OBJECT_INSTANCE, Reference, event
from archive.index import commitments, outbox, reports
from archive.index.commitments import State
from archive.index.database import Connection, Database
from archive.index.reports import Progress, Report
from archive.remote import event_report
from archive.remote.event_report import Event
from archive.remote.peer import Peer, peer_of
from archive.security.ae_titles import AETitle
from archive.services.commitment import AT_ONCE_ITEMS, COMMITMENT_REQUESTED, Commitment
from archive.settings.whole import Settings

__all__ = ["HOLD_SECONDS", "PASSING", "REPORT_DUE", "WARNINGS", "Held", "Progress", "Report", "Reports"]

REPORT_DUE = reports.REPORT_DUE
"""Outbox event: work for `deliver`."""

DAY = 86_400.0
HOLD_SECONDS = 20.0
"""An association that has not said for so long that it holds a report is gone."""
AT_ONCE_SECONDS = 2.0
"""What the association may check itself is left to it for so long."""

_UNKNOWN = "no such request: see `archive commitments`"
WARNINGS = frozenset({0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)})
PASSING = frozenset({0x0110, 0x0124, 0x0210, 0x0213})
"""Failures that may be over some day: processing failure, not authorized, duplicate invocation, resource limitation
(PS3.7 10.1.1.1.8). Whoever answers anything else does not want the report."""


@dataclass(frozen=True, slots=True)
class Held:
    """A report that an association has taken on."""

    key: int
    turn: int


class Reports:
    """Requests of storage commitment by DIMSE, and what is told about them."""

    def __init__(
        self,
        database: Database,
        commitment: Commitment,
        entry_of: Callable[[str], AETitle | None],
        settings: Settings,
    ) -> None:
        self._database = database
        self._commitment = commitment
        self._entry_of = entry_of
        self._settings = settings
        self._wait_seconds = settings.dimse.commitment_wait

    def accept(self, transaction_uid: str, references: Sequence[Reference], source: Source) -> Held:
        """Take a request, for the association that it came by. Raises TransactionInUse, OutOfResources."""
        at_once = len(references) <= AT_ONCE_ITEMS

        def change(connection: Connection) -> Held | None:
            now = time.time()
            key = commitments.begin(connection, transaction_uid, references, source)
            if key is None:
                return self._repeated(connection, transaction_uid, references, source)
            turn = reports.enter(
                connection, key, wait_until=now + self._wait_seconds, held_until=now + HOLD_SECONDS
            )
            pause = AT_ONCE_SECONDS if at_once else 0.0
            outbox.put(connection, COMMITMENT_REQUESTED, {"id": key}, after_seconds=pause)
            return Held(key, turn)

        held = self._database.write(change)
        if held is None:
            raise TransactionInUse("this Transaction UID is in use: take another one for a new request")
        return held

    def check_at_once(self, held: Held) -> None:
        """Check what can be checked now. Raises OutOfResources."""
        self._commitment.check_at_once(held.key)

    def hold(self, held: Held) -> bool:
        """Go on holding it; False when it is somebody else's by now."""
        until = time.time() + HOLD_SECONDS
        return self._database.write(
            lambda connection: (
                reports.take(connection, held.key, held_until=until, turn=held.turn) is not None
            )
        )

    def let_go(self, held: Held) -> None:
        """Leave it to the jobs to tell."""
        self._database.write(lambda connection: reports.let_go(connection, held.key, held.turn))

    def event(self, held: Held) -> Event | None:
        """What is to be told; None as long as there is more to be checked."""
        with self._database.read() as connection:
            report = reports.get(connection, held.key)
        return self._event(report) if report is not None and report.finished else None

    def settle(self, held: Held, status: int) -> bool:
        """Note what the requestor has answered; True when it has been told."""
        if told := _is_told(status):
            self._note(held, Progress.DELIVERED, "")
        else:
            self._note(held, Progress.WAITING, f"the peer answered with status {status:04X}")
        return told

    def deliver(self, held: Held) -> None:
        """Tell it on an association of our own; done by the jobs, any number of times. Raises PeerFailure,
        UnknownDestination, OutOfResources: to be tried again."""
        report = self._due(held)
        if report is None:
            return
        status = event_report.report(self._destination(report), self._event(report))
        reason = f"the peer answered with status {status:04X}"
        if status in PASSING:
            raise PeerFailure(reason)
        told = _is_told(status)
        self._note(held, Progress.DELIVERED if told else Progress.GIVEN_UP, "" if told else reason)

    def failed(self, held: Held, reason: str, *, given_up: bool) -> None:
        """Note that an attempt of `deliver` failed, and whether it was the last one."""
        self._note(held, Progress.GIVEN_UP if given_up else Progress.WAITING, reason)

    def destination(self, held: Held) -> str:
        """The AE title that `deliver` would call; nothing when there is nothing to be told any more."""
        report = self._due(held)
        return report.calling_ae_title if report is not None else ""

    def sweep(self) -> int:
        """Take over what associations held that are gone; how many that were."""

        def change(connection: Connection) -> int:
            now = time.time()
            return sum(reports.schedule(connection, key, now) for key in reports.abandoned(connection, now))

        with self._database.read() as connection:
            if not reports.abandoned(connection, time.time()):
                return 0
        return self._database.write(change)

    def give_up(self) -> None:
        """Give up what has waited too long, for whatever reason, so that it is seen."""
        before = time.time() - (self._settings.dimse.report_days + 1) * DAY
        with self._database.read() as connection:
            overdue = reports.overdue(connection, before)
        for key, turn in overdue:
            self._note(Held(key, turn), Progress.GIVEN_UP, "not checked or not told in time: see the log")

    def newest(self, limit: int = 100, progress: Progress | None = None) -> list[Report]:
        """The last requests and what has become of them, newest first."""
        with self._database.read() as connection:
            return reports.newest(connection, limit, progress)

    def get(self, transaction_uid: str) -> Report:
        """One of them. Raises NotFound."""
        with self._database.read() as connection:
            found = reports.find(connection, transaction_uid)
        if found is None:
            raise NotFound(_UNKNOWN)
        return found

    def again(self, transaction_uid: str) -> Report:
        """Check a request anew and tell it once more, though it was given up or told. Raises NotFound."""

        def change(connection: Connection) -> Report | None:
            report = reports.find(connection, transaction_uid)
            if report is None or report.expired:
                return None
            reports.reopen(connection, report.id)
            self._check_again(connection, report)
            return report

        found = self._database.write(change)
        if found is None:
            raise NotFound(_UNKNOWN)
        return found

    def _repeated(
        self, connection: Connection, transaction_uid: str, references: Sequence[Reference], source: Source
    ) -> Held | None:
        """The same request once more; None when it is another one, or was told."""
        report = reports.find(connection, transaction_uid)
        if report is None or report.expired or report.calling_ae_title != source.calling_ae_title:
            return None
        if commitments.asked(connection, report.id) != list(references):
            return None
        now = time.time()
        turn = reports.take(
            connection, report.id, held_until=now + HOLD_SECONDS, wait_until=now + self._wait_seconds
        )
        if turn is None:
            return None
        if report.finished:
            self._check_again(connection, report)
        return Held(report.id, turn)

    def _check_again(self, connection: Connection, report: Report) -> None:
        reports.begin_again(connection, report.id)
        outbox.put(connection, COMMITMENT_REQUESTED, {"id": report.id})

    def _due(self, held: Held) -> Report | None:
        with self._database.read() as connection:
            report = reports.get(connection, held.key)
        if report is None or report.turn != held.turn or report.progress is not Progress.WAITING:
            return None
        return report if report.finished and not report.expired else None

    def _destination(self, report: Report) -> Peer:
        entry = self._entry_of(report.calling_ae_title)
        if entry is None:
            raise UnknownDestination(
                "the AE title that asked is not known here: add it with `archive ae add`, with its address"
            )
        peer = peer_of(entry, self._settings)
        return replace(peer, calling_ae_title=report.called_ae_title or peer.calling_ae_title)

    def _event(self, report: Report) -> Event:
        with self._database.read() as connection:
            state = State(report.id, report.number_of_items, report.checked, expired=report.expired)
            verdicts = list(commitments.verdicts(connection, state))
        promised = [one.reference for one in verdicts if one.failure_reason == COMMITTED]
        standing = self._commitment.standing(promised, report.calling_ae_title)
        gone = [one.SOPInstanceUID for one in promised if one not in standing]
        if gone:
            self._database.write(lambda c: reports.revise(c, report.id, gone, NO_SUCH_OBJECT_INSTANCE))
            return self._event(report)
        return Event(*event(report.TransactionUID, verdicts, report.called_ae_title))

    def _note(self, held: Held, progress: Progress, reason: str) -> None:
        def change(connection: Any) -> None:
            reports.settle(connection, held.key, held.turn, progress=progress, reason=reason)

        self._database.write(change)


def _is_told(status: int) -> bool:
    return status == 0 or status in WARNINGS
