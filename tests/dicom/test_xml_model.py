"""The Native DICOM Model as others read it, and attributes by name (N9, Q5)."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.dicom.attribute_ids import attribute_path, keyword, path_name
from archive.dicom.reading.xml_model import document

NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def read(data_set: dict[str, Any]) -> dict[str, ElementTree.Element]:
    """The elements of the document by tag."""
    root = ElementTree.fromstring(document(data_set))
    assert root.tag == f"{NAMESPACE}NativeDicomModel"
    return {element.attrib["tag"]: element for element in root}


def test_values_names_sequences_and_bulk_data() -> None:
    found = read(
        {
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]},
            "00080050": {"vr": "SH"},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Ü^A&B", "Ideographic": "山田^太郎"}]},
            "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["S<1>"]}}, None]},
            "00280010": {"vr": "US", "Value": [512]},
            "00280034": {"vr": "IS", "Value": [1, 1]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://x/?a&b"},
            "00091010": {"vr": "OB", "InlineBinary": "AAE="},
            "00090010": {"vr": "LO", "Value": ["ACME 1.0"]},
        }
    )
    assert found["00080008"].attrib["keyword"] == "ImageType"
    assert [(v.attrib["number"], v.text) for v in found["00080008"]] == [("1", "ORIGINAL"), ("3", "AXIAL")]
    assert list(found["00080050"]) == []
    [name] = found["00100010"]
    assert name.find(f"{NAMESPACE}Alphabetic/{NAMESPACE}GivenName").text == "A&B"  # type: ignore[union-attr]
    assert name.find(f"{NAMESPACE}Ideographic/{NAMESPACE}FamilyName").text == "山田"  # type: ignore[union-attr]
    assert [item.attrib["number"] for item in found["00400275"]] == ["1", "2"]
    assert found["00400275"][0][0][0].text == "S<1>"
    assert found["7FE00010"][0].attrib["uri"] == "http://x/?a&b"
    assert found["00091010"].attrib["privateCreator"] == "ACME 1.0"
    assert "keyword" not in found["00091010"].attrib
    assert found["00091010"][0].text == "AAE="


@given(st.text(max_size=60))
def test_any_text_makes_a_well_formed_document(text: str) -> None:
    data_set = {
        "00081030": {"vr": "LO", "Value": [text]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]},
        "00090010": {"vr": "LO", "Value": [text]},
        "00091001": {"vr": "UR", "BulkDataURI": text},
    }
    assert set(read(data_set)) == set(data_set)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("PatientName", (0x00100010,)),
        ("0020000d", (0x0020000D,)),
        ("00400275.RequestedProcedureID", (0x00400275, 0x00401001)),
        ("00091010", (0x00091010,)),
    ],
)
def test_attributes_by_name(text: str, path: tuple[int, ...]) -> None:
    assert attribute_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", ".", "patientname", "NoSuchThing", "0010001", "0010001G", "１" * 8, "a" * 10_000, "PatientID." * 9],
)
def test_what_is_no_attribute(text: str) -> None:
    assert attribute_path(text) is None


def test_names_of_paths() -> None:
    assert keyword(0x00091010) == ""
    assert path_name((0x00400275, 0x00091010)) == "RequestAttributesSequence.00091010"
