"""Searching, while receivers take their time."""

from __future__ import annotations

from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import Any

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidQuery, TooBroad
from archive.dicom.instance import Level, Source
from archive.dicom.query import Key, Query, Range, SingleValue
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


def lent(archive: Archive) -> int:
    """Connections to the index that somebody uses."""
    connections: Any = archive.database._connections
    taken: int = connections.engine.pool.checkedout() - len(connections._idle)
    return taken


def test_slow_receivers_keep_no_connection_from_those_who_store(archive: Archive) -> None:
    store(archive, PatientID="1")
    store(archive, PatientID="2")
    with ExitStack() as slow:
        found = [
            slow.enter_context(closing(archive.search.find(Query(Level.IMAGE)).matches))
            for _ in range(MORE_THAN_ALL_CONNECTIONS)
        ]
        assert all(next(matches) for matches in found)
        assert lent(archive) == 0
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


def test_whoever_streams_hears_that_nothing_was_found_yet(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a cancel is seen while candidates are examined, however long that takes (dimse.md 1.3 row)."""
    for number in range(7):
        store(archive, PatientID=str(number), ConversionType="WSD" if number < 6 else "DI")
    monkeypatch.setattr("archive.services.search.STREAMED", 2)
    query = Query(Level.IMAGE, (Key((0x00080064,), SingleValue("DI")),))
    taken = list(archive.search.stream(query))
    assert [match is not None for match in taken].count(True) == 1
    assert taken.count(None) == 1 + 4
    assert [match for match in archive.search.stream(Query(Level.IMAGE)) if match] == list(
        archive.search.find(Query(Level.IMAGE)).matches
    )


def test_a_slow_receiver_is_no_long_examination(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        store(archive, PatientID=str(number))
    now = [1000.0]
    for module in ("archive.services.search", "archive.index.examining"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("archive.services.search.STREAMED", 1)
    found = 0
    for match in archive.search.stream(Query(Level.IMAGE, (Key((0x00080064,), SingleValue("WSD")),))):
        found += match is not None
        now[0] += 15
    assert found == 6


@pytest.mark.parametrize(("offset", "limit"), [(0, 3), (1, 2), (2, None), (5, 5), (7, 1)])
def test_a_stream_keeps_to_offset_and_limit(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, offset: int, limit: int | None
) -> None:
    for number in range(6):
        store(archive, PatientID=str(number), InstanceNumber=str(number))
    monkeypatch.setattr("archive.services.search.STREAMED", 2)
    query = Query(Level.IMAGE, (Key((0x00080064,), SingleValue("WSD")),), offset=offset, limit=limit)
    streamed = [match for match in archive.search.stream(query) if match is not None]
    assert streamed == list(archive.search.find(query).matches)


def test_what_is_too_long_to_be_examined_does_not_pass_for_no_match(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(archive, PatientID="1")
    monkeypatch.setattr("archive.index.kept.MAXIMUM_METADATA", 10)
    with pytest.raises(TooBroad, match="1 candidates not searched"):
        list(archive.search.stream(Query(Level.IMAGE, (Key((0x00080064,), SingleValue("WSD")),))))


def test_a_query_that_cannot_be_asked_is_told_before_the_first_match(archive: Archive) -> None:
    with pytest.raises(InvalidQuery):
        archive.search.find(Query(Level.STUDY, (Key((0x00100020,), Range("1", "2")),)))
