"""Reports as text for people, the hostile ones above all: R4."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from archive.dicom.rendering.report_text import WRITERS
from archive.dicom.rendering.structured_report import DEEPEST, MOST_ITEMS, is_report, report
from rendered_objects import code, content, item
from rendered_objects import report as an_object

ATTACKS = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'; alert(1); '",
    "</section></body><script src=//evil></script>",
    "javascript:alert(1)",
    "<!--", "]]>", "<![CDATA[", "&lt;script&gt;", "&#x3c;script>", "\u2028<svg/onload=alert(1)>",
    "<?xml-stylesheet href='x'?>", "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>&a;",
    "a\x00b\x1bc\x7f\x85\ufffe\U0001f600", "</title><script>", "--></style><script>",
]  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")


HARMLESS = {"html", "head", "meta", "title", "style", "body", "dl", "dt", "dd", "section", "p", "b"} | {
    f"h{level}" for level in range(1, 7)
}


def metadata_of(data_set: Dataset) -> dict[str, Any]:
    return json.loads(data_set.to_json(suppress_invalid_tags=True))


def written(metadata: dict[str, Any], media_type: str) -> str:
    return "".join(WRITERS[media_type](report(metadata)))


def page(metadata: dict[str, Any]) -> Page:
    parsed = Page()
    parsed.feed(written(metadata, "text/html"))
    parsed.close()
    return parsed


def everywhere(attack: str) -> dict[str, Any]:
    """A report with these words in every place that is shown, straight in its JSON, past pydicom's checks."""

    def string(vr: str) -> dict[str, Any]:
        return {"vr": vr, "Value": [attack]}

    coded = {
        "vr": "SQ",
        "Value": [{"00080104": string("LO"), "00080100": string("SH"), "00080102": string("SH")}],
    }
    name = {"vr": "PN", "Value": [{"Alphabetic": attack, "Ideographic": attack, "Phonetic": attack}]}
    reference = {"00081150": string("UI"), "00081155": string("UI")}
    unit = {"0040A30A": string("DS"), "004008EA": coded}
    said = {
        "TEXT": {"0040A160": string("UT")}, "CODE": {"0040A168": coded}, "PNAME": {"0040A123": name},
        "NUM": {"0040A300": {"vr": "SQ", "Value": [unit]}}, "DATE": {"0040A121": string("DA")},
        "TIME": {"0040A122": string("TM")}, "DATETIME": {"0040A120": string("DT")},
        "UIDREF": {"0040A124": string("UI")},
        "IMAGE": {"00081199": {"vr": "SQ", "Value": [reference]}}, "SCOORD": {"00700023": string("CS")},
        "TCOORD": {"0040A130": string("CS"), "0040A13A": string("DT")}, attack: {}, "CONTAINER": {},
    }  # fmt: skip
    children = [
        {"0040A040": {"vr": "CS", "Value": [kind]}, "0040A010": string("CS"), "0040A043": coded, **values}
        for kind, values in said.items()
    ]
    header = (
        "00100020",
        "00100030",
        "00100040",
        "00080050",
        "00081030",
        "00080020",
        "00080016",
        "0040A491",
        "0040A493",
    )
    return {
        **{tag: string("LO") for tag in header},
        "00100010": name,
        "00080090": name,
        "0040A073": {"vr": "SQ", "Value": [{"0040A075": name, "0040A030": string("DT")}]},
        "0040A040": {"vr": "CS", "Value": ["CONTAINER"]},
        "0040A043": coded,
        "0040A730": {"vr": "SQ", "Value": children},
    }


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_a_report_becomes_markup(attack: str) -> None:
    """XSS: whatever is said in whatever place is text."""
    hostile, tame = page(everywhere(attack)), page(everywhere("x"))
    assert hostile.tags == tame.tags
    assert set(tag.strip("/") for tag in hostile.tags) <= HARMLESS
    assert hostile.attributes == {"charset"}
    root = ElementTree.fromstring(written(everywhere(attack), "text/xml"))
    assert {element.tag for element in root.iter()} == {"report", "header", "field", "item", "value"}


@given(st.text(max_size=60))
def test_any_text_is_text(text: str) -> None:
    hostile = page(everywhere(text))
    assert set(tag.strip("/") for tag in hostile.tags) <= HARMLESS
    assert hostile.attributes == {"charset"}
    ElementTree.fromstring(written(everywhere(text), "text/xml").encode())
    written(everywhere(text), "text/plain").encode()


