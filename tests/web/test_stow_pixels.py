"""Compressed bulk data: kept as they are or transformed, and what they tell of the image (S2, S3; PS3.18 10.5.2)."""

from __future__ import annotations

import io
from collections.abc import Sequence

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.uid import (
    RLELossless,
)

from objects import secondary_capture
from stow_bodies import (
    OCTETS,
    Part,
    bare,
    described,
    failures,
    fetched,
    metadata,
    model,
    post,
    stored_uids,
)
from web_door import Door

_GREY = np.random.default_rng(5).integers(0, 255, (24, 40), dtype=np.uint8)
_GREY_16 = _GREY.astype(np.uint16) * 16
_COLOUR = np.dstack([_GREY, _GREY.T.reshape(24, 40), 255 - _GREY])
_J = "1.2.840.10008.1.2.4."


def frames(content_type: str, contents: Sequence[bytes]) -> list[Part]:
    """A part for each frame, all with one Content-Location."""
    return [(content_type, "pixels", content) for content in contents]


CODED = {
    "jpeg": ("image/jpeg", imagecodecs.jpeg8_encode(_COLOUR), "50", (3, "YBR_FULL_422", 8, 8, 7, 0)),
    "jpeg grey": ("image/jpeg", imagecodecs.jpeg8_encode(_GREY), "50", (1, "MONOCHROME2", 8, 8, 7, 0)),
    "jpg": ("image/jpg", imagecodecs.jpeg8_encode(_GREY), "50", (1, "MONOCHROME2", 8, 8, 7, 0)),
    "jpeg lossless": (
        "image/jpeg",
        imagecodecs.jpeg8_encode(_GREY, lossless=True),
        "70",
        (1, "MONOCHROME2", 8, 8, 7, 0),
    ),
    "jpeg lossless 12 bits": (
        f"image/jpeg; transfer-syntax={_J}57",
        imagecodecs.ljpeg_encode(_GREY_16, bitspersample=12),
        "57",
        (1, "MONOCHROME2", 16, 12, 11, 0),
    ),
    "jls": ("image/jls", imagecodecs.jpegls_encode(_GREY_16), "80", (1, "MONOCHROME2", 16, 16, 15, 0)),
    "x-jls": ("image/x-jls", imagecodecs.jpegls_encode(_GREY, level=3), "81", (1, "MONOCHROME2", 8, 8, 7, 0)),
    "jp2": (
        "image/jp2",
        imagecodecs.jpeg2k_encode(_COLOUR, codecformat="j2k", reversible=True, mct=True),
        "90",
        (3, "YBR_RCT", 8, 8, 7, 0),
    ),
    "jp2 lossy": (
        "image/jp2",
        imagecodecs.jpeg2k_encode(_COLOUR, codecformat="j2k", reversible=False, level=40),
        "91",
        (3, "YBR_ICT", 8, 8, 7, 0),
    ),
    "jphc": (
        "image/jphc",
        imagecodecs.htj2k_encode(_GREY_16, reversible=True),
        "201",
        (1, "MONOCHROME2", 16, 16, 15, 0),
    ),
    "jph": (
        f"image/jph;transfer-syntax={_J}202",
        imagecodecs.htj2k_encode(_GREY, reversible=True),
        "202",
        (1, "MONOCHROME2", 8, 8, 7, 0),
    ),
    "jxl": ("image/jxl", imagecodecs.jpegxl_encode(_COLOUR, lossless=True), "110", (3, "RGB", 8, 8, 7, 0)),
    "jxl lossy": (
        "image/jxl",
        imagecodecs.jpegxl_encode(_COLOUR, lossless=False, level=60),
        "112",
        (3, "RGB", 8, 8, 7, 0),
    ),
}


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("number", [1, 3])
def test_compressed_frames_are_kept_and_describe_the_image(door: Door, name: str, number: int) -> None:
    """Table 10.5.2-1, Unchanged; one part for each frame (10.5.1.4)."""
    content_type, codestream, syntax, expected = CODED[name]
    data_set = bare()
    answer = post(door, [metadata(model(data_set, "pixels")), *frames(content_type, [codestream] * number)])
    assert answer.status_code == 200, answer.headers
    stored = fetched(door, data_set)
    assert stored.file_meta.TransferSyntaxUID == _J + syntax
    found = list(generate_frames(stored.PixelData, number_of_frames=number))
    assert [frame[: len(codestream)] for frame in found] == [codestream] * number
    assert (stored.Rows, stored.Columns) == (24, 40)
    assert described(stored) == expected
    assert stored.get("NumberOfFrames", 1) == number
    assert (stored.get("LossyImageCompression") == "01") == (syntax in ("50", "81", "91", "112"))


