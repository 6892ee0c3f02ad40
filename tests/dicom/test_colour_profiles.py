"""ICC profiles: ours, the object's, hostile ones (PS3.18 8.3.5.1.5, PS3.3 C.11.15): R3. Pillow reads what we embed."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from archive.dicom.rendering.colour_profiles import (
    EMBEDDERS,
    MOST_PROFILE,
    PROFILES,
    embedded,
    is_rgb_profile,
    place_of_profile,
    source_profile,
    transformed,
)
from archive.dicom.rendering.pixel_data import Picture, encode

COLOUR = np.random.default_rng(2).integers(0, 256, (9, 7, 3)).astype(np.uint8)


def xyz(name: str, rgb: tuple[int, int, int]) -> np.ndarray:
    """PCS colour of an RGB value by the profile, worked out by the colour engine."""
    profile = ImageCms.ImageCmsProfile(BytesIO(PROFILES[name]()))
    lab = ImageCms.createProfile("LAB")
    image = Image.new("RGB", (1, 1), rgb)
    moved = ImageCms.profileToProfile(image, profile, lab, outputMode="LAB", renderingIntent=1)
    return np.asarray(moved).reshape(3)


@pytest.mark.parametrize("name", PROFILES)
def test_white_is_white_and_black_is_black(name: str) -> None:
    assert xyz(name, (255, 255, 255))[0] == 255
    assert xyz(name, (0, 0, 0))[0] == 0


@pytest.mark.parametrize(
    ("name", "expected"), [("adobergb", (219, 0, 0)), ("rommrgb", (179, 70, 26)), ("srgb", (255, 0, 0))]
)
def test_the_red_of_srgb_in_each_space(name: str, expected: tuple[int, int, int]) -> None:
    """Published values: Adobe RGB (1998) 219,0,0; ROMM RGB (ProPhoto) 179,70,27."""
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    found = transformed(red, PROFILES["srgb"](), name)[0, 0].astype(int)
    assert np.abs(found - expected).max() <= 1


def test_profiles_are_the_same_each_time() -> None:
    """Entity tags promise the same bytes: no clock in them."""
    for make in PROFILES.values():
        assert make()[24:36] == PROFILES["adobergb"]()[24:36]


@pytest.mark.parametrize("media_type", EMBEDDERS)
@pytest.mark.parametrize("length", [0, 1, 65_519, 65_520, 200_000])
def test_embedding(media_type: str, length: int) -> None:
    """In several APP2 segments where one is too short."""
    profile = PROFILES["adobergb"]() + bytes(length)
    data = encode(Picture(COLOUR, profile), media_type)
    image = Image.open(BytesIO(data))
    image.load()
    assert image.info["icc_profile"] == profile
    if media_type == "image/jpeg":
        assert embedded(data) == profile


def test_a_codestream_s_own_profile() -> None:
    """Used where the object has none."""
    own = PROFILES["rommrgb"]()
    jpeg = encode(Picture(COLOUR, own), "image/jpeg")
    assert source_profile({}, None, jpeg) == own
    assert source_profile({}, PROFILES["adobergb"](), jpeg) == PROFILES["adobergb"]()
    assert source_profile({}, None, encode(Picture(COLOUR), "image/jpeg")) == PROFILES["srgb"]()


def test_a_named_colour_space() -> None:
    assert (
        source_profile({"00282002": {"vr": "CS", "Value": ["ADOBERGB"]}}, None, b"") == PROFILES["adobergb"]()
    )
    assert (
        source_profile({"00282002": {"vr": "CS", "Value": ["NEVERHEARD"]}}, None, b"") == PROFILES["srgb"]()
    )


def test_the_profile_of_the_frame_s_optical_path() -> None:
    """C.8.12.5: whole slides have one for each optical path."""

    def path(name: str) -> dict:
        return {"00480106": {"vr": "SH", "Value": [name]}, "00282000": {"vr": "OB", "BulkDataURI": "x"}}

    def group(name: str) -> dict:
        return {"00480207": {"vr": "SQ", "Value": [{"00480106": {"vr": "SH", "Value": [name]}}]}}

    metadata = {
        "00480105": {"vr": "SQ", "Value": [path("A"), path("B")]},
        "52009230": {"vr": "SQ", "Value": [group("B"), group("A")]},
    }
    assert place_of_profile(metadata, 1)[1] == "00480105/1/00282000"
    assert place_of_profile(metadata, 2)[1] == "00480105/0/00282000"
    assert place_of_profile(metadata, 3)[1] == "00480105/0/00282000"
    assert place_of_profile({}, 1)[1] == "00282000"


HEAD = bytes(16) + b"RGB XYZ " + bytes(12) + b"acsp" + bytes(100)


@pytest.mark.parametrize("profile", [b"", b"x" * 5000, HEAD, HEAD + bytes(100_000), bytes(MOST_PROFILE + 1)])
def test_what_is_no_profile_is_as_good_as_none(profile: bytes) -> None:
    assert source_profile({}, profile, b"") == PROFILES["srgb"]()


@given(st.integers(0, 503), st.binary(min_size=1, max_size=40))
def test_a_damaged_profile(place: int, junk: bytes) -> None:
    """Never an error: what the engine does not take is done without."""
    damaged = bytearray(PROFILES["adobergb"]())
    damaged[place : place + len(junk)] = junk
    source = source_profile({}, bytes(damaged), b"")
    for target in PROFILES:
        assert transformed(COLOUR, source, target).shape == COLOUR.shape
    assert is_rgb_profile(source)


@given(st.binary(max_size=300))
def test_any_codestream(data: bytes) -> None:
    embedded(b"\xff\xd8" + data)
    embedded(data)
