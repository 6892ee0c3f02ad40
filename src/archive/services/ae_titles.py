"""AE titles: whom we let in, and where we may send. Kept in the index, so a change is in effect at once everywhere."""

from __future__ import annotations

from archive.dicom.errors import CallerRefused, UnknownDestination
from archive.index import ae_titles
from archive.index.database import Database
from archive.security.ae_titles import AETitle, check, decide, normalise


class AETitles:
    """The known application entities, and the decision about each association."""

    def __init__(self, database: Database, own_title: str) -> None:
        self._database = database
        self.own_title = own_title

    def all(self) -> list[AETitle]:
        """Every known AE title, by name."""
        with self._database.read() as connection:
            return ae_titles.all_titles(connection)

    def get(self, title: str) -> AETitle | None:
        """The entry of this title, if it is known."""
        with self._database.read() as connection:
            return ae_titles.get(connection, normalise(title))

    def add(self, title: str, host: str, port: int) -> AETitle:
        """Make known, or change. Raises ConfigurationError for a title, host or port that cannot be."""
        entry = check(AETitle(title, host, port))
        self._database.write(lambda connection: ae_titles.add(connection, entry))
        return entry

    def remove(self, title: str) -> bool:
        """Forget; False when it was not known."""
        return self._database.write(lambda connection: ae_titles.remove(connection, normalise(title)))

    def admit(self, calling: str, called: str, address: str) -> None:
        """Let an association in, or record why not and raise CallerRefused."""
        try:
            decide(calling, called, address, self.own_title, self.get(calling))
        except CallerRefused as refusal:
            reason = refusal.reason
            self._database.write(
                lambda connection: ae_titles.record_refusal(connection, calling, called, address, reason)
            )
            raise

    def refusals(self, limit: int = 100) -> list[ae_titles.Refusal]:
        """The last refused associations, newest first."""
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
