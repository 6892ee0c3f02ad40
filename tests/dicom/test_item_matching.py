"""Keys against data sets in the DICOM JSON Model: sequences, private blocks, VRs (Q5, Q6; PS3.4 C.2.2.2)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.matching.item_matching import DataSetTest
from archive.dicom.matching.projection import shown, wanted
from archive.dicom.query import (
    AsGiven,
    Empty,
    Key,
    Matching,
    Path,
    Query,
    Range,
    SingleValue,
    UIDList,
    Wildcard,
)

ITEMS = [
    {"00100020": {"vr": "LO", "Value": ["a"]}, "00100021": {"vr": "LO"}},
    {"00100020": {"vr": "LO", "Value": ["b"]}},
    None,
]
DATA_SET: dict[str, Any] = {
    "00080201": {"vr": "SH", "Value": ["+0100"]},
    "00080022": {"vr": "DA", "Value": ["20240101"]},
    "00080032": {"vr": "TM", "Value": ["0030"]},
    "0008002A": {"vr": "DT", "Value": ["20240101003000"]},
    "00181078": {"vr": "DT", "Value": ["20240101003000+0200"]},
    "00081010": {"vr": "SH", "Value": [None, "CT 1"]},
    "00101002": {"vr": "SQ", "Value": ITEMS},
    "00180060": {"vr": "DS", "Value": [120, "1e1"]},
    "00230011": {"vr": "LO", "Value": ["Acme"]},
    "00231101": {"vr": "UN", "InlineBinary": "MDAxMjM5"},
    "00231102": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
    "00280009": {"vr": "AT", "Value": ["00181063"]},
    "00400555": {"vr": "SQ"},
    "0040A123": {"vr": "PN", "Value": [{"Alphabetic": "Müller^A", "Phonetic": "ミュラー"}]},
    "00420011": {"vr": "OB", "BulkDataURI": "bulkdata/00420011"},
    "30060084": {"vr": "IS", "Value": ["NaN"]},
}  # fmt: skip
ACME = (((0x00230010,), "Acme"),)

CASES: list[tuple[Path, Matching, bool]] = [
    ((0x00081010,), SingleValue("CT 1"), True),
    ((0x00081010,), SingleValue("ct 1"), False),
    ((0x00081010,), Wildcard("CT?1"), True),
    ((0x00081010,), UIDList(("x", "CT 1")), True),
    ((0x00180060,), SingleValue("120.0"), True),
    ((0x00180060,), SingleValue("10"), True),
    ((0x00180060,), SingleValue("12"), False),
    ((0x30060084,), SingleValue("1"), False),
    ((0x00101002, 0x00100020), SingleValue("b"), True),
    ((0x00101002, 0x00100021), Empty(), True),
    ((0x00101002,), Empty(), False),
    ((0x00400555,), Empty(), True),
    ((0x00420011,), Empty(), False),
    ((0x00105555,), Empty(), True),
    ((0x00105555,), SingleValue("x"), False),
    ((0x00231001,), AsGiven(("001239",)), True),
    ((0x00231001,), AsGiven(("0012*",)), True),
    ((0x00231001,), AsGiven(("1239",)), False),
    ((0x00231002,), AsGiven(("doe^jane",)), True),
    ((0x00231003,), AsGiven(("x",)), False),
    ((0x00230010,), SingleValue("Acme"), True),
    ((0x00230010,), SingleValue("Other"), False),
    ((0x00280009,), SingleValue("00181063"), True),
    ((0x0040A123,), SingleValue("muller^a"), True),
    ((0x0040A123,), Wildcard("==ミュ*"), True),
    ((0x0040A123,), SingleValue("A=B"), False),
    ((0x00080022,), SingleValue("20231231"), True),
    ((0x00080022,), SingleValue("20240101"), False),
    ((0x00080032,), Range("2300", ""), True),
    ((0x0008002A,), Range("20231231", "2023123123"), True),
    ((0x0008002A,), SingleValue("20240101"), False),
    ((0x00181078,), Range("20231231223000+0000", "20231231223000+0000"), True),
    ((0x0008002A,), SingleValue("20231231233000+0000"), True),
    ((0x0008002A,), SingleValue("20240101131500+1345"), True),
    ((0x0008002A,), SingleValue("20240101003000+0000"), False),
    ((0x00181078,), SingleValue("20231231223000"), True),
    ((0x00181078,), SingleValue("20240101003000"), False),
]


@pytest.mark.parametrize(("path", "matching", "expected"), CASES)
def test_one_key(path: Path, matching: Matching, expected: bool) -> None:
    """The asker is in UTC, the object an hour east of it."""
    query = Query(Level.IMAGE, creators=ACME, timezone=0)
    assert DataSetTest(query, [Key(path, matching)]).passes(DATA_SET) == expected


def test_keys_of_a_sequence_match_in_one_item() -> None:
    query = Query(Level.IMAGE)
    inner = 0x00100020, 0x00100021
    for value, expected in (("a", True), ("b", True), ("c", False)):
        keys = [Key((0x00101002, inner[0]), SingleValue(value)), Key((0x00101002, inner[1]), Empty())]
        assert DataSetTest(query, keys).passes(DATA_SET) == expected
    filled = [{"00100020": {"vr": "LO", "Value": ["a"]}, "00100021": {"vr": "LO", "Value": ["X"]}}]
    assert not DataSetTest(query, keys[:1] + keys[1:]).passes({"00101002": {"vr": "SQ", "Value": filled}})


def test_a_range_of_a_text_cannot_be_asked() -> None:
    with pytest.raises(InvalidQuery):
        DataSetTest(Query(Level.IMAGE), [Key((0x00081010,), Range("a", "b"))]).passes(DATA_SET)


def test_what_is_shown() -> None:
    """Parts of items, and private attributes in the asker's block with their creator."""
    paths = [(0x00101002, 0x00100020), (0x00231002,), (0x00180060,), (0x00105555,), (0x00400555, 0x00400009)]
    assert shown(DATA_SET, wanted(paths, ACME)) == {
        "00101002": {"vr": "SQ", "Value": [{"00100020": item["00100020"]} if item else {} for item in ITEMS]},
        "00180060": DATA_SET["00180060"],
        "00230010": {"vr": "LO", "Value": ["Acme"]},
        "00231002": DATA_SET["00231102"],
        "00400555": {"vr": "SQ"},
    }


def test_hundreds_of_private_attributes_are_found_in_no_time() -> None:
    """Q5: each of them used to go through all the blocks of each data set: minutes for one page of answers."""
    blocks = {f"0009{block:04X}": {"vr": "LO", "Value": [f"C{block}"]} for block in range(0x10, 0x100)}
    data_set = blocks | {"0009FF01": {"vr": "LO", "Value": ["here"]}}
    paths = [(0x00091000 | at,) for at in range(0x100)] + [(0x000B1000 | at,) for at in range(0x100)]
    what = wanted(paths, [((0x00090010,), "C255"), ((0x000B0010,), "NONE")])
    begun = time.monotonic()
    for _ in range(400):
        assert list(shown(data_set, what)) == ["00090010", "00091001"]
    assert time.monotonic() - begun < 10
