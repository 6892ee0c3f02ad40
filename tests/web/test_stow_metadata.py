"""Storing metadata with bulk data, the standard's default (S2-S7; PS3.18 10.5.1.4, 8.6.1.2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from objects import ct, mr, multi_frame, part10, secondary_capture, series
from stow_bodies import (
    JSON,
    OCTETS,
    XML,
    Part,
    failures,
    fetched,
    metadata,
    model,
    native_model,
    post,
    related,
    stored_uids,
    without_pixels,
)
from web_door import Door


def differences(stored: Dataset, sent: Dataset) -> list[str]:
    """The attributes that are not as they were sent."""
    tags = {element.tag for element in (*stored, *sent)}
    return [str(tag) for tag in tags if stored.get(tag) != sent.get(tag)]


@pytest.mark.parametrize("make", [ct, mr, multi_frame, secondary_capture])
@pytest.mark.parametrize("root", [JSON, XML])
def test_what_was_sent_is_stored(door: Door, make: Any, root: str) -> None:
    """S2, S3: uncompressed bulk data, single and multi-frame, in one part (10.5.1.4)."""
    data_set = make(
        PatientName="Müller^Jürgen=森^太郎", SpecificCharacterSet="ISO_IR 192", RescaleSlope="1.50"
    )
    made = model(data_set, "bulk/1")
    head: Part = metadata(made) if root == JSON else (XML, "", native_model(made))
    answer = post(door, [head, (OCTETS, "bulk/1", data_set.PixelData)], root)
    assert answer.status_code == 200, answer.headers
    assert stored_uids(answer) == [data_set.SOPInstanceUID]
    stored = fetched(door, data_set)
    assert stored.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert stored.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert differences(stored, data_set) == []


def test_every_kind_of_value(door: Door) -> None:
    """F.2.3: numbers as strings, integers beyond 2**53, binary, nested sequences, private creators, empty values."""
    data_set = without_pixels(PatientName="A^B")
    data_set.ExtendedOffsetTable = b"\1\2\3\4\5\6\7\x08"
    data_set.ImageType = ["DERIVED", "", "X"]
    data_set.PatientComments = "one\r\ntwo"
    inner = Dataset()
    inner.CodeValue = "1"
    outer = Dataset()
    outer.ConceptNameCodeSequence = Sequence([inner, Dataset()])
    data_set.ContentSequence = Sequence([outer])
    data_set.add_new(0x00091001, "LO", "private")
    data_set.add_new(0x00090010, "LO", "ACME 1.0")
    data_set.add_new(0x00091002, "SV", -(2**62))
    data_set.add_new(0x00091003, "UV", 2**64 - 1)
    data_set.add_new(0x00091004, "FD", 0.1)
    data_set.FrameIncrementPointer = 0x00181063
    made = model(data_set)
    made["00091002"] = {"vr": "SV", "Value": [str(-(2**62))]}
    made["00091003"] = {"vr": "UV", "Value": [str(2**64 - 1)]}
    made["00180050"] = {"vr": "DS", "Value": ["0.5"]}
    made["00200013"] = {"vr": "IS", "Value": ["7"]}
    answer = post(door, [metadata(made)])
    assert answer.status_code == 200, answer.headers
    stored = fetched(door, data_set)
    assert (stored.SliceThickness, stored.InstanceNumber) == (0.5, 7)
    data_set.SliceThickness, data_set.InstanceNumber = "0.5", "7"
    assert differences(stored, data_set) == []


@pytest.mark.parametrize(
    ("named", "location"),
    [
        (
            "http://elsewhere:8042/studies/1/bulkdata/7FE00010",
            "http://elsewhere:8042/studies/1/bulkdata/7FE00010",
        ),
        ("/dicom-web/studies/b%201", "b 1"),
        ("b1", "/dicom-web/studies/b1"),
        ("http://elsewhere/dicom-web/studies/b1", "b1"),
        ("x?frame=1&y=2", "./x?frame=1&y=2"),
        ("urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("bulk", "bulk/frames/1"),
        ("http://[", "http://["),
    ],
)
def test_locations_absolute_and_relative(door: Door, named: str, location: str) -> None:
    data_set = mr()
    answer = post(door, [metadata(model(data_set, named)), (OCTETS, location, data_set.PixelData)])
    assert answer.status_code == 200, answer.headers
    assert fetched(door, data_set).PixelData == data_set.PixelData


@pytest.mark.parametrize("path", ["bulk/2", "bulk", "", "bulk/1/1/1", "other"])
def test_a_missing_part_fails_its_object_alone(empty_door: Door, path: str) -> None:
    """S7."""
    first, second = series(mr, 2)
    head = metadata(model(first, "bulk/1"), model(second, "missing"))
    answer = post(empty_door, [head, (OCTETS, "bulk/1", first.PixelData)])
    assert answer.status_code == 202
    assert stored_uids(answer) == [first.SOPInstanceUID]
    assert failures(answer) == [(second.SOPInstanceUID, 0xC000)]
    assert "Content-Location" in answer.headers["warning"]
    alone = post(empty_door, [metadata(model(second, "bulk/1")), (OCTETS, path, second.PixelData)])
    assert alone.status_code == 409
    assert (second.SOPInstanceUID, 0xC000) in failures(alone)


def test_a_part_that_nobody_asks_for_is_another_failure(door: Door) -> None:
    """S5: Other Failures Sequence."""
    data_set = mr()
    parts = [metadata(model(data_set, "a")), (OCTETS, "a", data_set.PixelData), (OCTETS, "b", b"xx")]
    answer = post(door, parts)
    assert answer.status_code == 202
    assert stored_uids(answer) == [data_set.SOPInstanceUID]
    assert failures(answer) == [("", 0xC000)]


def test_two_objects_may_share_a_part(door: Door) -> None:
    first, second = series(mr, 2)
    second.PixelData = first.PixelData
    parts = [metadata(model(first, "a")), metadata(model(second, "a")), (OCTETS, "a", first.PixelData)]
    answer = post(door, parts)
    assert answer.status_code == 200, answer.headers
    assert fetched(door, second).PixelData == first.PixelData


def test_two_parts_for_one_value_contradict_each_other(door: Door) -> None:
    data_set, other = series(mr, 2)
    parts = [
        metadata(model(data_set, "a"), model(other, "b")),
        (OCTETS, "a", data_set.PixelData),
        (OCTETS, "a", b"\0" * len(data_set.PixelData)),
        (OCTETS, "b", other.PixelData),
    ]
    answer = post(door, parts)
    assert answer.status_code == 202
    assert stored_uids(answer) == [other.SOPInstanceUID]
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xC000)]


def test_two_metadata_for_one_object_are_a_race(empty_door: Door) -> None:
    """One of them is stored, whichever; the other one is kept out."""
    data_set = mr(PatientComments="first")
    other = model(data_set, "a")
    data_set.PatientComments = "second"
    parts = [metadata(other, model(data_set, "a")), (OCTETS, "a", data_set.PixelData)]
    answer = post(empty_door, parts)
    assert answer.status_code == 202
    assert stored_uids(answer) == [data_set.SOPInstanceUID]
    assert failures(answer) == [(data_set.SOPInstanceUID, 0x0111)]
    assert empty_door.leftovers() == []


def test_the_same_request_again_writes_nothing(empty_door: Door) -> None:
    data_set = mr()
    parts = [metadata(model(data_set, "a")), (OCTETS, "a", data_set.PixelData)]
    assert post(empty_door, parts).status_code == 200
    blobs = list((empty_door.archive.settings.data / "objects").rglob("*"))
    assert post(empty_door, parts).status_code == 200
    assert list((empty_door.archive.settings.data / "objects").rglob("*")) == blobs
    assert empty_door.leftovers() == []


def test_private_attributes_by_their_creator(door: Door) -> None:
    """F.3.1: the block 00 stands for whichever is free."""
    data_set = without_pixels()
    made = native_model(model(data_set)).replace(
        b"</NativeDicomModel>",
        b'<DicomAttribute tag="00090010" vr="LO"><Value number="1">OTHER</Value></DicomAttribute>'
        b'<DicomAttribute tag="00090001" vr="LO" privateCreator="ACME"><Value number="1">x</Value></DicomAttribute>'
        b'<DicomAttribute tag="00090002" vr="LO" privateCreator="ACME"><Value number="1">y</Value></DicomAttribute>'
        b"</NativeDicomModel>",
    )
    assert post(door, [(XML, "", made)], XML).status_code == 200
    block = fetched(door, data_set).private_block(0x0009, "ACME")
    assert (block[1].value, block[2].value) == ("x", "y")


@pytest.mark.parametrize("root", [JSON, XML])
def test_a_single_part_of_objects_without_bulk_data(door: Door, root: str) -> None:
    """An extension that peers take."""
    data_set = without_pixels()
    made = model(data_set)
    body = json.dumps(made).encode() if root == JSON else native_model(made)
    answer = door.client.post("/dicom-web/studies", content=body, headers={"Content-Type": root})
    assert answer.status_code == 200, answer.text
    assert differences(fetched(door, data_set), data_set) == []


def test_store_to_a_study_in_metadata_mode(door: Door) -> None:
    """S1."""
    right, wrong = without_pixels(), without_pixels()
    path = f"/dicom-web/studies/{right.StudyInstanceUID}"
    answer = post(door, [metadata(model(right), model(wrong))], path=path)
    assert answer.status_code == 202
    assert stored_uids(answer) == [right.SOPInstanceUID]
    assert failures(answer) == [(wrong.SOPInstanceUID, 0xA900)]


@pytest.mark.parametrize("said", ["application/pdf", ""])
def test_a_document_has_a_part_of_its_own_type(door: Door, said: str) -> None:
    data_set = without_pixels(
        SOPClassUID=EncapsulatedPDFStorage, MIMETypeOfEncapsulatedDocument=said or None, Modality="DOC"
    )
    made = model(data_set) | {"00420011": {"vr": "OB", "BulkDataURI": "doc"}}
    document = b"%PDF-1.4 odd"[:11]
    assert len(document) % 2
    assert post(door, [metadata(made), ("application/pdf", "doc", document)]).status_code == 200
    stored = fetched(door, data_set)
    assert stored.EncapsulatedDocument == document + b"\0"
    assert stored.EncapsulatedDocumentLength == len(document)
    assert stored.MIMETypeOfEncapsulatedDocument == "application/pdf"


def test_a_document_of_another_type_than_was_said(door: Door) -> None:
    data_set = without_pixels(MIMETypeOfEncapsulatedDocument="application/pdf")
    made = model(data_set) | {"00420011": {"vr": "OB", "BulkDataURI": "doc"}}
    answer = post(door, [metadata(made), ("text/xml", "doc", b"<a/>")])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA900)]


def test_bulk_data_anywhere(door: Door) -> None:
    data_set = without_pixels()
    waveform = {"54001010": {"vr": "OW", "BulkDataURI": "w"}, "003A0010": {"vr": "UL", "Value": [3]}}
    made = model(data_set) | {
        "54000100": {"vr": "SQ", "Value": [waveform]},
        "00189073": {"vr": "FD", "BulkDataURI": "d"},
        "0040A160": {"vr": "UT", "BulkDataURI": "t"},
    }
    parts = [(OCTETS, "t", b"text"), (OCTETS, "d", b"\0" * 8), metadata(made), (OCTETS, "w", b"\1\0\2\0\3\0")]
    assert post(door, parts).status_code == 200
    stored = fetched(door, data_set)
    assert stored.WaveformSequence[0].WaveformData == b"\1\0\2\0\3\0"
    assert (stored.TextValue, stored.AcquisitionDuration) == ("text", 0.0)


def test_a_body_cut_off_stores_what_was_complete(empty_door: Door) -> None:
    """S7: a body without its end."""
    first, second = series(mr, 2)
    parts = [metadata(model(first, "a"), model(second, "b"))]
    parts += [(OCTETS, "a", first.PixelData), (OCTETS, "b", second.PixelData)]
    headers = {"Content-Type": f"multipart/related; type={JSON}; boundary=BOUNDARY"}
    answer = empty_door.client.post("/dicom-web/studies", content=related(parts)[:-500], headers=headers)
    assert answer.status_code == 202
    assert stored_uids(answer) == [first.SOPInstanceUID]
    assert sorted(failures(answer)) == [("", 0xC000), (second.SOPInstanceUID, 0xC000)]
    assert empty_door.leftovers() == []


def test_native_pixel_data_that_are_too_short(door: Door) -> None:
    data_set = mr()
    answer = post(door, [metadata(model(data_set, "a")), (OCTETS, "a", data_set.PixelData[:-2])])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA900)]


def test_native_pixel_data_without_a_description(door: Door) -> None:
    data_set = mr()
    rows_away = model(data_set, "a")
    del rows_away["00280010"]
    answer = post(door, [metadata(rows_away), (OCTETS, "a", data_set.PixelData)])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA900)]
    assert "(0028,0010)" in answer.headers["warning"]


def test_mixed_parts(door: Door) -> None:
    """Objects whole and in parts, JSON and XML, in one request: the part's own type decides."""
    one, two, three = series(mr, 3)
    parts = [
        metadata(model(one, "a")),
        (XML, "", native_model(model(two, "b"))),
        ("application/dicom", "", part10(three)),
        (OCTETS, "b", two.PixelData),
        (OCTETS, "a", one.PixelData),
    ]
    answer = post(door, parts)
    assert answer.status_code == 200, answer.headers
    assert sorted(stored_uids(answer)) == sorted(each.SOPInstanceUID for each in (one, two, three))


@pytest.mark.parametrize("accept", ["", "text/plain", "multipart/related; type=application/dicom+json"])
def test_in_strict_mode_the_answer_must_be_acceptable_before_anything_is_stored(
    open_door: Callable[..., Door], accept: str
) -> None:
    """8.7.5; leniently the answer is JSON."""
    door, data_set = open_door(http__strict=True), without_pixels()
    head = metadata(model(data_set))
    assert post(door, [head], Accept=accept).status_code == 406
    assert door.client.get("/dicom-web/instances", headers={"Accept": JSON}).status_code == 204
    assert post(door, [head], Accept="application/dicom+json").status_code == 200


def test_any_accept_gets_an_answer(door: Door) -> None:
    for accept in ("", "text/plain", "image/png, application/dicom"):
        answer = post(door, [metadata(model(without_pixels()))], Accept=accept)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/dicom+json"
