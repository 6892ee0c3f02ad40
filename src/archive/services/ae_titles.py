"""AE titles: whom we let in, and where we may send. Kept in the index, so a change is in effect at once everywhere."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from archive.dicom.errors import CallerRefused, UnknownDestination
from archive.index import ae_titles
from archive.index.database import Database
from archive.security.ae_titles import AETitle, check, decide, normalise
from archive.security.rules import DEFAULT_RULES, Rules

REFUSALS_PER_SECOND = 10
"""Different refusals that a process writes in a second. Each is a durable transaction, and a stranger decides how
many there are."""

_Refused = tuple[str, str, str, str]
"""Calling and called AE title, address, reason."""


class AETitles:
    """The known application entities, and the decision about each association."""

    def __init__(
        self, database: Database, own_title: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._brake = _Brake(clock)
        self.own_title = own_title

    def all(self) -> list[AETitle]:
        """Every known AE title, by name."""
        with self._database.read() as connection:
            return ae_titles.all_titles(connection)

    def get(self, title: str) -> AETitle | None:
        """The entry of this title, if it is known."""
        with self._database.read() as connection:
            return ae_titles.get(connection, normalise(title))

    def add(self, title: str, host: str, port: int, rules: Rules = DEFAULT_RULES) -> AETitle:
        """Make known, or change. Raises ConfigurationError for a title, host or port that cannot be."""
        entry = check(AETitle(title, host, port, rules))
        self._database.write(lambda connection: ae_titles.add(connection, entry))
        return entry

    def seed(self, title: str, host: str, port: int) -> None:
        """Make known what the settings name, unless it is or was known: what an administrator has changed or removed
        since stays so. Raises ConfigurationError as `add` does."""
        entry = check(AETitle(title, host, port))
        with self._database.read() as connection:
            known = ae_titles.was_known(connection, entry.title)
        if not known:
            self._database.write(lambda connection: ae_titles.add(connection, entry))

    def remove(self, title: str) -> bool:
        """Forget; False when it was not known."""
        return self._database.write(lambda connection: ae_titles.remove(connection, normalise(title)))

    def admit(self, calling: str, called: str, address: str) -> None:
        """Let an association in, or record why not and raise CallerRefused."""
        try:
            decide(calling, called, address, self.own_title, self.get(calling))
        except CallerRefused as refusal:
            self._record((calling, called, address, refusal.reason))
            raise

    def refusals(self, limit: int = 100) -> list[ae_titles.Refusal]:
        """The last refused associations, newest first. In a flood they are counted late."""
        with self._database.read() as connection:
            return ae_titles.refusals(connection, limit)

    def destination(self, title: str) -> AETitle:
        """Where a C-MOVE may send to; only configured titles. Raises UnknownDestination."""
        entry = self.get(title)
        if entry is None:
            raise UnknownDestination(
                "the move destination is not a known AE title: add it with `archive ae add`"
            )
        return entry

    def _record(self, refused: _Refused) -> None:
        times = self._brake.take(refused)
        if times:
            self._database.write(
                lambda connection: ae_titles.record_refusal(connection, *refused, times=times)
            )


class _Brake:
    """How often refusals are written: the same one once a second, and no more than a few different ones. Those in
    between are counted with the next of the same, as far as they can be remembered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._second = -math.inf
        self._written: set[_Refused] = set()
        self._held: dict[_Refused, int] = {}

    def take(self, refused: _Refused) -> int:
        """How many of them to write now; 0: none."""
        with self._lock:
            now = self._clock()
            if now - self._second >= 1:
                self._second, self._written = now, set()
            if refused not in self._written and len(self._written) < REFUSALS_PER_SECOND:
                self._written.add(refused)
                return 1 + self._held.pop(refused, 0)
            if refused in self._held or len(self._held) < REFUSALS_PER_SECOND:
                self._held[refused] = self._held.get(refused, 0) + 1
            return 0