@pytest.mark.parametrize("name", ["jls", "jp2", "jphc", "jxl", "jpeg"])
def test_what_was_stored_is_decoded_again(door: Door, name: str) -> None:
    """pydicom and our own /rendered both make a picture of it."""
    content_type, codestream, *_ = CODED[name]
    data_set = bare()
    answer = post(door, [metadata(model(data_set, "pixels")), *frames(content_type, [codestream] * 2)])
    url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    for frame in (1, 2):
        picture = door.client.get(f"{url}/frames/{frame}/rendered", headers={"Accept": "image/png"})
        assert picture.status_code == 200, picture.text
        assert Image.open(io.BytesIO(picture.content)).size == (40, 24)


def test_jp2_boxes_are_taken_off(door: Door) -> None:
    """PS3.5 A.4.4: the codestream alone."""
    data_set = bare()
    boxed = imagecodecs.jpeg2k_encode(_COLOUR, codecformat="jp2", reversible=True)
    assert (
        post(door, [metadata(model(data_set, "pixels")), ("image/jp2", "pixels", boxed)]).status_code == 200
    )
    [frame] = generate_frames(fetched(door, data_set).PixelData, number_of_frames=1)
    assert frame.startswith(b"\xff\x4f\xff\x51")
    assert frame.rstrip(b"\0") in boxed
    assert np.array_equal(imagecodecs.jpeg2k_decode(frame), _COLOUR)


def test_frames_by_number(door: Door) -> None:
    """Content-Location down to the frame (8.6.1.2), in any order."""
    coded = [imagecodecs.jpegls_encode(np.full((8, 8), shade, np.uint8)) for shade in (1, 2, 3)]
    parts: list[Part] = [("image/jls", f"pixels/frames/{number}", coded[number - 1]) for number in (3, 1, 2)]
    data_set = bare()
    assert post(door, [metadata(model(data_set, "pixels")), *parts]).status_code == 200
    found = generate_frames(fetched(door, data_set).PixelData, number_of_frames=3)
    assert [imagecodecs.jpegls_decode(frame)[0, 0] for frame in found] == [1, 2, 3]


def test_metadata_that_agree_are_kept(door: Door) -> None:
    data_set = secondary_capture(LossyImageCompression="00", PatientComments="kept")
    coded = imagecodecs.jpegls_encode(np.arange(64, dtype=np.uint8).reshape(8, 8))
    answer = post(door, [metadata(model(data_set, "pixels")), ("image/jls", "pixels", coded)])
    assert answer.status_code == 200
    stored = fetched(door, data_set)
    assert (stored.LossyImageCompression, stored.PatientComments) == ("00", "kept")
    [frame] = generate_frames(stored.PixelData, number_of_frames=1)
    assert imagecodecs.jpegls_decode(frame).tobytes() == data_set.PixelData


@pytest.mark.parametrize(
    "change",
    [{"Rows": 25}, {"Columns": 39}, {"SamplesPerPixel": 3}, {"NumberOfFrames": 2}],
    ids=str,
)
def test_metadata_that_contradict_the_pixels(door: Door, change: dict[str, int]) -> None:
    data_set = bare()
    for keyword, value in change.items():
        setattr(data_set, keyword, value)
    coded = imagecodecs.jpegls_encode(_GREY)
    answer = post(door, [metadata(model(data_set, "pixels")), ("image/jls", "pixels", coded)])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA900)]


