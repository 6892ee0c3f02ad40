"""Who and what was refused last, why, and what would let it in: for the administrator whom a device's owner calls.

Each refusal is a durable transaction, and a stranger decides how many there are: the same one is written once a second
and counted in between. Keeping them is a courtesy: where the index cannot take one, the refusal itself stands.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from archive.dicom.errors import ArchiveError
from archive.dicom.instance import Source
from archive.index import refusals
from archive.index.database import Database
from archive.index.refusals import RefusedAssociation, RefusedObject
from archive.network.caller import Caller
from archive.security.actor import Actor
from archive.services.auditing import Auditing
from archive.services.remedies import remedy

K = TypeVar("K")

REFUSALS_PER_SECOND = 10
"""Different refusals that a process writes in a second."""
ALERT_SECONDS = 60.0
"""The audit trail has as many in a minute, as nothing of it is ever forgotten."""


@dataclass(frozen=True, slots=True)
class Instance:
    """What is known of an object that was refused; empty what is not."""

    SOPClassUID: str = ""
    SOPInstanceUID: str = ""
    transfer_syntax_uid: str = ""


class Refusals:
    """The refusals of all workers."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.monotonic,
        is_known: Callable[[str], bool] = lambda _: True,
        auditing: Auditing | None = None,
    ) -> None:
        self._database = database
        self._auditing = auditing
        self._alerts: _Brake[RefusedAssociation] = _Brake(clock, ALERT_SECONDS)
        self._is_known = is_known
        self._associations: _Brake[RefusedAssociation] = _Brake(clock)
        self._objects: _Brake[RefusedObject] = _Brake(clock)

    def keep_association(self, caller: Caller, reason: str, remedy: str = "") -> None:
        """A caller was not let in, or not everything that it proposed. Never raises."""
        refused = RefusedAssociation(
            caller.calling_ae_title, caller.called_ae_title, caller.address, reason, remedy
        )
        if self._auditing is not None and (alerts := self._alerts.take(refused)):
            actor = Actor("DIMSE", caller.address, caller.calling_ae_title)
            self._auditing.refused(actor, f"called {caller.called_ae_title}: {reason}", alerts)
        times = self._associations.take(refused)
        if times:
            with suppress(ArchiveError):
                self._database.write(lambda c: refusals.record_association(c, refused, times))

    def keep_object(self, what: Instance, source: Source, status: str, error: ArchiveError) -> None:
        """An object was not taken: `status` is what was answered. Never raises."""
        refused = RefusedObject(
            source.door,
            source.calling_ae_title,
            source.address,
            what.SOPClassUID,
            what.transfer_syntax_uid,
            status,
            error.reason,
            self._remedy(error, source),
        )
        times = self._objects.take(refused)
        if times:
            with suppress(ArchiveError):
                self._database.write(lambda c: refusals.record_object(c, refused, what.SOPInstanceUID, times))

    def _remedy(self, error: ArchiveError, source: Source) -> str:
        is_known = True
        with suppress(ArchiveError):
            is_known = self._is_known(source.calling_ae_title)
        return remedy(error, source.calling_ae_title, source.address, is_known=is_known)

    def associations(self, limit: int = 100) -> list[refusals.Kept[RefusedAssociation]]:
        """The last refused associations, newest first. In a flood they are counted late."""
        with self._database.read() as connection:
            return refusals.associations(connection, limit)

    def objects(self, limit: int = 100) -> list[refusals.Kept[RefusedObject]]:
        """The last refused objects, newest first; those that differ in nothing but their UID are one."""
        with self._database.read() as connection:
            return refusals.objects(connection, limit)


class _Brake(Generic[K]):
    """How often refusals are written: the same one once a second, and no more than a few different ones. Those in
    between are counted with the next of the same, as far as they can be remembered."""

    def __init__(self, clock: Callable[[], float], seconds: float = 1.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._second = -math.inf
        self._written: set[K] = set()
        self._held: dict[K, int] = {}

    def take(self, refused: K) -> int:
        """How many of them to write now; 0: none."""
        with self._lock:
            now = self._clock()
            if now - self._second >= self._seconds:
                self._second, self._written = now, set()
            if refused not in self._written and len(self._written) < REFUSALS_PER_SECOND:
                self._written.add(refused)
                return 1 + self._held.pop(refused, 0)
            if refused in self._held or len(self._held) < REFUSALS_PER_SECOND:
                self._held[refused] = self._held.get(refused, 0) + 1
            return 0
