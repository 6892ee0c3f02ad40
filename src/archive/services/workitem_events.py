"""Telling subscribers of workitems by N-EVENT-REPORT (PS3.4 CC.2.4): again and again for days, in the order in which it
happened, whatever is restarted in between.

One job tells an AE all that is waiting for it, on one association. An event that the AE refuses is given up and the
next one is told; one that cannot be told now keeps those after it waiting, as an old state must not come after a newer
one.
"""

from __future__ import annotations

import time

import structlog

from archive.dicom.errors import PeerFailure, UnknownDestination
from archive.dicom.workitems import events as reports
from archive.dicom.workitems.attributes import EVENT, GLOBAL, PUSH
from archive.index import (
    workitem_events,
    workitem_listeners,
    workitem_receivers,
    workitem_subscriptions,
    workitems,
)
from archive.index.database import Connection, Database
from archive.index.workitem_events import Event, Progress
from archive.index.workitem_receivers import Receiver
from archive.remote import event_report
from archive.remote.peer import Peer, peer_of
from archive.services.ae_titles import AETitles
from archive.services.reports import DAY, PASSING, WARNINGS
from archive.settings.whole import Settings

__all__ = ("WORKITEM_EVENTS_DUE", "Receiver", "WorkitemEvents")

WORKITEM_EVENTS_DUE = workitem_events.WORKITEM_EVENTS_DUE
"""Outbox event: work for `deliver`."""

TALK_SECONDS = 60.0
"""After so long the rest is left to another job: the lease of this one must not end before it does."""
AT_ONCE = 100

_log = structlog.get_logger()


class WorkitemEvents:
    """What subscribers are told by N-EVENT-REPORT."""

    def __init__(self, database: Database, ae_titles: AETitles, settings: Settings) -> None:
        self._database = database
        self._ae_titles = ae_titles
        self._settings = settings

    def restarted(self) -> None:
        """Tell all subscribers that the archive has been started (SCP Status Change), once each."""

        def change(connection: Connection) -> None:
            workitems.hold(connection)
            for subscriber in workitem_subscriptions.everybody(connection):
                last = workitem_events.waiting(connection, subscriber.ae_title, AT_ONCE)
                if not any(event.type is reports.EventType.SCP_STATUS_CHANGE for event in last):
                    workitem_events.put(connection, GLOBAL, [reports.restarted()], [subscriber])

        self._database.write(change)

    def destination(self, ae_title: str, turn: int) -> str:
        """The AE title that `deliver` would call; nothing when another job is to tell it."""
        with self._database.read() as connection:
            return ae_title if workitem_events.is_due(connection, ae_title, turn) else ""

    def deliver(self, ae_title: str, turn: int) -> None:
        """Tell an AE what is waiting for it; done by the jobs, any number of times. Raises PeerFailure,
        UnknownDestination, OutOfResources: to be tried again."""
        until = time.monotonic() + TALK_SECONDS
        if self._waiting(ae_title):
            with event_report.reporting(self._peer(ae_title), EVENT) as tell:
                while time.monotonic() < until and (events := self._waiting(ae_title)):
                    for event in events:
                        if time.monotonic() >= until:
                            break
                        self._note(event, tell(_told(event)))
        self._conclude(ae_title, turn)

    def failed(self, ae_title: str, turn: int, reason: str, *, given_up: bool) -> None:
        """Note that an attempt of `deliver` failed, and whether it was the last one. What has come since the first is
        not given up with it."""
        before = time.time() - self._settings.dimse.report_days * DAY

        def change(connection: Connection) -> None:
            workitems.hold(connection)
            if given_up:
                workitem_events.give_up(connection, ae_title, turn, reason, before)
            else:
                workitem_events.failed(connection, ae_title, reason)

        self._database.write(change)

    def receivers(self) -> list[Receiver]:
        """Who is told of workitems."""
        with self._database.read() as connection:
            return workitem_receivers.all_receivers(connection)

    def sweep(self) -> None:
        """Forget old events, and tell anew whose job has been lost."""
        now = time.time()
        lost = now - (self._settings.dimse.report_days + 1) * DAY
        old = now - self._settings.workitems.event_days * DAY

        def change(connection: Connection) -> None:
            workitems.hold(connection)
            workitem_events.take_over(connection, lost)
            workitem_events.expire(connection, old)
            workitem_listeners.expire(connection, old)

        self._database.write(change)

    def _waiting(self, ae_title: str) -> list[Event]:
        with self._database.read() as connection:
            return workitem_events.waiting(connection, ae_title, AT_ONCE)

    def _conclude(self, ae_title: str, turn: int) -> None:
        def change(connection: Connection) -> None:
            workitems.hold(connection)
            workitem_events.conclude(connection, ae_title, turn)

        self._database.write(change)

    def _note(self, event: Event, status: int) -> None:
        """Raises PeerFailure for a status that may be another one tomorrow."""
        reason = f"the peer answered with status {status:04X}"
        if status in PASSING:
            raise PeerFailure(reason)
        told = status == 0 or status in WARNINGS
        progress = Progress.DELIVERED if told else Progress.GIVEN_UP
        said = "" if told else reason
        self._database.write(
            lambda connection: workitem_events.settle(connection, event.number, progress, said)
        )
        if not told:
            _log.warning("event of a workitem refused", ae_title=event.ae_title, status=f"{status:04X}")

    def _peer(self, ae_title: str) -> Peer:
        entry = self._ae_titles.get(ae_title)
        if entry is None:
            raise UnknownDestination(
                "the subscriber is not known here: add it with `archive ae add`, with its address"
            )
        return peer_of(entry, self._settings)


def _told(event: Event) -> event_report.Event:
    return event_report.Event(int(event.type), event.data_set, PUSH, event.workitem_uid)
