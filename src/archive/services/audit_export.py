"""Telling a syslog receiver what is recorded, in its order, each record at least once.

How far it was told is kept in the index, and goes forward when the receiver has read a batch to its end. What it cannot
be told now it is told later, however long that takes: the records are in the trail. It has a thread of its own, as a
receiver that hangs must not keep the jobs waiting. Of several nodes with one index each may tell the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from archive.audit import messages, syslog
from archive.audit.syslog import Told
from archive.dicom.errors import ArchiveError
from archive.index import audit
from archive.index.audit import Head
from archive.index.database import Database
from archive.security import tls
from archive.settings.values import Address
from archive.settings.whole import Settings

BATCH = 500
AGAIN_SECONDS = 30.0

_log = structlog.get_logger()


class AuditExport:
    """Who tells it."""

    def __init__(
        self, database: Database, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._not_before = 0.0
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Tell what is new, in a thread, unless that is going on or failed a moment ago."""
        if not self._settings.audit.syslog or self._clock() < self._not_before:
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._tell_all, name="syslog", daemon=True)
            self._thread.start()

    def tell(self) -> int:
        """Tell the next batch; how many records. Raises PeerFailure, ConfigurationError, OutOfResources."""
        with self._database.read() as connection:
            some = audit.records(connection, audit.told(connection).position, BATCH)
        if not some:
            return 0
        receiver = Address.parse(self._settings.audit.syslog)
        context = tls.towards(self._settings.tls, receiver.host, "").context()
        batch = [Told(one.position, one.hash, messages.read(one.entry.message)) for one in some]
        syslog.send((receiver.host, receiver.port), context, batch)
        last = Head(some[-1].position, some[-1].hash)
        self._database.write(lambda connection: audit.tell(connection, last))
        return len(some)

    def _tell_all(self) -> None:
        try:
            while self.tell():
                pass
        except ArchiveError as error:
            self._not_before = self._clock() + AGAIN_SECONDS
            _log.error("audit trail not exported", reason=error.reason)
