"""Metadata that are none: what is wrong is said by attribute, nobody else's object suffers, and nothing is read for
long (S7, O3)."""

from __future__ import annotations

from typing import Any

import pytest

from objects import mr
from stow_bodies import (
    JSON,
    OCTETS,
    XML,
    failures,
    metadata,
    model,
    native_model,
    post,
    related,
    stored_uids,
    without_pixels,
)
from web_door import Door


@pytest.mark.parametrize("tag", ["00020010", "00020002", "00000002", "FFFEE000"])
def test_group_2_is_refused(door: Door, tag: str) -> None:
    """S3: metadata hold no File Meta Information."""
    bad, good = without_pixels(), without_pixels()
    made = model(bad) | {tag: {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}}
    answer = post(door, [metadata(made, model(good))])
    assert stored_uids(answer) == [good.SOPInstanceUID]
    assert failures(answer) == [(bad.SOPInstanceUID, 0xC000)]
    assert tag[:4] in answer.headers["warning"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"00080018": {"vr": "UI"}}, 0xA900),
        ({"0020000D": {"vr": "UI", "Value": ["1..2"]}}, 0xA900),
        ({"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.34.5"]}}, 0x0122),
        ({"00280010": {"vr": "US", "Value": [70000]}}, 0xC000),
        ({"00280010": {"vr": "US", "Value": [1.5]}}, 0xC000),
        ({"00280010": {"vr": "US", "Value": [True]}}, 0xC000),
        ({"00280010": {"vr": "US", "Value": 5}}, 0xC000),
        ({"00280010": {"Value": [5]}}, 0xC000),
        ({"00280010": {"vr": "us", "Value": [5]}}, 0xC000),
        ({"00280010": 5}, 0xC000),
        ({"0028001": {"vr": "US"}}, 0xC000),
        ({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]}}, 0xC000),
        ({"00100010": {"vr": "PN", "Value": [[]]}}, 0xC000),
        ({"00100020": {"vr": "LO", "Value": ["a\0b"]}}, 0xC000),
        ({"00100020": {"vr": "LO", "Value": ["\ud800"]}}, 0xC000),
        ({"00080060": {"vr": "CS", "Value": ["Ä"]}}, 0xC000),
        ({"00281201": {"vr": "OW", "InlineBinary": "AA=="}}, 0xC000),
        ({"00281201": {"vr": "OW", "InlineBinary": "!!!!"}}, 0xC000),
        ({"00281201": {"vr": "OW", "Value": ["AAAA"]}}, 0xC000),
        ({"00281201": {"vr": "OW", "BulkDataURI": "x", "InlineBinary": "AAAA"}}, 0xC000),
        ({"00080060": {"vr": "CS", "BulkDataURI": "x"}}, 0xC000),
        ({"00081140": {"vr": "SQ", "Value": [5]}}, 0xC000),
        ({"00081140": {"vr": "SQ", "InlineBinary": "AAAA"}}, 0xC000),
        ({"00209165": {"vr": "AT", "Value": ["xyz"]}}, 0xC000),
        ({"00189073": {"vr": "FD", "Value": ["abc"]}}, 0xC000),
        ({"00089459": {"vr": "FL", "Value": [1e300]}}, 0xC000),
        ({"00400310": {"vr": "ST", "Value": ["a", "b"]}}, 0xC000),
    ],
    ids=str,
)
def test_what_cannot_be_encoded_is_refused_by_attribute(door: Door, change: Any, reason: int) -> None:
    bad, good = without_pixels(), without_pixels()
    answer = post(door, [metadata(model(bad) | change, model(good))])
    assert answer.status_code == 202, answer.text
    assert stored_uids(answer) == [good.SOPInstanceUID]
    assert [found for _, found in failures(answer)] == [reason]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b"[]x",
        b"5",
        b'["a"]',
        b"[{}",
        b"[{]",
        b'[{"a": }]',
        b"\xff\xfe[",
        b'{"00080005": {"vr": "CS"}, "00080005": {"vr": "CS"}}',
        b"[" * 3000,
        b'{"a":' * 3000,
        b'[{"00081140":' + b'{"vr":"SQ","Value":[{"00081140":' * 3000,
        b'[{"00081140":' + b'{"vr":"SQ","Value":[{"00081140":' * 100 + b'{"vr":"SQ"}' + b"}]}" * 100 + b"}]",
        b"<NativeDicomModel/>",
        b'{"00080018":{"vr":"UI","Value":[' + b"9" * 5000 + b"]}}",
    ],
    ids=lambda text: text[:20].decode("latin-1"),
)
def test_json_that_is_none(door: Door, text: bytes) -> None:
    """Bad input, and nesting 3,000 deep: a 4xx with a sentence, and the other parts live."""
    data_set = mr()
    parts = [(JSON, "", text), metadata(model(data_set, "a")), (OCTETS, "a", data_set.PixelData)]
    answer = post(door, parts)
    assert answer.status_code == 202, answer.text
    assert stored_uids(answer) == [data_set.SOPInstanceUID]
    assert 1 <= len(failures(answer)) <= 2
    assert answer.headers["warning"]
    alone = post(door, [(JSON, "", text)])
    assert alone.status_code == 409


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<a/>",
        b"<NativeDicomModel>",
        b"<NativeDicomModel/><NativeDicomModel/>",
        b"<!DOCTYPE x><NativeDicomModel/>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><NativeDicomModel>&b;</NativeDicomModel>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        b"<NativeDicomModel>&a;</NativeDicomModel>",
        b"<NativeDicomModel>text</NativeDicomModel>",
        b"<NativeDicomModel><Value/></NativeDicomModel>",
        b"<NativeDicomModel><DicomAttribute/></NativeDicomModel>",
        b'<?xml version="1.0" encoding="nonsense"?><NativeDicomModel/>',
        b"<NativeDicomModel>" + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 3000,
        b'<NativeDicomModel><DicomAttribute tag="00081140" vr="SQ"><Item number="99999999"/></DicomAttribute>'
        b"</NativeDicomModel>",
        b'<NativeDicomModel><DicomAttribute tag="00080060" vr="CS"><Value number="1">A</Value><Value number="1">B'
        b"</Value></DicomAttribute></NativeDicomModel>",
    ],
    ids=lambda text: text[:40].decode("latin-1"),
)
def test_xml_that_is_none(door: Door, text: bytes) -> None:
    data_set = mr()
    good = (XML, "", native_model(model(data_set, "a")))
    answer = post(door, [(XML, "", text), good, (OCTETS, "a", data_set.PixelData)], XML)
    assert answer.status_code == 202, answer.text
    assert stored_uids(answer) == [data_set.SOPInstanceUID]
    assert len(failures(answer)) == 1


@pytest.mark.parametrize(
    "header",
    [
        "Content-Encoding: gzip",
        "Content-Transfer-Encoding: base64",
        "Content-Type: application/dicom+json;charset=x",
    ],
)
def test_parts_that_are_coded_otherwise_are_refused(door: Door, header: str) -> None:
    body = related([metadata(model(without_pixels()))])
    old = b"Content-Type: application/dicom+json"
    new = header.encode() if header.startswith("Content-Type") else old + b"\r\n" + header.encode()
    answer = door.client.post(
        "/dicom-web/studies",
        content=body.replace(old, new),
        headers={"Content-Type": f"multipart/related; type={JSON}; boundary=BOUNDARY"},
    )
    assert answer.status_code == 409
    assert failures(answer) == [("", 0xC000)]


def test_no_patient_in_any_reason(door: Door) -> None:
    canary = "ZZCANARY^PHI"
    made = model(mr(PatientName=canary), "a")
    made["00080018"] = {"vr": "UI", "Value": [canary]}
    made["00100020"] = {"vr": "LO", "Value": [canary + "\0"]}
    answer = post(door, [metadata(made)], **{"Accept": "application/dicom+json"})
    assert answer.status_code == 409
    assert canary not in answer.text + str(answer.headers)
