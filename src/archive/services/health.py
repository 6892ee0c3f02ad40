"""Whether the archive can do its work now, asked by probes and by the readiness page.

A disk or a server that hangs gives no answer, and whoever waits for one cannot be called back. So each check has a
thread of its own, one at a time however many ask, and what has not answered in time counts as not working.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from archive.dicom.errors import ArchiveError
from archive.index.database import Database
from archive.storage.base import BlobStore

PATIENCE_SECONDS = 5.0
"""So long a check is waited for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must work. `reason` says what is wrong, and is empty when nothing is."""

    name: str
    reason: str

    @property
    def ok(self) -> bool:
        """True when it works."""
        return not self.reason


class Health:
    """Liveness is the process's own affair; readiness asks the store and the index to take something."""

    def __init__(self, store: BlobStore, database: Database, patience: float = PATIENCE_SECONDS) -> None:
        self._checks = {"storage": _Checked(store.check), "index": _Checked(database.check)}
        self._patience = patience

    def ready(self) -> list[Check]:
        """Every check, done now. Never raises for what a check finds, and never waits for long."""
        begun = {name: checked.begin() for name, checked in self._checks.items()}
        until = time.monotonic() + self._patience
        return [Check(name, self._reason(outcome, until)) for name, outcome in begun.items()]

    def _reason(self, outcome: Future[str], until: float) -> str:
        try:
            return outcome.result(max(until - time.monotonic(), 0.0))
        except TimeoutError:
            return f"no answer for {self._patience:g} s: look for a disk or a server that hangs"


class _Checked:
    """One check. Who asks while it is being made hears what comes of that."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._running: Future[str] | None = None

    def begin(self) -> Future[str]:
        """What will have been wrong; empty when nothing is."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                try:
                    threading.Thread(
                        target=self._run, args=(self._running,), name="check", daemon=True
                    ).start()
                except RuntimeError:
                    self._running.set_result("the system gives no thread")
            return self._running

    def _run(self, outcome: Future[str]) -> None:
        try:
            self._check()
        except ArchiveError as error:
            outcome.set_result(error.reason)
        except BaseException as error:  # noqa: BLE001 - raised where it is asked for
            outcome.set_exception(error)
        else:
            outcome.set_result("")
