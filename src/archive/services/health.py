"""Whether the archive can do its work now, asked by probes and by the readiness page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archive.dicom.errors import ArchiveError
from archive.index.database import Database
from archive.storage.base import BlobStore


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
    """Liveness is the process's own affair; readiness asks the store and the index."""

    def __init__(self, store: BlobStore, database: Database) -> None:
        self._checks: tuple[tuple[str, Callable[[], None]], ...] = (
            ("storage", store.check),
            ("index", database.check),
        )

    def ready(self) -> list[Check]:
        """Every check, done now. Never raises for what a check finds."""
        return [Check(name, _reason(check)) for name, check in self._checks]


def _reason(check: Callable[[], None]) -> str:
    try:
        check()
    except ArchiveError as error:
        return error.reason
    return ""
