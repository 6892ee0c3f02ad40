"""AE titles over a real index: seeds, and what is known at once and what a second later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.dicom.errors import ConfigurationError, InvalidEntry, UnknownDestination
from archive.security.rules import Rules
from archive.services.ae_titles import AETitles
from archive.settings.values import Address, AETitleSeed
from archive.settings.whole import Settings
from suites.sqlite import prepare


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def seeded(data: Path, *titles: str) -> list[str]:
    """The titles known after a start with these in the settings."""
    seeds = tuple(AETitleSeed(title, Address("192.0.2.1", 104)) for title in titles)
    settings = replace(Settings(), data=data, ae_titles=seeds)
    prepare(settings)
    archive = building.build(settings)
    known = [entry.title for entry in archive.ae_titles.all()]
    archive.close()
    return known


def test_seeds_are_for_titles_that_were_never_known(archive: Archive) -> None:
    data = archive.settings.data
    assert seeded(data, "MR1", "CT1") == ["CT1", "MR1"]
    archive.ae_titles.add("CT1", "192.0.2.77", 11112)
    assert archive.ae_titles.remove("MR1")
    assert seeded(data, "MR1", "CT1", "US1") == ["CT1", "US1"]
    kept = archive.ae_titles.get("CT1")
    assert kept is not None
    assert kept.host == "192.0.2.77"
    archive.ae_titles.add("MR1", "192.0.2.1", 104)
    assert seeded(data, "MR1", "CT1") == ["CT1", "MR1", "US1"]


def test_a_seed_that_cannot_be_is_refused(archive: Archive) -> None:
    with pytest.raises(ConfigurationError):
        archive.ae_titles.seed("TOO LONG FOR AN AE TITLE", "192.0.2.1", 104)


def test_rules_stay_until_others_are_given(archive: Archive) -> None:
    titles = archive.ae_titles
    rules = Rules(aliases=("",), maximum_associations=3)
    titles.add("CT1", "192.0.2.1", 104, rules)
    moved = titles.add("CT1", "192.0.2.2", 104)
    assert titles.get("CT1") == moved
    assert moved.rules == rules
    titles.remove("CT1")
    assert titles.add("CT1", "192.0.2.2", 104).rules == Rules()
    with pytest.raises(InvalidEntry):
        titles.add("CT1", "192.0.2.2", 104, Rules(associations=0))
    with pytest.raises(UnknownDestination):
        titles.destination("NOBODY")


def test_another_process_sees_a_change_at_once_or_within_a_second(archive: Archive) -> None:
    """By the very title at once; an alias, or an entry asked for with every request, after a second."""
    clock = Clock()
    titles, other = AETitles(archive.database, ["ARCHIVE"], clock), archive.ae_titles
    assert titles.meant("CT1") == titles.meant("") == ()
    other.add("CT1", "192.0.2.1", 104, Rules(aliases=("",)))
    assert titles.meant("") == ()
    assert titles.entry_of("CT1") is None
    assert [entry.title for entry in titles.meant("CT1")] == ["CT1"]
    clock.now += 1
    assert [entry.title for entry in titles.meant("")] == ["CT1"]
    assert titles.entry_of(" CT1 ") is not None
    other.remove("CT1")
    assert len(titles.meant("")) == 1
    assert titles.meant("CT1") == ()
    clock.now += 1
    assert titles.meant("") == ()


def test_who_is_let_in_is_not_judged_by_what_stood_there_before(archive: Archive) -> None:
    """An entry made or changed elsewhere a moment ago lets an association in; so do its requests see it."""
    titles, other = AETitles(archive.database, ["ARCHIVE"], Clock()), archive.ae_titles
    assert titles.entry_of("CT1") is None
    other.add("CT1", "192.0.2.1", 104)
    assert len(titles.meant("CT1")) == 1
    assert titles.entry_of("CT1") is not None
    other.add("CT1", "192.0.2.1", 104, Rules(operations=frozenset()))
    (entry,) = titles.meant("CT1")
    assert titles.entry_of("CT1") == entry


def test_a_change_in_this_process_is_seen_at_once(archive: Archive) -> None:
    titles = AETitles(archive.database, ["ARCHIVE"], Clock())
    assert titles.meant("") == ()
    titles.add("CT1", "192.0.2.1", 104, Rules(aliases=("",)))
    assert len(titles.meant("")) == 1
    assert titles.entry_of("CT1") is not None
    titles.remove("CT1")
    assert titles.meant("") == ()
