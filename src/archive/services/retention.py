"""How long studies are kept: what may not be deleted yet, and what is due by the rules of the settings.

The first rule that fits a study counts. Until its time is over nobody deletes of it, unless who asks says so expressly
and gives a reason; afterwards the rule keeps it, offers it, or has it deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from archive.dicom.errors import Retained
from archive.dicom.rules.retention import Facts, RetentionRule, Then, is_due, rule_for, shortest
from archive.index import holds, retention
from archive.index.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Due:
    """A study whose time is over, by which rule (counted from 1), and what is to become of it; `held` by that hold."""

    StudyInstanceUID: str
    rule: int
    then: Then
    since: float
    held: int = 0


class Retention:
    """The rules."""

    def __init__(self, rules: Sequence[RetentionRule]) -> None:
        self._rules = tuple(rules)

    def check(self, connection: Connection, study_uids: Sequence[str], now: float) -> None:
        """Raises Retained when something of these studies has to be kept for longer."""
        if not self._rules:
            return
        for facts in retention.facts(connection, study_uids):
            rule = rule_for(self._rules, facts)
            if rule is not None and now < rule.ends_at(facts):
                until = datetime.fromtimestamp(rule.ends_at(facts), UTC).date()
                raise Retained(
                    f"it has to be kept until {until} by a rule of retention: who may delete it all the same says so "
                    "expressly, with a reason (archive delete --override, or override in /api/deletions)"
                )

    def due(self, database: Database, now: float) -> Iterator[Due]:
        """Studies whose time is over, by rules that offer or delete. Raises OutOfResources."""
        acting = [rule for rule in self._rules if rule.then is not Then.KEEP]
        after, last = 0, shortest(acting, now)
        today = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")
        while acting:
            with database.read() as connection:
                some = retention.candidates(connection, last, today, after)
                found = [
                    one
                    for facts in retention.facts(connection, [uid for _, uid in some])
                    if (one := self._due(connection, facts, now)) is not None
                ]
            yield from found
            if not some:
                return
            after = some[-1][0]

    def is_due(self, connection: Connection, study_uid: str, now: float) -> bool:
        """Whether a study is to be deleted by now, and by rule."""
        return any(
            (one := self._due(connection, facts, now)) is not None and one.then is Then.DELETE
            for facts in retention.facts(connection, (study_uid,))
        )

    def _due(self, connection: Connection, facts: Facts, now: float) -> Due | None:
        rule = rule_for(self._rules, facts)
        if rule is None or rule.then is Then.KEEP or not is_due(rule, facts, now):
            return None
        uid = facts.StudyInstanceUID
        held = holds.held(connection, (uid,)).get(uid, 0)
        return Due(uid, self._rules.index(rule) + 1, rule.then, rule.ends_at(facts), held)
