"""PNG and GIF become native, and videos tell what they are (S3; PS3.18 table 10.5.2-1)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, VideoPhotographicImageStorage

from mp4_made import mp4, mpeg_2
from objects import secondary_capture
from stow_bodies import bare, described, failures, fetched, metadata, model, post, without_description
from web_door import Door

_GREY = np.random.default_rng(5).integers(0, 255, (24, 40), dtype=np.uint8)
_GREY_16 = _GREY.astype(np.uint16) * 16
_COLOUR = np.dstack([_GREY, _GREY.T.reshape(24, 40), 255 - _GREY])
_J = "1.2.840.10008.1.2.4."


# --- PNG and GIF ---


def png(pixels: np.ndarray) -> bytes:
    return imagecodecs.png_encode(pixels)


@pytest.mark.parametrize(
    ("pixels", "expected", "kept"),
    [
        (_GREY, (1, "MONOCHROME2", 8, 8, 7, 0), _GREY),
        (_GREY_16, (1, "MONOCHROME2", 16, 16, 15, 0), _GREY_16),
        (_COLOUR, (3, "RGB", 8, 8, 7, 0), _COLOUR),
        (np.dstack([_COLOUR, _GREY]), (3, "RGB", 8, 8, 7, 0), _COLOUR),
        (_COLOUR.astype(np.uint16) * 257, (3, "RGB", 16, 16, 15, 0), _COLOUR.astype(np.uint16) * 257),
    ],
    ids=["grey", "grey 16", "colour", "alpha", "colour 16"],
)
def test_png_becomes_native(
    door: Door, pixels: np.ndarray, expected: tuple[Any, ...], kept: np.ndarray
) -> None:
    """Table 10.5.2-1, Transform."""
    data_set = bare()
    assert (
        post(door, [metadata(model(data_set, "pixels")), ("image/png", "pixels", png(pixels))]).status_code
        == 200
    )
    stored = fetched(door, data_set)
    assert stored.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert described(stored) == expected
    assert np.array_equal(stored.pixel_array, kept)


def gif(shades: Sequence[int], colour: bool) -> bytes:
    stack = [
        np.dstack([np.full((8, 9), shade), np.full((8, 9), 7 if colour else shade), np.full((8, 9), shade)])
        for shade in shades
    ]
    first, *others = [Image.fromarray(pixels.astype(np.uint8)) for pixels in stack]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others)
    return buffer.getvalue()


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("shades", [(20,), (20, 40, 60, 20)])
def test_gif_becomes_native_with_all_its_frames(door: Door, shades: Sequence[int], colour: bool) -> None:
    data_set = bare()
    part = ("image/gif", "pixels", gif(shades, colour))
    answer = post(door, [metadata(model(data_set, "pixels")), part])
    assert answer.status_code == 200, answer.headers
    stored = fetched(door, data_set)
    assert stored.SamplesPerPixel == (3 if colour else 1)
    pixels = stored.pixel_array.reshape(len(shades), 8, 9, -1)
    assert [int(frame[0, 0, 0]) for frame in pixels] == list(shades)


@pytest.mark.parametrize("change", [{"BitsAllocated": 16}, {"PlanarConfiguration": 1}, {"Rows": 3}], ids=str)
def test_pictures_that_contradict_the_metadata(door: Door, change: dict[str, int]) -> None:
    data_set = bare()
    for keyword, value in change.items():
        setattr(data_set, keyword, value)
    answer = post(door, [metadata(model(data_set, "pixels")), ("image/png", "pixels", png(_COLOUR))])
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA900)]


def test_a_picture_that_claims_too_much_is_not_decoded(door: Door) -> None:
    """A bomb: 60,000 x 60,000 in a few bytes."""
    bomb = bytearray(png(_GREY))
    bomb[16:24] = (60_000).to_bytes(4, "big") * 2
    data_set = bare()
    answer = post(door, [metadata(model(data_set, "pixels")), ("image/png", "pixels", bytes(bomb))])
    assert answer.status_code == 413
    assert failures(answer) == [(data_set.SOPInstanceUID, 0xA700)]


# --- videos ---


def a_video() -> Dataset:
    return without_description(secondary_capture(SOPClassUID=VideoPhotographicImageStorage))


@pytest.mark.parametrize(
    ("content_type", "video", "syntax", "size"),
    [
        ("video/mp4", mp4("avc1", 100, 41), "102", (480, 640, 25)),
        ("video/mp4", mp4("avc1", 100, 42, index_first=True), "104", (480, 640, 25)),
        ("video/mp4", mp4("avc1", 128, 41), "106", (480, 640, 25)),
        ("video/H265", mp4("hvc1", 1, 153), "107", (480, 640, 25)),
        ("video/H265", mp4("hev1", 2, 153), "108", (480, 640, 25)),
        ("video/mpeg", mpeg_2(main_level=True), "100", (576, 720, 7)),
        ("video/mpeg", mpeg_2(main_level=False), "101", (576, 720, 7)),
        (f"video/mp4; transfer-syntax={_J}102.1", mp4("avc1", 100, 41), "102.1", (480, 640, 25)),
    ],
)
def test_videos_are_kept_and_describe_themselves(
    door: Door, content_type: str, video: bytes, syntax: str, size: tuple[int, int, int]
) -> None:
    data_set = a_video()
    answer = post(door, [metadata(model(data_set, "v")), (content_type, "v", video)])
    assert answer.status_code == 200, answer.headers
    stored = fetched(door, data_set)
    assert stored.file_meta.TransferSyntaxUID == _J + syntax
    assert (stored.Rows, stored.Columns, stored.NumberOfFrames) == size
    assert stored.PhotometricInterpretation == "YBR_PARTIAL_420"
    assert next(generate_frames(stored.PixelData, number_of_frames=1))[: len(video)] == video


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        (mp4("mp4v", 0, 0), 0xC122),
        (mp4("avc1", 100, 62), 0xC122),
        (mp4("avc1", 100, 41)[:200], 0xC000),
        (b"\0\0\0\x08ftyp", 0xC000),
        (b"\0\0\0\x02ftyp", 0xC000),
        (b"\0\0\1\xb3", 0xC000),
        (b"a transport stream perhaps", 0xA900),
        (b"", 0xA900),
    ],
)
def test_videos_that_cannot_be_stored(door: Door, video: bytes, reason: int) -> None:
    data_set = a_video()
    answer = post(door, [metadata(model(data_set, "v")), ("video/mp4", "v", video)])
    assert failures(answer) == [(data_set.SOPInstanceUID, reason)]


def test_a_video_of_which_the_metadata_tell_all(door: Door) -> None:
    data_set = secondary_capture(SOPClassUID=VideoPhotographicImageStorage, NumberOfFrames=3)
    stream = b"G" + bytes(187)
    part = (f"video/mpeg; transfer-syntax={_J}101", "v", stream)
    assert post(door, [metadata(model(data_set, "v")), part]).status_code == 200
    assert fetched(door, data_set).file_meta.TransferSyntaxUID == _J + "101"