def test_what_is_said_is_shown() -> None:
    children = [
        content("CODE", "Modality", ConceptCodeSequence=code("Computed Tomography")),
        content("PNAME", "Observer", PersonName="Müller^Eva^^Dr."),
        content("DATE", "When", Date="20240102"),
        content("CONTAINER", "Findings", ContentSequence=[
            content("TEXT", "Liver", TextValue="One\r\ntwo <three>"),
            content("NUM", "Size", MeasuredValueSequence=[
                item(NumericValue="3.5", MeasurementUnitsCodeSequence=code("centimeter", "cm", "UCUM"))]),
            content("NUM", "None", MeasuredValueSequence=[],
                    NumericValueQualifierCodeSequence=code("Not measured")),
            content("IMAGE", "Source", ReferencedSOPSequence=[
                item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="1.2.3",
                     ReferencedFrameNumber=[1, 4])]),
        ]),
        item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 4, 1]),
    ]  # fmt: skip
    metadata = metadata_of(an_object(children, "CT Report", PatientName="Test^Anna"))
    expected = {
        "Modality: Computed Tomography", "Observer: Müller, Dr. Eva", "When: 2024-01-02", "Findings",
        "  Liver: One\n    two <three>", "  Size: 3.5 cm", "  None: Not measured",
        "  Source: CT Image Storage 1.2.3 frames 1, 4", "see item 1.4.1", "Patient: Test, Anna", "CT Report",
    }  # fmt: skip
    plain = written(metadata, "text/plain")
    assert [line for line in expected if f"{line}\n" not in plain] == []
    shown = page(metadata)
    assert "One\r\ntwo <three>" in shown.text
    assert "<h2>Findings</h2>" in written(metadata, "text/html")
    assert shown.tags.count("section") == shown.tags.count("/section") == 9


def test_the_items_are_nested() -> None:
    inner = content("CONTAINER", "B", ContentSequence=[content("TEXT", "C", TextValue="c")])
    metadata = metadata_of(
        an_object([content("CONTAINER", "A", ContentSequence=[inner]), content("TEXT", "D", TextValue="d")])
    )
    root = ElementTree.fromstring(written(metadata, "text/xml"))
    [top] = root.findall("item")
    assert [one.get("name") for one in top.findall("item")] == ["A", "D"]
    assert top.find("item/item/item").get("name") == "C"
    assert top.find("item/item/item/value").text == "c"


def test_a_deep_report_is_cut() -> None:
    deep: dict[str, Any] = {"0040A040": {"vr": "CS", "Value": ["TEXT"]}}
    for _ in range(3_000):
        deep = {"0040A040": {"vr": "CS", "Value": ["CONTAINER"]}, "0040A730": {"vr": "SQ", "Value": [deep]}}
    found = report(deep).content
    assert len(found) == DEEPEST + 1
    assert found[-1].cut
    for media_type in WRITERS:
        assert written(deep, media_type)


def test_a_wide_report_is_cut() -> None:
    child = {"0040A040": {"vr": "CS", "Value": ["TEXT"]}, "0040A160": {"vr": "UT", "Value": ["a"]}}
    wide = {"0040A730": {"vr": "SQ", "Value": [child] * (MOST_ITEMS + 100)}}
    found = report(wide)
    assert (len(found.content), found.cut) == (MOST_ITEMS, True)
    for media_type, mark in (
        ("text/html", "is not shown"),
        ("text/plain", "is not shown"),
        ("text/xml", 'cut="true"'),
    ):
        assert mark in written(wide, media_type)


@pytest.mark.parametrize(
    "junk", [None, "x", 5, [], {}, {"Value": "x"}, {"Value": [None, 3, "a", {}]}, {"Value": [[]]}]
)
def test_junk_is_as_good_as_nothing(junk: Any) -> None:
    metadata = everywhere("x")
    for tag in list(metadata):
        for media_type in WRITERS:
            assert written(metadata | {tag: junk}, media_type)
    child = metadata["0040A730"]["Value"][0]
    for tag in list(child):
        odd = {"0040A730": {"vr": "SQ", "Value": [child | {tag: junk}]}}
        assert written(odd, "text/html")


def test_a_text_too_long_for_the_metadata_is_said() -> None:
    """The index keeps long values behind a BulkDataURI."""
    child = {
        "0040A040": {"vr": "CS", "Value": ["TEXT"]},
        "0040A160": {"vr": "UT", "BulkDataURI": "bulkdata/x"},
    }
    assert "too long to be shown" in written({"0040A730": {"vr": "SQ", "Value": [child]}}, "text/plain")


def test_what_is_a_report() -> None:
    """C.17.3: key object selections are reports as well; an image is none."""
    assert is_report(metadata_of(an_object([])))
    assert is_report({"0040A040": {"vr": "CS", "Value": ["CONTAINER"]}})
    assert not is_report({"00080060": {"vr": "CS", "Value": ["SR"]}})
