"""How much of the metadata an answer may hold, on both engines."""

from __future__ import annotations

import random
from typing import Any

import pytest

from archive.dicom.instance import Level
from archive.dicom.query import Match, Query
from archive.index import kept, matching
from archive.index.database import Database
from instances_made import instance, store


def find(database: Database, query: Query) -> list[Match]:
    with database.read() as connection:
        return list(matching.find(connection, query, matching.keys(connection, query)))


def of_length(length: int) -> dict[str, Any]:
    return {"vr": "LT", "Value": ["x" * length]}


def test_metadata_too_long_to_parse_is_left_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only from the metadata: what the index knows is answered whatever the object holds."""
    monkeypatch.setattr(kept, "MAXIMUM_METADATA", 5000)
    others = {"00180060": {"vr": "DS", "Value": [120]}, "00204000": of_length(4000)}
    store(database, instance(PatientID="1", others=others))
    store(database, instance(PatientID="2", others=others | {"00324000": of_length(1000)}))
    for query in (Query(Level.IMAGE, include_all=True), Query(Level.IMAGE, include=frozenset({0x00180060}))):
        one, other = find(database, query)
        assert "00180060" in one
        assert "00180060" not in other
        assert other["00100020"]["Value"] == ["2"]


def test_metadata_too_long_to_read_is_left_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAXIMUM_COMPRESSED", 500)
    noise = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9FFF), k=500)))
    store(database, instance(others={"00204000": {"vr": "LT", "Value": [noise]}}))
    [match] = find(database, Query(Level.IMAGE, include_all=True))
    assert "00204000" not in match


def test_an_attribute_too_long_for_an_answer_is_left_out(database: Database) -> None:
    """As a single value is that the metadata only links to."""
    tags = [f"0009{number:04X}" for number in range(0x1001, 0x1031)]
    others = {tag: of_length(50_000) for tag in tags} | {"00204000": of_length(70_000)}
    store(database, instance(others=others))
    [match] = find(database, Query(Level.IMAGE, include_all=True))
    assert "00204000" not in match
    assert [tag for tag in tags if tag in match] == tags[:20]
