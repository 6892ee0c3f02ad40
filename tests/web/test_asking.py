"""What the words in the search box mean."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.query import Key, Range, SingleValue, UIDList, Wildcard
from archive.web.console import asking
from archive.web.console.asking import (
    BIRTH_DATE,
    MODALITIES,
    PATIENT_NAME,
    STUDY,
    STUDY_DATE,
    Filters,
    questions,
)

TODAY = date(2026, 11, 25)  # a Wednesday
NAME = (PATIENT_NAME,)


def asked(text: str, filters: Filters = Filters()) -> list[dict[int, object]]:  # noqa: B008
    return [{key.path[0]: key.matching for key in keys} for keys in questions(text, filters, TODAY)]


def test_nothing_asks_for_everything() -> None:
    assert asked("") == asked("  ") == asked("^,") == [{}]


@pytest.mark.parametrize("text", ["doe john", "doe^john", "doe, john", "  doe   john ", "doe^john^^"])
def test_a_name_of_two_words_in_both_orders(text: str) -> None:
    assert asked(text) == [{PATIENT_NAME: Wildcard("*doe*john*")}, {PATIENT_NAME: Wildcard("*john*doe*")}]


def test_more_words_and_fewer_letters() -> None:
    [keys] = questions("anna van berg", Filters(), TODAY)
    assert [key.matching for key in keys] == [Wildcard("*anna*"), Wildcard("*van*"), Wildcard("*berg*")]
    assert asked("d")[0] == {PATIENT_NAME: Wildcard("d*")}
    assert asked("do")[:2] == [{PATIENT_NAME: Wildcard("do*")}, {PATIENT_NAME: Wildcard("*^do*")}]


def test_names_that_are_matched_by_their_words() -> None:
    assert asked("山田 太郎") == [{PATIENT_NAME: SingleValue("山田 太郎")}]
    found = questions("doe john", Filters(), TODAY, similar=True)
    assert found == [(Key(NAME, SingleValue("doe john")),)]


def test_a_lone_word_may_be_an_id() -> None:
    found = asked("phantom")
    assert found[0] == {PATIENT_NAME: Wildcard("*phantom*")}
    assert {asking.PATIENT_ID: UIDList(("phantom", "PHANTOM"))} in found
    assert {asking.ACCESSION_NUMBER: UIDList(("phantom", "PHANTOM"))} in found
    assert {asking.PATIENT_ID: Wildcard("PHANTOM12*")} in asked("phantom12")


def test_patterns_of_names() -> None:
    assert {PATIENT_NAME: Wildcard("*d?e*john**")} in asked("d?e john*")


@pytest.mark.parametrize("text", ["2026-11-23", "23.11.2026", "23/11/2026", "11/23/2026"])
def test_a_day_is_of_the_study_or_of_birth(text: str) -> None:
    assert asked(text) == [
        {STUDY_DATE: SingleValue("20261123")},
        {BIRTH_DATE: SingleValue("20261123")},
    ]


def test_eight_digits_may_be_an_id() -> None:
    found = asked("20261123")
    assert {STUDY_DATE: SingleValue("20261123")} in found
    assert {asking.PATIENT_ID: Wildcard("20261123*")} in found


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("today", "20261125", "20261125"),
        ("Yesterday", "20261124", "20261124"),
        ("this week", "20261123", "20261129"),
        ("last  week", "20261116", "20261122"),
        ("this month", "20261101", "20261130"),
        ("last month", "20261001", "20261031"),
        ("this year", "20260101", "20261231"),
    ],
)
def test_spans(text: str, first: str, last: str) -> None:
    assert asked(text) == [{STUDY_DATE: Range(first, last)}]


def test_modalities() -> None:
    assert (
        asked("ct doe")
        == asked("doe CT")
        == [{PATIENT_NAME: Wildcard("*doe*"), MODALITIES: UIDList(("CT",))}]
    )
    assert asked("mri") == [{MODALITIES: UIDList(("MR",))}]
    assert {PATIENT_NAME: Wildcard("*doe*ct*")} in asked("doe^ct")


def test_a_uid() -> None:
    assert asked("1.2.840.99")[0] == {STUDY: UIDList(("1.2.840.99",))}


def test_filters_narrow_what_is_typed() -> None:
    filters = Filters("20261101", "20261130", "CT")
    assert asked("", filters) == [{STUDY_DATE: Range("20261101", "20261130"), MODALITIES: UIDList(("CT",))}]
    assert asked("this week", Filters("20261124")) == [{STUDY_DATE: Range("20261124", "20261129")}]
    assert asked("2026-12-24", Filters("20261101", "20261130")) == [
        {STUDY_DATE: Range("20261101", "20261130"), BIRTH_DATE: SingleValue("20261224")}
    ]
    assert asked("mr", filters) == []


def test_an_id_and_an_accession_number() -> None:
    found = asked("A17 Z9")
    both = {asking.PATIENT_ID: UIDList(("A17", "a17")), asking.ACCESSION_NUMBER: UIDList(("Z9", "z9"))}
    assert both in found
    assert len(found) <= asking.MOST_QUESTIONS


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_few_questions(text: str) -> None:
    assert len(questions(text, Filters(), TODAY)) <= asking.MOST_QUESTIONS
    for keys in questions(text, Filters(), TODAY):
        assert len(set(keys)) == len(keys)


@given(st.text(alphabet="0123456789.-/aA ^", max_size=300))
def test_digits_and_signs(text: str) -> None:
    questions(text, Filters(), TODAY)
