"""Rules about how long studies are kept. Until then they are not deleted; afterwards what the rule says is done.

keep_years = 10                        and/or keep_days
counted_from = "study"                 its date, or "arrival": of its last object
modality = ["MG"]                      any of the conditions, each with one or several patterns
institution = "General*"
calling = "CT1"
then = "keep"                          or "offer": for deletion; or "delete"
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from archive.dicom.rules import tables
from archive.dicom.rules.conditions import Patterns, patterns
from archive.dicom.rules.tables import Table

DAY = 86_400.0
MOST_YEARS = 1000
LEAST_DAYS_HERE = 30
"""Nothing goes by a rule that came less than this ago, however old it is: old studies are sent, too."""
CONDITIONS = ("modality", "institution", "calling")


class Then(enum.StrEnum):
    """What becomes of a study when its time is over."""

    KEEP = "keep"
    OFFER = "offer"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules ask of a study. `StudyDate` as it is in the study; `arrived_at` when its last object came."""

    StudyInstanceUID: str
    StudyDate: str
    arrived_at: float
    modality: tuple[str, ...]
    institution: tuple[str, ...]
    calling: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One rule. Years are those of the calendar."""

    keep_years: int
    keep_days: int
    from_arrival: bool
    then: Then
    conditions: tuple[tuple[str, Patterns], ...]

    def fits(self, facts: Facts) -> bool:
        """Whether the rule is for this study: every condition has to hold for one of its values."""
        return all(wanted.fit_one_of(getattr(facts, name)) for name, wanted in self.conditions)

    def ends_at(self, facts: Facts) -> float:
        """Until when it has to be kept. A study without a date, or with one to come, is counted from its arrival."""
        arrived = datetime.fromtimestamp(facts.arrived_at, UTC).date()
        begins = arrived if self.from_arrival else min(_date(facts.StudyDate) or arrived, arrived)
        return _moment(_later(begins, self.keep_years), self.keep_days)


def retention_rule(table: Table) -> RetentionRule:
    """Raises ValueError."""
    tables.check_keys(table, ("keep_years", "keep_days", "counted_from", "then", *CONDITIONS))
    years, days = _number(table, "keep_years"), _number(table, "keep_days")
    if not (years or days):
        raise ValueError("keep_years or keep_days must say how long")
    counted = tables.text(table.get("counted_from", "study"), "counted_from")
    then = tables.text(table.get("then", "keep"), "then")
    if counted not in ("study", "arrival"):
        raise ValueError("counted_from must be study or arrival")
    if then not in list(Then):
        raise ValueError(f"then must be one of {', '.join(Then)}")
    found = tuple((name, patterns(table[name], name)) for name in CONDITIONS if name in table)
    return RetentionRule(years, days, counted == "arrival", Then(then), found)


def rule_for(rules: Sequence[RetentionRule], facts: Facts) -> RetentionRule | None:
    """The first that fits; None for a study that may go at any time."""
    return next((rule for rule in rules if rule.fits(facts)), None)


def is_due(rule: RetentionRule, facts: Facts, now: float) -> bool:
    """Whether its time is over, and it has been here for a while."""
    return now >= max(rule.ends_at(facts), facts.arrived_at + LEAST_DAYS_HERE * DAY)


def shortest(rules: Iterable[RetentionRule], now: float) -> str:
    """The last StudyDate of which anything can be due by these, as a DA."""
    days = min((rule.keep_years * 365 + rule.keep_days for rule in rules), default=0)
    try:
        return (datetime.fromtimestamp(now, UTC).date() - timedelta(days)).strftime("%Y%m%d")
    except (OverflowError, ValueError):
        return ""


def _number(table: Table, name: str) -> int:
    value = table.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_YEARS * 366:
        raise ValueError(f"{name} must be a whole number")
    if name == "keep_years" and value > MOST_YEARS:
        raise ValueError(f"keep_years must be at most {MOST_YEARS}")
    return value


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _later(begins: date, years: int) -> date:
    if begins.year + years > date.max.year:
        return date.max
    try:
        return begins.replace(year=begins.year + years)
    except ValueError:  # the 29th of February
        return date(begins.year + years, 3, 1)


def _moment(day: date, days: int) -> float:
    try:
        day += timedelta(days)
    except OverflowError:
        day = date.max
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
