"""Kinds of matching by VR and value (PS3.4 C.2.2.2)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.errors import InvalidQuery
from archive.dicom.matching.key_matching import matching
from archive.dicom.query import Matching, Range, SingleValue, UIDList, Universal, Wildcard


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("PN", (), Universal()),
        ("PN", ("",), Universal()),
        ("PN", ("***",), Universal()),
        ("LO", ("a*b?",), Wildcard("a*b?")),
        ("LO", ("a-b",), SingleValue("a-b")),
        ("UI", ("1.2",), UIDList(("1.2",))),
        ("UI", ("1.2", "", "1.3"), UIDList(("1.2", "1.3"))),
        ("UI", ("*",), Universal()),
        ("CS", ("CT", "MR"), UIDList(("CT", "MR"))),
        ("DA", ("20240229",), SingleValue("20240229")),
        ("DA", ("2024.02.29",), SingleValue("2024.02.29")),
        ("DA", ("20240101-",), Range("20240101", "")),
        ("DA", ("-20240101",), Range("", "20240101")),
        ("DA", ("20240101 - 20240102",), Range("20240101", "20240102")),
        ("TM", ("10-1130",), Range("10", "1130")),
        ("TM", ("10:15:30.5",), SingleValue("10:15:30.5")),
        ("DT", ("2024-0500",), SingleValue("2024-0500")),
        ("DT", ("20240101120000+0100-20240102",), Range("20240101120000+0100", "20240102")),
        ("IS", ("7",), SingleValue("7")),
    ],
)
def test_kinds(vr: str, values: tuple[str, ...], expected: Matching) -> None:
    assert matching(vr, values) == expected


@pytest.mark.parametrize(
    ("vr", "value"),
    [("DA", "2024"), ("DA", "20240230"), ("DA", "-"), ("DA", "2024*"), ("DA", "1-2-3"), ("DA", "２０２４０１０１"),
     ("TM", "25"),
     ("TM", "1"), ("TM", "10-11-12"), ("LO", "a\nb"), ("PN", "a\x1bb"), ("DT", "x")],
)  # fmt: skip
def test_what_cannot_be_matched(vr: str, value: str) -> None:
    with pytest.raises(InvalidQuery):
        matching(vr, (value,))


def test_several_values_only_where_a_list_is_allowed() -> None:
    with pytest.raises(InvalidQuery):
        matching("LO", ("a", "b"))


def test_no_wildcard_in_a_list() -> None:
    """Taken literally, it would match nothing, and the answer would lack what was asked for without a word."""
    with pytest.raises(InvalidQuery):
        matching("CS", ("CT", "M*"))


@given(st.sampled_from(["DA", "TM", "DT", "PN", "UI", "CS", "IS"]), st.text(max_size=80))
def test_any_text_is_a_kind_of_matching_or_refused(vr: str, text: str) -> None:
    with contextlib.suppress(InvalidQuery):
        matching(vr, (text,))
