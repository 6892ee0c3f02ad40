"""Whatever is stored and whatever is typed: the newest of what matches are those that a plain scan finds, in order, on
both engines and by each way that there is."""

from __future__ import annotations

from datetime import date
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Instance, Level
from archive.dicom.query import AsGiven, Key, Query, SingleValue
from archive.index import newest
from archive.index.database import Connection, Database
from archive.index.schema import study
from archive.security.views import Grant, View
from archive.services.search import Search
from archive.web.console import asking
from instances_made import instance
from matches import fill, keys, values
from naive import matches

TODAY = date(2026, 11, 23)
NAMES = st.sampled_from(
    ["Doe^Jane", "Doe^John", "doe^ann", "Anders^Jo", "Ånders^Dan", "", "US^A1", "Roe^J=山田^花子", "A%^_[x]"]
)
DAYS = st.sampled_from(["20261123", "20261122", "20260101", "19700101", ""])
TIMES = st.sampled_from(["", "10", "103015", "235959.5"])
CODES = st.sampled_from(["CT", "MR", "US", "SR", ""])
TYPED = (
    *("d", "do", "doe", "an", "a", "ann", "jo", "oe", "e", "n", "x", "Doe^J", "山田", "[x]", "_", "%"),
    *("us", "ct", "mr", "xray", "A1", "a1", "p1", "p1*", "B2*", "2026-11-22", "19700101"),
    *("today", "this week", "this year"),
)
WORDS = st.sampled_from(TYPED)
VIEWS = st.sampled_from(
    [None, View.of([Grant(modality=("CT", "SR"))]), View.of([Grant(patient=("P1", "A1"))])]
)


@st.composite
def archives(draw: st.DrawFn) -> list[Instance]:
    made = []
    for number in range(draw(st.integers(1, 7))):
        said: dict[str, Any] = {
            "PatientID": draw(st.sampled_from(["P1", "A1", "p12"])),
            "PatientName": draw(st.one_of(NAMES, st.tuples(NAMES, NAMES))),
            "PatientBirthDate": draw(DAYS),
            "StudyDate": draw(DAYS),
            "StudyTime": draw(TIMES),
            "AccessionNumber": draw(st.sampled_from(["A1", "B2"])),
        }
        for each in range(draw(st.integers(1, 2))):
            uids = (f"1.2.{number}", f"1.2.{number}.{each}", f"1.2.{number}.{each}.1")
            made.append(instance(*uids, **said, Modality=draw(CODES)))
    return made


FILTERS = st.builds(
    asking.Filters, st.sampled_from(["", "20260101"]), st.sampled_from(["", "20261122"]), CODES
)
TEXTS = st.lists(WORDS, max_size=3).map(" ".join)


def is_shown(view: View | None, one: Instance, archive: list[Instance]) -> bool:
    if view is None:
        return True
    [[grant]] = view.sets
    if grant.patient:
        return one.attributes[0x00100020].values[0] in grant.patient
    same = (other for other in archive if other.StudyInstanceUID == one.StudyInstanceUID)
    return any(other.attributes[0x00080060].values[0] in grant.modality for other in same)


def in_order(connection: Connection) -> dict[int, str]:
    """All studies by their keys, the newest first, without SQL that sorts."""
    rows = list(
        connection.execute(
            sa.select(study.c.id, study.c.StudyInstanceUID, study.c.StudyDate, study.c.StudyTime)
        )
    )
    rows.sort(key=lambda row: row.id)
    rows.sort(key=lambda row: (row.StudyDate, row.StudyTime), reverse=True)
    return {row.id: row.StudyInstanceUID for row in rows}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    archive=archives(),
    text=TEXTS,
    filters=FILTERS,
    view=VIEWS,
    number=st.integers(1, 8),
    way=st.integers(0, 3),
)
def test_the_newest_are_those_of_a_plain_scan(
    reused: Database,
    archive: list[Instance],
    text: str,
    filters: asking.Filters,
    view: View | None,
    number: int,
    way: int,
) -> None:
    reused.write(lambda connection: fill(connection, archive))
    queries = [Query(Level.STUDY, asked) for asked in asking.questions(text, filters, TODAY)]
    wanted = {uid for query in queries for uid in matches(archive, query)}
    wanted -= {one.StudyInstanceUID for one in archive if not is_shown(view, one, archive)}
    note([query.keys for query in queries])
    with reused.read() as connection, patch.object(newest, "shortest", lambda ways: ways[way:] + ways[:way]):
        found = newest.keys(connection, queries, number, view)
        known = in_order(connection)
    assert [known[key] for key in found] == [uid for uid in known.values() if uid in wanted][:number]


def filled(database: Database, number: int) -> None:
    made = [
        instance(
            PatientID=str(each),
            PatientName=f"{'Doe' if each % 2 else 'Roe'}^{'Ann' if each % 3 else 'Jo'}",
            StudyDate=f"2026{each % 12 + 1:02}{each % 28 + 1:02}",
            Modality="CT" if each % 5 else "MR",
        )
        for each in range(number)
    ]
    database.write(lambda connection: fill(connection, made))


@pytest.mark.parametrize("text", ["doe", "d", "mr", "doe mr", "o n", "ann", "us doe", "1*", "4*"])
def test_what_was_misjudged_is_found_by_another_way(
    database: Database, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """However wrong the guesses: with none to spare, walks end too early, and too few are asked again."""
    filled(database, 90)
    queries = [Query(Level.STUDY, asked) for asked in asking.questions(text, asking.Filters(), TODAY)]
    right = [values(one, "StudyInstanceUID") for one in Search(database).newest(queries, 90)]
    assert bool(right) is (text != "us doe")
    for name, value in (("SPARE", -50), ("SAMPLE", 2), ("RARE", 0.5), ("MOST_COUNTED", 3)):
        monkeypatch.setattr(newest, name, value)
        for offset in (0, 7, 40):
            page = Search(database).newest(queries, 10, offset)
            assert [values(one, "StudyInstanceUID") for one in page] == right[offset : offset + 10]


def test_what_the_index_cannot_tell_is_refused(database: Database) -> None:
    beyond = Query(Level.STUDY, (Key((0x00091001,), AsGiven(("1",))),))
    for query in (beyond, Query(Level.SERIES, keys(Modality=SingleValue("CT")))):
        with pytest.raises(InvalidQuery):
            Search(database).newest([query], 10)
    assert Search(database).newest([], 10) == []
