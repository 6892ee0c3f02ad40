"""Searching, while receivers take their time."""

from __future__ import annotations

from contextlib import ExitStack, closing

import pytest

from archive.bootstrap import Archive
from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level, Source
from archive.dicom.query import Key, Query, Range
from objects import encoded, secondary_capture

EXPLICIT = "1.2.840.10008.1.2.1"
MORE_THAN_ALL_CONNECTIONS = 70


def store(archive: Archive, **keywords: str) -> None:
    data_set = secondary_capture(**keywords)
    source = Source("DIMSE")
    with archive.ingest.data_set(
        EXPLICIT, data_set.SOPClassUID, data_set.SOPInstanceUID, source
    ) as reception:
        reception.write(encoded(data_set, EXPLICIT))
        reception.finish()


def test_slow_receivers_keep_no_connection_from_those_who_store(archive: Archive) -> None:
    store(archive, PatientID="1")
    store(archive, PatientID="2")
    with ExitStack() as slow:
        found = [
            slow.enter_context(closing(archive.search.find(Query(Level.IMAGE)).matches))
            for _ in range(MORE_THAN_ALL_CONNECTIONS)
        ]
        assert all(next(matches) for matches in found)
        assert archive.database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        store(archive, PatientID="3")
        assert [len(list(matches)) for matches in found] == [1] * MORE_THAN_ALL_CONNECTIONS


def test_answers_come_in_one_order_however_they_are_read(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        store(archive, StudyDate=f"2024010{number + 1}")
    query = Query(Level.STUDY, limit=5, offset=1)
    whole = list(archive.search.find(query).matches)
    monkeypatch.setattr("archive.index.matching.BATCH", 2)
    assert list(archive.search.find(query).matches) == whole
    dates = [match["00080020"]["Value"][0] for match in whole]
    assert dates == ["20240106", "20240105", "20240104", "20240103", "20240102"]


def test_a_query_that_cannot_be_asked_is_told_before_the_first_match(archive: Archive) -> None:
    with pytest.raises(InvalidQuery):
        archive.search.find(Query(Level.STUDY, (Key((0x00100020,), Range("1", "2")),)))
