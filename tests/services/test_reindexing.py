"""`archive reindex` (reliability.md 1.5, "rebuild"): the index made again answers every query as the one before did, on
both engines, also of duplicates that are kept aside, replaced versions, corrections, rejections and deletions."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from archive.bootstrap.building import Archive
from archive.index.schema import instance, instance_detail
from corrected import opened_archive
from held import settle_down
from reindexed import (
    closed,
    everything,
    fill_with_all_sorts,
    fill_with_conflicts,
    fill_with_replaced,
    reindexed,
    settle_notes,
    without_index,
)
from suites.postgresql import Server


def facts(archive: Archive) -> list[tuple[object, ...]]:
    """What only the index knows of each object."""
    with archive.database.read() as connection:
        columns = ("stored_at", "received_sha256")
        told = (*(instance.c[name] for name in columns), instance_detail.c.door, instance_detail.c.address)
        found = sa.select(instance.c.SOPInstanceUID, *told).join(instance_detail)
        return sorted(tuple(row) for row in connection.execute(found))


FILLS = {
    "all sorts": ("reject", fill_with_all_sorts),
    "conflicts": ("conflict", fill_with_conflicts),
    "replaced": ("replace", fill_with_replaced),
}


def drop_index(request: pytest.FixtureRequest, archive: Archive) -> None:
    """The index is lost: the file, or all tables."""
    if not archive.settings.index.url:
        without_index(archive.settings.data)
        return
    server: Server = request.getfixturevalue("postgresql")
    name = archive.settings.index.url.rpartition("/")[2]
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")


@pytest.mark.parametrize("settled", [False, True], ids=["at once", "in the end"])
@pytest.mark.parametrize("fill", FILLS)
def test_a_dropped_index_is_made_again_from_the_files(
    request: pytest.FixtureRequest, tmp_path: Path, index_url: str, fill: str, settled: bool
) -> None:
    policy, filling = FILLS[fill]
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": policy}) as archive:
        filling(archive)
        (settle_down if settled else settle_notes)(archive)
        before = everything(archive)
        with closed(archive) as settings:
            drop_index(request, archive)
            report = reindexed(settings)
    assert report.lost == ["*"]
    assert not report.in_doubt
    if settled:
        assert not report.number_aside
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": policy}) as archive:
        assert everything(archive) == before
        settle_down(archive)
        assert everything(archive) == before


@pytest.mark.parametrize("fill", FILLS)
def test_an_index_that_can_be_read_is_made_again_and_loses_nothing(
    tmp_path: Path, index_url: str, fill: str
) -> None:
    """What only the index knows is taken over: who sent an object, by which digest it is known, AE titles, jobs."""
    policy, filling = FILLS[fill]
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": policy}) as archive:
        filling(archive)
        archive.ae_titles.add("SCANNER", "192.0.2.1", 104)
        before, sent = everything(archive), facts(archive)
        with closed(archive) as settings:
            report = reindexed(settings)
    assert report.is_whole, report
    assert report.former
    with opened_archive(tmp_path, index_url, **{"dimse.duplicates": policy}) as archive:
        assert everything(archive) == before
        assert facts(archive) == sent
        assert "SCANNER" in {entry.title for entry in archive.ae_titles.all()}
        settle_down(archive)
        assert everything(archive) == before
