"""AE titles over a real index: seeds, and what a flood of strangers may cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from archive import bootstrap
from archive.bootstrap import Archive
from archive.dicom.errors import CallerRefused, ConfigurationError
from archive.services.ae_titles import REFUSALS_PER_SECOND, AETitles
from archive.settings import Address, AETitleSeed, Settings


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def seeded(data: Path, *titles: str) -> list[str]:
    """The titles known after a start with these in the settings."""
    seeds = tuple(AETitleSeed(title, Address("192.0.2.1", 104)) for title in titles)
    settings = replace(Settings(), data=data, ae_titles=seeds)
    bootstrap.prepare(settings)
    archive = bootstrap.build(settings)
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


def refuse(titles: AETitles, calling: str) -> None:
    with pytest.raises(CallerRefused):
        titles.admit(calling, titles.own_title, "192.0.2.9")


def counted(titles: AETitles) -> dict[str, int]:
    return {one.calling: one.times for one in titles.refusals(1000)}


def test_the_same_refusal_is_written_once_a_second_and_counted(archive: Archive) -> None:
    clock = Clock()
    titles = AETitles(archive.database, "ARCHIVE", clock)
    for _ in range(50):
        refuse(titles, "STRANGER")
    assert counted(titles) == {"STRANGER": 1}
    clock.now += 1
    refuse(titles, "STRANGER")
    assert counted(titles) == {"STRANGER": 51}


def test_a_flood_of_different_refusals_is_not_all_written(archive: Archive) -> None:
    clock, commits = Clock(), []
    titles = AETitles(archive.database, "ARCHIVE", clock)
    engine = archive.database._writer._engine  # type: ignore[attr-defined]
    sa.event.listen(engine, "commit", lambda _: commits.append(1))
    for second in range(3):
        for number in range(100):
            refuse(titles, f"S{second}-{number}")
        clock.now += 1
    assert len(commits) == len(counted(titles)) == 3 * REFUSALS_PER_SECOND
