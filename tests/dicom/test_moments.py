"""Limits of dates and times, and what a DT may mean (PS3.4 C.2.2.2.5, PS3.5 6.2)."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import InvalidQuery
from archive.dicom.matching.moments import Between, Clock, Days, date_time_span, holds, limits, utc_offset
from archive.dicom.query import Matching, Range, SingleValue, Wildcard


def asked(date: Matching | None, time: Matching | None, shift: int = 0) -> list[object]:
    return list(limits(date, time, shift, combined=True))


def test_the_standards_own_example() -> None:
    """20060705-20060707 and 1000-1800 is one range of moments."""
    [limit] = asked(Range("20060705", "20060707"), Range("1000", "1800"))
    assert isinstance(limit, Between)
    assert holds(limit, "20060706", "030000.000000")
    assert holds(limit, "20060706", "")
    assert not holds(limit, "20060705", "095959.999999")
    assert not holds(limit, "20060707", "180100.000000")
    assert not holds(limit, "20060705", "")


def test_different_forms_are_not_combined() -> None:
    for date, time in (
        (Range("20060705", ""), Range("", "1800")),
        (SingleValue("20060705"), Range("1000", "")),
    ):
        assert [type(limit) for limit in asked(date, time)] == [Days, Clock]


def test_a_day_in_another_zone_is_two_halves() -> None:
    [limit] = asked(SingleValue("20240101"), None, -60)
    assert holds(limit, "20231231", "233000.000000")
    assert not holds(limit, "20240101", "233000.000000")
    assert holds(limit, "20240101", "")


def test_a_time_of_day_may_go_over_midnight_in_another_zone() -> None:
    [limit] = asked(None, Range("2200", "2359"), 180)
    assert holds(limit, "", "013000.000000")
    assert not holds(limit, "", "223000.000000")
    [limit] = asked(None, Range("2200", "0200"))
    assert not any(holds(limit, "", f"{hour:02}0000.000000") for hour in range(24))


@pytest.mark.parametrize("value", ["00010101", "99991231"])
def test_the_ends_of_the_calendar(value: str) -> None:
    for shift in (-720, 840):
        assert len(asked(SingleValue(value), None, shift)) == 1


@pytest.mark.parametrize("matching", [SingleValue("noon"), Range("", ""), Wildcard("2*")])
def test_what_is_no_date(matching: Matching) -> None:
    with pytest.raises(InvalidQuery):
        asked(matching, None)


def test_offsets() -> None:
    known = {
        "+0000": 0,
        "+0545": 345,
        "-1200": -720,
        "+1400": 840,
        "+1401": None,
        "-1201": None,
        "0100": None,
    }
    assert {text: utc_offset(text) for text in known} == known


def test_spans_of_limited_precision() -> None:
    last = datetime.max.replace
    expected = {
        "2024": (datetime(2024, 1, 1), last(year=2024), None),
        "202402": (datetime(2024, 2, 1), datetime(2024, 2, 29, 23, 59, 59, 999999), None),
        "20240229103015.5": (
            datetime(2024, 2, 29, 10, 30, 15, 500000),
            datetime(2024, 2, 29, 10, 30, 15, 599999),
            None,
        ),
        "2024010110-0500": (datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 10, 59, 59, 999999), -300),
    }
    assert {text: date_time_span(text) for text in expected} == expected
    assert date_time_span("20240230") is None


@given(st.text("0123456789.+-", max_size=26))
def test_any_text_is_a_span_or_none(text: str) -> None:
    span = date_time_span(text)
    assert span is None or span[0] <= span[1]