def test_frames_of_different_sizes(door: Door) -> None:
    data_set = bare()
    parts = frames("image/jls", [imagecodecs.jpegls_encode(_GREY), imagecodecs.jpegls_encode(_GREY[:20])])
    answer = post(door, [metadata(model(data_set, "pixels")), *parts])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA900)]


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        (f"image/jpeg; transfer-syntax={_J}70", imagecodecs.jpeg8_encode(_GREY)),
        (f"image/jls; transfer-syntax={_J}90", imagecodecs.jpegls_encode(_GREY)),
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2", b"\0" * 64),
        ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1.99", b"\0" * 64),
        ("application/octet-stream; transfer-syntax=nonsense", b"\0" * 64),
    ],
)
def test_transfer_syntaxes_that_cannot_be(door: Door, content_type: str, content: bytes) -> None:
    """S5: C122."""
    data_set = secondary_capture() if content_type.startswith("application") else bare()
    answer = post(door, [metadata(model(data_set, "pixels")), (content_type, "pixels", content)])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xC122)]


@pytest.mark.parametrize(
    "content_type", ["image/jpeg", "image/jp2", "image/jxl", "image/png", "image/gif", "image/x"]
)
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"\xff\xd8\xff\xc0\0\x0b\x08", b"\xff\x4f\xff\x51", b"\xff\x0a"]
)
def test_what_is_no_picture(door: Door, content_type: str, content: bytes) -> None:
    data_set = bare()
    answer = post(door, [metadata(model(data_set, "pixels")), (content_type, "pixels", content)])
    assert answer.status_code == 409
    [(uid, reason)] = failures(answer)
    assert uid == data_set.SOPInstanceUID
    assert reason in (0xC000, 0xA900)


def test_rle_needs_its_description(door: Door) -> None:
    """RLE has no header that tells its size."""
    full, without = secondary_capture(), bare()
    part = ("image/x-dicom-rle", "pixels", _rle(full.PixelData))
    answer = post(door, [metadata(model(full, "pixels"), model(without, "pixels")), part])
    assert stored_uids(answer) == [full.SOPInstanceUID]
    assert failures(answer) == [(without.SOPInstanceUID, 0xA900)]
    stored = fetched(door, full)
    assert stored.file_meta.TransferSyntaxUID == RLELossless
    assert stored.pixel_array.tobytes() == full.PixelData


def _rle(raw: bytes) -> bytes:
    """One segment of literal runs (PS3.5 G.3)."""
    runs = b"".join(
        bytes([len(raw[at : at + 128]) - 1]) + raw[at : at + 128] for at in range(0, len(raw), 128)
    )
    return b"\1\0\0\0\x40\0\0\0" + bytes(56) + runs


def test_octets_of_a_named_transfer_syntax(door: Door) -> None:
    data_set = secondary_capture()
    coded = imagecodecs.jpegls_encode(np.arange(64, dtype=np.uint8).reshape(8, 8))
    part = (f"{OCTETS}; transfer-syntax={_J}80", "pixels", coded)
    assert post(door, [metadata(model(data_set, "pixels")), part]).status_code == 200
    assert fetched(door, data_set).file_meta.TransferSyntaxUID == _J + "80"


def test_lossy_pixels_said_to_be_lossless_are_stored_with_a_warning(door: Door) -> None:
    """S5: B007, and 202."""
    data_set = bare()
    data_set.LossyImageCompression = "00"
    part = ("image/jpeg", "pixels", imagecodecs.jpeg8_encode(_GREY))
    answer = post(door, [metadata(model(data_set, "pixels")), part])
    assert answer.status_code == 202
    [item] = answer.json()["00081199"]["Value"]
    assert item["00081196"]["Value"] == [0xB007]
    assert answer.headers["warning"].startswith("B007 ")


def test_offset_tables_of_others_are_discarded_with_a_warning(door: Door) -> None:
    """S5: B006."""
    data_set = bare()
    data_set.ExtendedOffsetTable = bytes(8)
    part = ("image/jls", "pixels", imagecodecs.jpegls_encode(_GREY))
    answer = post(door, [metadata(model(data_set, "pixels")), part])
    assert answer.status_code == 202
    assert answer.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB006]
    assert "ExtendedOffsetTable" not in fetched(door, data_set)
