"""Frames, bulk data and pixel data over WADO-RS (dicomweb.md N7, N11, N12, N14; PS3.18 8.7.3.3, 10.4.1.1.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from archive.dicom.instance import StoredInstance
from archive.services import data_set as stored_data_set
from archive.storage.base import Blob
from objects import mr, multi_frame, part10, secondary_capture
from web_door import Door, parts

OCTETS = "application/octet-stream"
NATIVE = f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"
FRAMES = [bytes(range(start, start + 64)) for start in (0, 64, 128)]


def related(media_type: str, syntax: str = "") -> str:
    """An Accept header for parts of this type."""
    return f'multipart/related; type="{media_type}"' + (f"; transfer-syntax={syntax}" if syntax else "")


def get(door: Door, path: str, accept: str = "", **headers: str) -> httpx.Response:
    return door.client.get(path, headers=({"Accept": accept} if accept else {}) | headers)


def stored(door: Door, data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> str:
    """Store it; its path."""
    answer = door.store(part10(data_set, syntax), Accept="application/dicom+json")
    assert answer.status_code == 200, answer.text
    study, series, instance = data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID
    return f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"


def run_length(frame: bytes) -> bytes:
    """RLE of up to 128 bytes: one segment with one literal run."""
    return (
        b"\1\0\0\0\x40\0\0\0" + bytes(56) + bytes((len(frame) - 1,)) + frame + b"\x80" * (1 - len(frame) % 2)
    )


def rle(number: int = 3, **keywords: object) -> Dataset:
    """8x8 pixels and several frames, compressed."""
    data_set = secondary_capture(NumberOfFrames=number, **keywords)
    data_set.PixelData = encapsulate([run_length(frame) for frame in FRAMES[:number]])
    return data_set


def claimed(syntax: str, **keywords: object) -> tuple[Dataset, bytes]:
    """An object that says to be compressed so, and its codestream."""
    codestream = b"\xff\xd8 no picture at all"
    data_set = secondary_capture(**keywords)
    data_set.PixelData = encapsulate([codestream])
    return data_set, codestream


@pytest.mark.parametrize(
    "accept", ["", "*/*", related(OCTETS), related("*/*"), related(OCTETS, ExplicitVRLittleEndian)]
)
def test_frames_are_decoded_by_default(door: Door, accept: str) -> None:
    path = stored(door, rle(), RLELossless)
    found = parts(get(door, f"{path}/frames/3,1", accept))
    assert [body for _, body in found] == [FRAMES[2], FRAMES[0]]
    assert [headers["Content-Type"] for headers, _ in found] == [NATIVE] * 2
    assert found[0][0]["Content-Location"] == f"{door.url}{path}/frames/3"


def test_one_decoded_frame_alone(door: Door) -> None:
    path = stored(door, rle(), RLELossless)
    alone = get(door, f"{path}/frames/2", OCTETS)
    assert (alone.headers["content-type"], alone.content) == (NATIVE, FRAMES[1])
    part = get(door, f"{path}/frames/2", OCTETS, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, FRAMES[1][10:20])


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (related(OCTETS, "*"), "image/dicom-rle"),
        (related("*/*", "*"), "image/dicom-rle"),
        (related("image/dicom-rle"), "image/dicom-rle"),
        (related("image/x-dicom-rle"), "image/dicom-rle"),
        (related("image/*"), "image/dicom-rle"),
        (related("image/dicom-rle", RLELossless), "image/dicom-rle"),
        (related(OCTETS, RLELossless), OCTETS),
    ],
)
def test_frames_as_stored(door: Door, accept: str, media_type: str) -> None:
    """dicomweb.md N7; octet-stream of the stored transfer syntax is what viewers ask for."""
    path = stored(door, rle(), RLELossless)
    [(headers, body)] = parts(get(door, f"{path}/frames/2", accept))
    expected = OCTETS if accept.startswith(related(OCTETS)) else media_type
    assert headers["Content-Type"] == f"{expected}; transfer-syntax={RLELossless}"
    assert body == run_length(FRAMES[1])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("frames", ["2", "1,3"])
def test_ranges_of_stored_frames(door: Door, syntax: str, frames: str) -> None:
    """dicomweb.md N14: also over several parts, whose boundary stays the same."""
    path = stored(door, multi_frame(4), syntax)
    whole = get(door, f"{path}/frames/{frames}", related(OCTETS, "*"))
    for start, end in ((0, 99), (8000, 8300), (len(whole.content) - 50, len(whole.content) - 1)):
        part = get(door, f"{path}/frames/{frames}", related(OCTETS, "*"), Range=f"bytes={start}-{end}")
        assert (part.status_code, part.content) == (206, whole.content[start : end + 1])
        assert part.headers["content-type"] == whole.headers["content-type"]
    tag = {"If-None-Match": whole.headers["etag"]}
    assert get(door, f"{path}/frames/{frames}", related(OCTETS, "*"), **tag).status_code == 304


@pytest.mark.parametrize(("syntax", "strict", "status"), [
    (JPEGLosslessSV1, True, 200),
    (JPEGBaseline8Bit, True, 200),
    (JPEGLossless, True, 406),
    (JPEGLossless, False, 200),
])  # fmt: skip
def test_a_compressed_type_without_transfer_syntax(
    open_door: Callable[..., Door], syntax: str, strict: bool, status: int
) -> None:
    """dicomweb.md N7: image/jpeg means .70, or what is stored if that is lossy (Table 8.7.3-5, 8.7.3.3)."""
    door = open_door(http__strict=strict)
    data_set, codestream = claimed(syntax)
    path = stored(door, data_set, syntax)
    answer = get(door, f"{path}/frames/1", "image/jpeg")
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["content-type"] == f"image/jpeg; transfer-syntax={syntax}"
        assert answer.content[: len(codestream)] == codestream
    assert get(door, f"{path}/frames/1", f"image/jpeg; transfer-syntax={syntax}").status_code == 200


def single_bits(number: int = 3) -> tuple[Dataset, np.ndarray]:
    """Frames of 15 bits."""
    bits = np.random.default_rng(7).integers(0, 2, number * 15, dtype=np.uint8)
    data_set = secondary_capture(
        Rows=3, Columns=5, NumberOfFrames=number, BitsAllocated=1, BitsStored=1, HighBit=0
    )
    data_set.PixelData = np.packbits(bits, bitorder="little").tobytes()
    return data_set, bits


def test_single_bits_begin_on_a_byte_in_each_part(door: Door) -> None:
    data_set, bits = single_bits()
    path = stored(door, data_set)
    found = [body for _, body in parts(get(door, f"{path}/frames/1,3", related(OCTETS)))]
    assert found == [np.packbits(bits[at : at + 15], bitorder="little").tobytes() for at in (0, 30)]


def test_in_strict_mode_native_frames_are_one_representation(open_door: Callable[..., Door]) -> None:
    """dicomweb.md N12: without padding between them (8.7.3.3.1)."""
    door = open_door(http__strict=True)
    data_set, bits = single_bits()
    path = stored(door, data_set)
    [(headers, body)] = parts(get(door, f"{path}/frames/3,1", related(OCTETS)))
    assert body == np.packbits(np.concatenate((bits[30:45], bits[:15])), bitorder="little").tobytes()
    assert headers["Content-Location"] == f"{door.url}{path}/frames/3,1"
    compressed = stored(door, rle(), RLELossless)
    [(_, joined)] = parts(get(door, f"{compressed}/frames/1,2", related(OCTETS)))
    assert joined == FRAMES[0] + FRAMES[1]
    assert len(parts(get(door, f"{compressed}/frames/1,2", related("image/dicom-rle")))) == 2


def test_pixel_data_of_a_bulk_data_uri(door: Door) -> None:
    """Decoded it is one part, compressed one for each frame (8.7.3.3)."""
    path = f"{stored(door, rle(), RLELossless)}/bulkdata/7FE00010"
    assert get(door, path, OCTETS).content == b"".join(FRAMES)
    [(headers, body)] = parts(get(door, path, related(OCTETS)))
    assert (headers["Content-Type"], body) == (NATIVE, b"".join(FRAMES))
    found = parts(get(door, path, related("image/dicom-rle")))
    assert [body for _, body in found] == [run_length(frame) for frame in FRAMES]
    assert {headers["Content-Location"] for headers, _ in found} == {door.url + path}
    part = get(door, path, OCTETS, Range="bytes=60-70")
    assert (part.status_code, part.content) == (206, b"".join(FRAMES)[60:71])


def test_a_video_is_one_part_and_can_be_played_from_the_middle(door: Door) -> None:
    codestream = bytes(range(256)) * 20
    data_set = secondary_capture(NumberOfFrames=20)
    data_set.PixelData = encapsulate([codestream])
    path = f"{stored(door, data_set, MPEG4HP41)}/bulkdata/7FE00010"
    for accept in ("video/mp4", "", OCTETS, f"{OCTETS}; transfer-syntax=*"):
        answer = get(door, path, accept)
        assert answer.status_code == 200, accept
    whole = get(door, path, "video/mp4")
    assert (whole.headers["content-type"], whole.content) == (
        f"video/mp4; transfer-syntax={MPEG4HP41}",
        codestream,
    )
    part = get(door, path, "video/mp4", Range="bytes=1000-")
    assert (part.status_code, part.content) == (206, codestream[1000:])
    assert get(door, path, NATIVE).status_code == 406


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_bulk_data_of_every_level(door: Door, syntax: str) -> None:
    """Each part has the BulkDataURI of the metadata (dicomweb.md N11)."""
    study = {"StudyInstanceUID": mr().StudyInstanceUID, "PatientID": f"BULK{syntax}"}
    private = bytes(range(250)) * 8
    expected = {}
    for number in (1, 2):
        data_set = mr(InstanceNumber=number, **study)
        data_set.private_block(0x0009, "TEST", create=True).add_new(1, "OB", private)
        path = stored(door, data_set, syntax)
        expected[f"{door.url}{path}/bulkdata/00091001"] = private
        expected[f"{door.url}{path}/bulkdata/7FE00010"] = data_set.PixelData
        series = path.partition("/instances")[0]
        of_instance = parts(get(door, f"{path}/bulkdata", related(OCTETS)))
        assert [body for _, body in of_instance] == [private, data_set.PixelData]
        assert len(parts(get(door, f"{series}/bulkdata"))) == 2
        [(headers, body)] = parts(get(door, f"{path}/pixeldata"))
        assert (headers["Content-Type"], body) == (NATIVE, data_set.PixelData)
        [uri] = [
            one["00091001"]["BulkDataURI"]
            for one in get(door, f"{path}/metadata", "application/dicom+json").json()
        ]
        assert uri in expected
    found = parts(get(door, f"/dicom-web/studies/{study['StudyInstanceUID']}/bulkdata"))
    assert {headers["Content-Location"]: body for headers, body in found} == expected
    pixels = parts(get(door, f"/dicom-web/studies/{study['StudyInstanceUID']}/pixeldata"))
    assert len(pixels) == 2


def test_pixel_data_of_a_study_of_two_kinds(door: Door) -> None:
    """The media type of each part is chosen for it (8.7.8.1)."""
    study = {"StudyInstanceUID": mr().StudyInstanceUID, "PatientID": "PIXELS"}
    native, compressed = mr(InstanceNumber=1, **study), rle(2, InstanceNumber=2, **study)
    stored(door, native)
    stored(door, compressed, RLELossless)
    path = f"/dicom-web/studies/{native.StudyInstanceUID}/pixeldata"
    bodies = {body for _, body in parts(get(door, path, related(OCTETS)))}
    assert bodies == {native.PixelData, FRAMES[0] + FRAMES[1]}
    either = f"{related('image/dicom-rle')}, {related(OCTETS)};q=0.5"
    found = parts(get(door, path, either))
    assert [body for _, body in found if body != native.PixelData] == [
        run_length(frame) for frame in FRAMES[:2]
    ]
    assert get(door, path, related("image/dicom-rle")).status_code == 406
    assert get(door, path, OCTETS).status_code == 406


def test_a_broken_codestream_among_pixel_data_comes_as_stored(door: Door) -> None:
    data_set = rle(2)
    broken = run_length(FRAMES[1])[:-20]
    data_set.PixelData = encapsulate([run_length(FRAMES[0]), broken])
    path = stored(door, data_set, RLELossless)
    found = parts(get(door, f"{path}/pixeldata", related(OCTETS)))
    assert [headers["Content-Type"] for headers, _ in found] == [
        f"{OCTETS}; transfer-syntax={RLELossless}"
    ] * 2
    assert get(door, f"{path}/frames/1", OCTETS).content == FRAMES[0]
    assert get(door, f"{path}/frames/2", OCTETS).status_code == 406
    assert get(door, f"{path}/bulkdata/7FE00010", OCTETS).status_code == 406


@pytest.mark.parametrize("kind", ["bulkdata", "pixeldata"])
def test_nothing_of_that_kind(door: Door, kind: str) -> None:
    data_set = mr(PixelData=None, Rows=None, Columns=None, BitsAllocated=None)
    path = stored(door, data_set)
    assert get(door, f"{path}/{kind}").status_code == 404
    assert get(door, f"/dicom-web/studies/1.2.3/{kind}").status_code == 404
    assert get(door, f"{path}/{kind}/../..%2F..%2Fetc/passwd").status_code in (400, 404)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_head_and_lengths(door: Door, syntax: str) -> None:
    path = stored(door, multi_frame(2), syntax)
    for resource in (f"{path}/frames/1", path, f"{path}/bulkdata/7FE00010"):
        head = door.client.head(resource, headers={"Accept": "*/*"})
        body = get(door, resource, "*/*")
        assert (head.status_code, head.content) == (200, b"")
        assert (
            head.headers["content-type"].partition(";")[0] == body.headers["content-type"].partition(";")[0]
        )


def test_values_of_a_deflated_object_are_inflated_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value for itself would take minutes for the tens of thousands that an object may have."""
    data_set = secondary_capture()
    data_set.add_new(0x00090010, "LO", "OF OURS")
    values = [bytes((number,)) * 2000 for number in range(20)]
    for number, value in enumerate(values):
        data_set.add_new(0x00091000 + number, "OB", value)
    path = stored(door, data_set, DeflatedExplicitVRLittleEndian)
    inflated, begun = stored_data_set.inflated, []

    def counting(blob: Blob, instance: StoredInstance) -> Iterator[bytes]:
        begun.append(instance)
        return inflated(blob, instance)

    monkeypatch.setattr(stored_data_set, "inflated", counting)
    found = parts(get(door, f"{path}/bulkdata", related(OCTETS)))
    assert [body for _, body in found] == [*values, data_set.PixelData]
    assert len(begun) == 1
