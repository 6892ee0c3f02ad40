"""Telling other application entities that a study can be retrieved: Instance Availability Notification, PS3.4 annex R.

Told is who has `notify` in its rules, once a study has been quiet for as long as the settings say, of all instances
that the study has by then. Nobody is told of what was stored before it wanted to know. A study that grows again is told
of again.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from archive.dicom.errors import NotFound, PeerFailure
from archive.dicom.instance import Scope
from archive.dicom.writing.availability import Available, notification
from archive.index import instances, notifications
from archive.index.database import Connection, Database
from archive.index.notifications import Notification
from archive.index.reports import Progress
from archive.remote import notification_scu
from archive.remote.peer import peer_of
from archive.services.ae_titles import AETitles
from archive.services.reports import PASSING, WARNINGS
from archive.settings.whole import Settings

__all__ = ["NOTIFICATION_DUE", "Notification", "Notifications", "Progress"]

NOTIFICATION_DUE = notifications.NOTIFICATION_DUE
"""Outbox event: work for `deliver`."""

DUPLICATE_SOP_INSTANCE = 0x0111
"""An earlier attempt had come through, and its answer had not."""

INSTANCES_AT_ONCE = 5000
"""In one notification. A larger study takes several."""
RECORD_DAYS = 30
DAY = 86_400.0


class Notifications:
    """Who is to be told of which studies."""

    def __init__(self, database: Database, ae_titles: AETitles, settings: Settings) -> None:
        self._database = database
        self._ae_titles = ae_titles
        self._settings = settings

    def notice(self, now: float | None = None) -> None:
        """Look for studies that have grown, and leave to the jobs to tell of those that are quiet. Again and again;
        with nobody to be told it costs one question. Raises OutOfResources."""
        moment = time.time() if now is None else now
        wanting = [entry.title for entry in self._ae_titles.all() if entry.rules.notify]
        if wanting:
            self._database.write(lambda connection: self._notice(connection, wanting, moment))
        elif self._is_watched():
            self._database.write(notifications.stop)

    def expire(self) -> None:
        """Forget what was told long ago."""
        before = time.time() - RECORD_DAYS * DAY
        self._database.write(lambda connection: notifications.expire(connection, before))

    def destination(self, key: int, turn: int) -> str:
        """The AE title that `deliver` would call; nothing when there is nothing to be told any more."""
        due = self._due(key, turn)
        return due.ae_title if due is not None else ""

    def deliver(self, key: int, turn: int) -> None:
        """Tell it; done by the jobs, any number of times. Raises PeerFailure, OutOfResources: to be tried again."""
        due = self._due(key, turn)
        if due is None:
            return
        entry = self._ae_titles.get(due.ae_title)
        available = self._available(due.StudyInstanceUID)
        if entry is None or not entry.rules.notify or not available:
            self._database.write(lambda connection: notifications.forget(connection, key, turn))
            return
        statuses = notification_scu.create(peer_of(entry, self._settings), self._created(due, available))
        refused = [status for status in statuses if not _is_told(status)]
        reason = f"the peer answered with status {refused[0]:04X}" if refused else ""
        if refused and refused[0] in PASSING:
            raise PeerFailure(reason)
        self._settle(key, turn, Progress.GIVEN_UP if refused else Progress.DELIVERED, reason)

    def failed(self, key: int, turn: int, reason: str, *, given_up: bool) -> None:
        """Note that an attempt of `deliver` failed, and whether it was the last one."""
        self._settle(key, turn, Progress.GIVEN_UP if given_up else Progress.WAITING, reason)

    def newest(self, limit: int = 100, progress: Progress | None = None) -> list[Notification]:
        """The last ones and what has become of them, newest first."""
        with self._database.read() as connection:
            return notifications.newest(connection, limit, progress)

    def again(self, key: int) -> Notification:
        """Tell of a study once more, though it was told or given up. Raises NotFound."""

        def change(connection: Connection) -> Notification | None:
            found = notifications.get(connection, key)
            if found is not None:
                notifications.put(connection, found.StudyInstanceUID, found.ae_title, _uid(uuid.uuid4()))
            return found

        found = self._database.write(change)
        if found is None:
            raise NotFound("no such notification: see `archive notifications`")
        return found

    def _notice(self, connection: Connection, wanting: Sequence[str], now: float) -> None:
        notifications.look(connection, now)
        for uid in notifications.quiet(connection, now - self._settings.dimse.notification_quiet):
            for title in wanting:
                notifications.put(connection, uid, title, _uid(uuid.uuid4()))

    def _is_watched(self) -> bool:
        with self._database.read() as connection:
            return notifications.is_watched(connection)

    def _due(self, key: int, turn: int) -> Notification | None:
        with self._database.read() as connection:
            found = notifications.get(connection, key)
        waits = found is not None and found.turn == turn and found.progress is Progress.WAITING
        return found if waits else None

    def _available(self, study_instance_uid: str) -> list[Available]:
        with self._database.read() as connection:
            return [
                Available(one.SeriesInstanceUID, one.SOPClassUID, one.SOPInstanceUID)
                for one in instances.instances(connection, Scope((study_instance_uid,)))
            ]

    def _created(self, due: Notification, available: Sequence[Available]) -> Iterator[tuple[str, Any]]:
        """The notifications; each has the same UID in every attempt."""
        for number in itertools.count():
            some = available[number * INSTANCES_AT_ONCE : (number + 1) * INSTANCES_AT_ONCE]
            if not some:
                return
            uid = _uid(uuid.uuid5(uuid.NAMESPACE_OID, f"{due.SOPInstanceUID}/{number}"))
            yield uid, notification(due.StudyInstanceUID, some, self._settings.dimse.ae_title)

    def _settle(self, key: int, turn: int, progress: Progress, reason: str) -> None:
        self._database.write(lambda connection: notifications.settle(connection, key, turn, progress, reason))


def _is_told(status: int) -> bool:
    return status in (0, DUPLICATE_SOP_INSTANCE) or status in WARNINGS


def _uid(number: uuid.UUID) -> str:
    return f"2.25.{number.int}"
