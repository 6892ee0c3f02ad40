"""In which form instances come over WADO-RS (dicomweb.md N4-N8, N11; PS3.18 8.7.3)."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from objects import ct, mr, part10, secondary_capture, series
from recoding_oracle import differences
from web_door import Door, parts

DICOM = "application/dicom"
MULTIPART = 'multipart/related; type="application/dicom"'


def path_of(data_set: Dataset, level: str = "SOP") -> str:
    """The resource of a data set that was stored, or of its series or study."""
    path = f"/dicom-web/studies/{data_set.StudyInstanceUID}"
    if level != "Study":
        path += f"/series/{data_set.SeriesInstanceUID}"
    return path + (f"/instances/{data_set.SOPInstanceUID}" if level == "SOP" else "")


def get(door: Door, path: str, accept: str, **headers: str) -> httpx.Response:
    return door.client.get(path, headers={"Accept": accept, **headers})


def run_length(frame: bytes) -> bytes:
    """RLE of up to 128 bytes: one segment with one literal run."""
    return (
        b"\1\0\0\0\x40\0\0\0" + bytes(56) + bytes((len(frame) - 1,)) + frame + b"\x80" * (1 - len(frame) % 2)
    )


def rle(**keywords: object) -> Dataset:
    """8x8 pixels, compressed."""
    data_set = secondary_capture(**keywords)
    data_set.PixelData = encapsulate([run_length(bytes(range(64)))])
    return data_set


def video(**keywords: object) -> Dataset:
    """What no codec of ours decodes."""
    data_set = secondary_capture(NumberOfFrames=2, **keywords)
    data_set.PixelData = encapsulate([b"a video, they say!"])
    return data_set


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize(
    "accept", [None, "*/*", DICOM, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1", MULTIPART]
)
def test_explicit_vr_little_endian_is_the_default(door: Door, syntax: str, accept: str | None) -> None:
    data_set = ct(Rows=512)
    file = part10(data_set, syntax)
    assert door.store(file).status_code == 200
    answer = door.client.get(path_of(data_set), headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200
    media_type, body = answer.headers["content-type"], answer.content
    if accept is None or accept in ("*/*", MULTIPART):
        [(headers, body)] = parts(answer)
        media_type = headers["Content-Type"]
        assert headers["Content-Location"] == door.url + path_of(data_set)
    assert media_type == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    assert differences(file, body) == []


def test_compressed_objects_are_decoded_by_default(door: Door) -> None:
    data_set = rle()
    assert door.store(part10(data_set, RLELossless)).status_code == 200
    answer = get(door, path_of(data_set), DICOM)
    got = pydicom.dcmread(io.BytesIO(answer.content))
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert got.PixelData == bytes(range(64))
    for accept in (f"{DICOM}; transfer-syntax=*", f"{DICOM}; transfer-syntax={RLELossless}"):
        stored = get(door, path_of(data_set), accept)
        assert stored.headers["content-type"] == f"{DICOM}; transfer-syntax={RLELossless}"
        assert stored.content == part10(data_set, RLELossless)


@pytest.mark.parametrize("wanted", ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2", "1.2.3", "nonsense"])
def test_what_cannot_be_had_is_406_and_says_what_there_is(door: Door, wanted: str) -> None:
    data_set = rle()
    assert door.store(part10(data_set, RLELossless)).status_code == 200
    answer = get(door, path_of(data_set), f"{DICOM}; transfer-syntax={wanted}")
    assert answer.status_code == 406
    assert ExplicitVRLittleEndian in answer.text
    assert str(RLELossless) in answer.text


def test_lossy_pixels_without_a_decoder_come_as_stored(door: Door) -> None:
    """PS3.18 8.7.3.4 permits that where no transfer syntax is named; where one is, nothing else will do."""
    data_set = video()
    file = part10(data_set, MPEG4HP41)
    assert door.store(file).status_code == 200
    assert get(door, path_of(data_set), DICOM).content == file
    [(headers, body)] = parts(door.client.get(path_of(data_set, "Study")))
    assert (headers["Content-Type"], body) == (f"{DICOM}; transfer-syntax={MPEG4HP41}", file)
    named = get(door, path_of(data_set), f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}")
    assert named.status_code == 406
    assert "no decoder" in named.text


def test_lossless_pixels_without_a_decoder_are_406_unless_as_stored(door: Door) -> None:
    data_set = rle(NumberOfFrames=5)
    assert door.store(part10(data_set, RLELossless)).status_code == 200
    assert get(door, path_of(data_set), DICOM).status_code == 406
    assert get(door, path_of(data_set), "*/*").status_code == 406
    assert get(door, path_of(data_set), f"{DICOM}; transfer-syntax=*").status_code == 200


def test_a_study_is_406_when_one_instance_cannot_be_had(door: Door) -> None:
    """No instance is left out of an answer that says 200."""
    study = {"StudyInstanceUID": mr().StudyInstanceUID, "PatientID": "S406"}
    good, bad = mr(**study), rle(NumberOfFrames=5, **study)
    assert door.store(part10(good), part10(bad, RLELossless)).status_code == 200
    answer = door.client.get(path_of(good, "Study"))
    assert answer.status_code == 406
    assert len(parts(get(door, path_of(good, "Study"), f"{MULTIPART}; transfer-syntax=*"))) == 2


def test_a_study_of_all_kinds(door: Door) -> None:
    study = {"StudyInstanceUID": mr().StudyInstanceUID, "PatientID": "KINDS"}
    files = {}
    for make, syntax in (
        (mr, ImplicitVRLittleEndian),
        (mr, ExplicitVRLittleEndian),
        (mr, ExplicitVRBigEndian),
        (ct, DeflatedExplicitVRLittleEndian),
        (rle, RLELossless),
        (video, MPEG4HP41),
    ):
        data_set = make(**study)
        files[data_set.SOPInstanceUID] = part10(data_set, syntax)
    assert door.store(*files.values()).status_code == 200
    found = parts(door.client.get(f"/dicom-web/studies/{study['StudyInstanceUID']}"))
    assert len(found) == len(files)
    for headers, body in found:
        file = files[headers["Content-Location"].rpartition("/")[2]]
        if str(MPEG4HP41) in headers["Content-Type"]:
            assert body == file
        else:
            assert headers["Content-Type"] == f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"
            assert differences(file, body) == []


def test_a_broken_codestream_in_a_study_comes_as_stored(door: Door) -> None:
    """That it is broken shows only when it is decoded; its part says what it is."""
    named = mr()
    study = {
        "StudyInstanceUID": named.StudyInstanceUID,
        "SeriesInstanceUID": named.SeriesInstanceUID,
        "PatientID": "BROKEN",
    }
    good, bad = rle(InstanceNumber=1, **study), rle(InstanceNumber=2, **study)
    bad.PixelData = encapsulate([run_length(bytes(64))[:-20]])
    file = part10(bad, RLELossless)
    assert door.store(part10(good, RLELossless), file).status_code == 200
    first, second = parts(door.client.get(path_of(good, "Study")))
    assert first[0]["Content-Type"] == f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"
    assert second == (second[0], file)
    assert second[0]["Content-Type"] == f"{DICOM}; transfer-syntax={RLELossless}"
    alone = get(door, path_of(bad), DICOM)
    assert alone.status_code == 406


def test_in_strict_mode_a_broken_codestream_is_406_unless_it_may_come_as_stored(
    open_door: Callable[..., Door],
) -> None:
    """PS3.18 8.7.3.4: what is lossless and no longer than an element can be comes in Explicit VR Little Endian."""
    strict, named = open_door(http__strict=True), mr()
    study = {
        "StudyInstanceUID": named.StudyInstanceUID,
        "SeriesInstanceUID": named.SeriesInstanceUID,
        "PatientID": "BROKEN",
    }
    good, bad = rle(InstanceNumber=1, **study), rle(InstanceNumber=2, **study)
    bad.PixelData = encapsulate([run_length(bytes(64))[:-20]])
    files = part10(good, RLELossless), part10(bad, RLELossless)
    assert strict.store(*files, Accept="application/dicom+json").status_code == 200
    for accept in ("*/*", MULTIPART, 'multipart/related; type="application/octet-stream"'):
        answer = get(strict, path_of(good, "Study"), accept)
        assert answer.status_code == 406, accept
        assert "decoded" in answer.text
    pixels = f"{path_of(good, 'Study')}/pixeldata"
    assert get(strict, pixels, 'multipart/related; type="application/octet-stream"').status_code == 406
    either = f"{MULTIPART}; transfer-syntax={ExplicitVRLittleEndian}, {MULTIPART}; transfer-syntax={RLELossless}; q=0.5"
    first, second = parts(get(strict, path_of(good, "Study"), either))
    assert first[0]["Content-Type"].endswith(str(ExplicitVRLittleEndian))
    assert second == (second[0], files[1])
    assert second[0]["Content-Type"].endswith(str(RLELossless))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_shall_not_be_used_is_sent_to_who_wants_the_very_bytes(
    open_door: Callable[..., Door], syntax: str
) -> None:
    """dicomweb.md N5, N6: `*` means as stored; the letter of 8.7.3 counts in strict mode."""
    lenient, data_set = open_door(), mr()
    file = part10(data_set, syntax)
    assert lenient.store(file).status_code == 200
    assert get(lenient, path_of(data_set), f"{DICOM}; transfer-syntax=*").content == file


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_in_strict_mode_they_are_never_used(open_door: Callable[..., Door], syntax: str) -> None:
    """dicomweb.md N5."""
    strict, data_set = open_door(http__strict=True), mr()
    file = part10(data_set, syntax)
    assert strict.store(file, Accept="application/dicom+json").status_code == 200
    answer = get(strict, path_of(data_set), f"{DICOM}; transfer-syntax=*")
    assert answer.headers["content-type"] == f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"
    assert differences(file, answer.content) == []
    assert get(strict, path_of(data_set), f"{DICOM}; transfer-syntax={syntax}").status_code == 406


def test_a_single_part_is_for_a_single_instance(door: Door) -> None:
    """dicomweb.md N8: by the kind of resource, however few instances it holds."""
    data_set = mr()
    assert door.store(part10(data_set)).status_code == 200
    assert get(door, path_of(data_set), DICOM).status_code == 200
    for level in ("Series", "Study"):
        assert get(door, path_of(data_set, level), DICOM).status_code == 406


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_ranges_and_entity_tags(door: Door, syntax: str) -> None:
    """dicomweb.md N14, also of what is re-encoded on the way."""
    data_set = rle() if syntax == RLELossless else mr()
    assert door.store(part10(data_set, syntax)).status_code == 200
    whole = get(door, path_of(data_set), DICOM)
    tag = whole.headers["etag"]
    assert not tag.startswith("W/")
    middle = get(door, path_of(data_set), DICOM, Range="bytes=100-1099")
    assert (middle.status_code, middle.content) == (206, whole.content[100:1100])
    assert get(door, path_of(data_set), DICOM, **{"If-None-Match": tag}).status_code == 304
    stored = get(door, path_of(data_set), f"{DICOM}; transfer-syntax=*")
    assert (stored.headers["etag"] == tag) is (syntax == ExplicitVRLittleEndian)


def test_a_study_has_an_entity_tag_that_its_next_instance_changes(door: Door) -> None:
    first, second = series(mr, 2)
    assert door.store(part10(first, ImplicitVRLittleEndian)).status_code == 200
    path = path_of(first, "Study")
    tag = door.client.get(path).headers["etag"]
    assert door.client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert door.store(part10(second)).status_code == 200
    assert door.client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_instances_as_octet_stream_are_their_bulk_data(door: Door) -> None:
    """PS3.18 Table 10.4.4-1, note 2."""
    data_set = mr()
    assert door.store(part10(data_set)).status_code == 200
    [(headers, body)] = parts(
        get(door, path_of(data_set, "Study"), 'multipart/related; type="application/octet-stream"')
    )
    assert headers["Content-Location"] == f"{door.url}{path_of(data_set)}/bulkdata/7FE00010"
    assert body == data_set.PixelData


@pytest.mark.parametrize("keyword", ["PixelData", "FloatPixelData"])
def test_native_pixels_need_no_decoder(door: Door, keyword: str) -> None:
    """Some writers name the transfer syntax of compressed pixel data, and leave theirs as it is."""
    data_set = secondary_capture(BitsAllocated=32, PixelData=None)
    setattr(data_set, keyword, bytes(range(256)))
    file = part10(data_set).replace(f"{ExplicitVRLittleEndian}\0".encode(), f"{RLELossless}\0".encode())
    assert door.store(file).status_code == 200
    answer = get(door, path_of(data_set), DICOM)
    assert answer.status_code == 200, answer.text
    assert differences(file, answer.content) == []
    assert pydicom.dcmread(io.BytesIO(answer.content))[keyword].value == bytes(range(256))


def test_lossy_pixels_with_a_decoder_are_decoded(door: Door, pydicom_data: Path) -> None:
    file = (pydicom_data / "test_files" / "SC_rgb_jpeg_dcmtk.dcm").read_bytes()
    stored = door.store(file)
    assert stored.status_code == 200, stored.text
    url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    got = get(door, url, DICOM)
    assert got.headers["content-type"] == f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}"
    assert differences(file, got.content) == []


def test_fragments_where_none_can_be(door: Door) -> None:
    """Encapsulated pixel data in implicit VR: no transfer syntax has that, but the file was taken as it is."""
    study = {"StudyInstanceUID": mr().StudyInstanceUID, "PatientID": "ODD"}
    good, odd = mr(InstanceNumber=1, **study), secondary_capture(InstanceNumber=2, PixelData=None, **study)
    pixels = struct.pack("<HHI", 0x7FE0, 0x0010, 0xFFFFFFFF) + encapsulate([bytes(64)])
    file = part10(odd, ImplicitVRLittleEndian) + pixels + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert door.store(part10(good), file).status_code == 200
    assert get(door, path_of(odd), DICOM).status_code == 406
    bodies = {body for _, body in parts(door.client.get(path_of(good, "Study")))}
    assert bodies == {part10(good), file}
