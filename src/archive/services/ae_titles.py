"""AE titles: what is known of others, and where we may send. Kept in the index, so a change is in effect at once
everywhere: an association is judged by what stands there now, a request within one by what stood there a second ago.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from archive.audit import codes
from archive.dicom.errors import UnknownDestination
from archive.index import ae_titles
from archive.index.database import Connection, Database
from archive.security.actor import THE_ARCHIVE, Actor
from archive.security.admission import may_be_meant
from archive.security.ae_titles import AETitle, check, normalise
from archive.security.remedies import command
from archive.security.rules import DEFAULT_RULES, Rules
from archive.security.titles import escaped
from archive.security.views import View
from archive.services.auditing import Auditing

FRESH_SECONDS = 1.0
"""How old an entry may be that a running association is judged by."""


class AETitles:
    """The known application entities."""

    def __init__(
        self,
        database: Database,
        own_titles: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        auditing: Auditing | None = None,
    ) -> None:
        self._auditing = auditing
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._changes = 0
        self._read_at = float("-inf")
        self._read: Mapping[str, AETitle] = {}
        self.own_titles = tuple(own_titles)

    @property
    def own_title(self) -> str:
        """The title by which we call others."""
        return self.own_titles[0]

    def all(self) -> list[AETitle]:
        """Every known AE title, by name."""
        with self._database.read() as connection:
            return ae_titles.all_titles(connection)

    def get(self, title: str) -> AETitle | None:
        """The entry of this title, if it is known."""
        with self._database.read() as connection:
            return ae_titles.get(connection, normalise(title))

    def entry_of(self, title: str) -> AETitle | None:
        """The same, as it stood no longer than a second ago: for questions that are asked with every request."""
        return self._recent().get(normalise(title))

    def view_of(self, title: str) -> View | None:
        """What an AE title sees of the studies; None: everything. Raises InvalidEntry for rules that cannot be read."""
        entry = self.entry_of(title)
        return None if entry is None else entry.rules.view

    def meant(self, title: str) -> tuple[AETitle, ...]:
        """The entries that may be that of who calls by this title, as it was sent: the one that has it as it stands
        now, those that compare it otherwise or have it as an alias as they stood no longer than a second ago."""
        entry, wanted = self.get(title), normalise(title)
        recent = self._recent()
        if recent.get(wanted) != entry:
            self._forget()  # or the requests of an association would be judged by what stood there before it
        others = (one for one in recent.values() if one.title != wanted and may_be_meant(title, one))
        return (*((entry,) if entry else ()), *others)

    def add(
        self, title: str, host: str, port: int, rules: Rules | None = None, *, by: Actor = THE_ARCHIVE
    ) -> AETitle:
        """Make known, or change; without `rules` those of a known title stay. Raises InvalidEntry for what cannot
        be."""
        if rules is None:
            known = self.get(title)
            rules = known.rules if known else DEFAULT_RULES
        entry = check(AETitle(title, host, port, rules))

        def act(connection: Connection) -> None:
            before = ae_titles.get(connection, entry.title)
            ae_titles.add(connection, entry)
            self._record(connection, by, _said(before, entry), entry.title)

        self._database.write(act)
        self._forget()
        return entry

    def seed(self, title: str, host: str, port: int) -> None:
        """Make known what the settings name, unless it is or was known: what an administrator has changed or removed
        since stays so. Raises InvalidEntry as `add` does."""
        entry = check(AETitle(title, host, port))
        with self._database.read() as connection:
            known = ae_titles.was_known(connection, entry.title)
        if not known:
            self._database.write(lambda connection: ae_titles.add(connection, entry))

    def remove(self, title: str, *, by: Actor = THE_ARCHIVE) -> bool:
        """Forget; False when it was not known."""
        wanted = normalise(title)

        def act(connection: Connection) -> bool:
            known = ae_titles.remove(connection, wanted)
            if known:
                self._record(connection, by, f"AE title {escaped(wanted)} was removed", wanted)
            return known

        known = self._database.write(act)
        self._forget()
        return known

    def destination(self, title: str) -> AETitle:
        """Where a C-MOVE may send to; only configured titles. Raises UnknownDestination."""
        entry = self.get(title)
        if entry is None:
            raise UnknownDestination(
                "the move destination is not a known AE title: add it with `archive ae add`",
                command("add", escaped(normalise(title)), "HOST", "104"),
            )
        return entry

    def _record(self, connection: Connection, by: Actor, said: str, title: str) -> None:
        if self._auditing is not None:
            self._auditing.configured(connection, by, codes.NETWORK_CONFIGURATION, said, escaped(title))

    def _recent(self) -> Mapping[str, AETitle]:
        """Nobody waits here for another's question to an index that is slow to answer."""
        with self._lock:
            changes, read = self._changes, self._read
            if self._clock() - self._read_at < FRESH_SECONDS:
                return read
        asked_at = self._clock()
        read = {entry.title: entry for entry in self.all()}
        with self._lock:
            if changes == self._changes:
                self._read, self._read_at = read, asked_at
        return read

    def _forget(self) -> None:
        with self._lock:
            self._changes += 1
            self._read_at = float("-inf")


def _said(before: AETitle | None, entry: AETitle) -> str:
    """What is told of a change. Of rules, which of them: one may be a secret."""
    place = f"AE title {escaped(entry.title)} at {escaped(entry.host)}:{entry.port}"
    rules = before.rules if before is not None else DEFAULT_RULES
    changed = [
        one.name for one in fields(Rules) if getattr(rules, one.name) != getattr(entry.rules, one.name)
    ]
    names = f"; other rules: {', '.join(changed)}" if changed else ""
    seen = f"; sees {_seen(entry.rules)}; before: {_seen(rules)}" if "see" in changed else ""
    return f"{place} {'was made known' if before is None else 'was changed'}{names}{seen}"


def _seen(rules: Rules) -> str:
    return " OR ".join(f"[{one}]" for one in rules.see) or "all studies"
