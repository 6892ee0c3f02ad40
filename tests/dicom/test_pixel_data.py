"""Pictures from frames: colours, viewports, media types, and what every real file looks like."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels import convert_color_space

from archive.dicom.errors import CannotRender, InvalidQuery, NotAcceptable
from archive.dicom.rendering.greyscale import Window
from archive.dicom.rendering.pixel_data import PICTURES, render
from archive.dicom.rendering.viewport import Viewport
from pixel_oracle import image, samples
from test_codecs import CANNOT

NATIVE = "1.2.840.10008.1.2.1"
ROWS, COLUMNS = "00280010", "00280011"
RAMP = np.arange(240, dtype=np.uint8).reshape(12, 20)
COLOUR = np.random.default_rng(5).integers(0, 256, (12, 20, 3)).astype(np.uint8)


def picture(array: np.ndarray, metadata: dict | None = None, **options) -> np.ndarray:
    metadata = metadata or image(array)
    return np.asarray(Image.open(BytesIO(render(array.tobytes(), metadata, NATIVE, "image/png", **options))))


@pytest.mark.parametrize("fixture", ["shared_data", "pydicom_data"])
def test_every_real_file_becomes_a_picture(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    for one in samples(folder, oracle=False):
        for media_type in PICTURES if one.name not in CANNOT else ():
            data = render(one.frame, one.metadata, one.transfer_syntax_uid, media_type)
            shown = Image.open(BytesIO(data))
            rows, columns = (one.metadata[tag]["Value"][0] for tag in (ROWS, COLUMNS))
            assert shown.size == (columns, rows), one.name
            assert f"image/{shown.format.lower()}" == media_type
            assert shown.mode in ("L", "RGB", "P")


BANDS = {5: (255, 0, 0), 25: (0, 255, 0), 45: (0, 0, 255), 65: (0, 0, 0), 85: (192, 192, 192)}


def test_one_test_card_in_many_encodings_has_one_set_of_colours(pydicom_data: Path) -> None:
    """RGB and YBR_FULL, marked by JFIF, by Adobe, or by nothing, subsampled and not, 8 to 32 bits deep."""
    seen = set()
    for one in samples(pydicom_data, oracle=False):
        if (
            not one.name.startswith(("SC_rgb", "SC_ybr"))
            or one.name in seen
            or one.metadata[ROWS]["Value"] != [100]
        ):
            continue
        seen.add(one.name)
        data = render(one.frame, one.metadata, one.transfer_syntax_uid, "image/png")
        shown = np.asarray(Image.open(BytesIO(data))).astype(int)
        for row, colour in BANDS.items():
            assert np.abs(shown[row, 50] - colour).max() <= 4, one.name
    assert len(seen) > 12


def test_rgb_is_shown_as_it_is() -> None:
    np.testing.assert_array_equal(picture(COLOUR), COLOUR)


def test_ybr_full_is_converted() -> None:
    expected = convert_color_space(COLOUR, "YBR_FULL", "RGB")
    shown = picture(COLOUR, image(COLOUR, "YBR_FULL"))
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_ybr_partial_has_black_at_16_and_white_at_235() -> None:
    ends = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)
    np.testing.assert_array_equal(picture(ends, image(ends, "YBR_PARTIAL_422")), [[[0] * 3, [255] * 3]])


@pytest.mark.parametrize(
    ("kind", "stored", "factor"), [("<u2", 16, 257), ("<u2", 12, 16), ("<u4", 32, 16843009)]
)
def test_colour_of_more_than_8_bits(kind: str, stored: int, factor: int) -> None:
    deep = COLOUR.astype(kind) * np.array(factor, kind)
    metadata = image(deep, BitsStored=stored, HighBit=stored - 1)
    np.testing.assert_array_equal(picture(deep, metadata), COLOUR)


def test_colour_of_fewer_than_8_bits() -> None:
    shallow = COLOUR >> 4
    shown = picture(shallow, image(shallow, BitsStored=4, HighBit=3))
    np.testing.assert_array_equal(shown, shallow * 17)


def test_the_whole_picture_scaled_keeps_its_aspect() -> None:
    assert picture(RAMP, viewport=Viewport(10, 10)).shape == (6, 10)
    assert picture(RAMP, viewport=Viewport(200, 24)).shape == (24, 40)


def test_a_region() -> None:
    np.testing.assert_array_equal(picture(RAMP, viewport=Viewport(4, 3, 2, 1, 4, 3)), RAMP[1:4, 2:6])


def test_negative_lengths_flip() -> None:
    shown = picture(RAMP, viewport=Viewport(20, 12, 0, 0, -20, 12))
    np.testing.assert_array_equal(shown, RAMP[:, ::-1])
    shown = picture(COLOUR, viewport=Viewport(20, 12, 0, 0, 20, -12))
    np.testing.assert_array_equal(shown, COLOUR[::-1])


def test_a_region_that_reaches_beyond_the_frame_is_cut() -> None:
    np.testing.assert_array_equal(picture(RAMP, viewport=Viewport(5, 6, 15, 6, 50, 50)), RAMP[6:, 15:])


def test_only_the_absolute_value_places_a_region() -> None:
    """R3, PS3.18 8.3.5.1.3."""
    np.testing.assert_array_equal(picture(RAMP, viewport=Viewport(4, 3, -2, -1, 4, 3)), RAMP[1:4, 2:6])


def test_a_region_outside_the_frame() -> None:
    with pytest.raises(InvalidQuery):
        picture(RAMP, viewport=Viewport(5, 6, 20, 0))


@pytest.mark.parametrize(
    "viewport", [(0, 10), (10, -1), (10**6, 10**6), (9, 9, 0, 0, 0, 5), (9, 9, float("inf"))]
)
def test_viewports_that_cannot_be(viewport: tuple) -> None:
    with pytest.raises(InvalidQuery):
        Viewport(*viewport)


def test_pixels_that_are_not_square() -> None:
    """Square in a viewport; without one the matrix is that of the frame (R3, PS3.18 8.3.5.1.3)."""
    assert picture(RAMP, image(RAMP, PixelAspectRatio=[2, 1])).shape == (12, 20)
    assert picture(RAMP, image(RAMP, PixelAspectRatio=[2, 1]), viewport=Viewport(40, 24)).shape == (24, 20)
    assert picture(RAMP, image(RAMP, PixelAspectRatio=[1, 2]), viewport=Viewport(20, 20)).shape == (6, 20)
    assert picture(RAMP, image(RAMP, PixelAspectRatio=[1, 999]), viewport=Viewport(20, 20)).shape == (12, 20)


def test_a_window_narrows_what_is_seen() -> None:
    shown = picture(RAMP, window=Window(100, 2, "linear-exact"))
    assert ((shown > 0) & (shown < 255)).sum() <= 1


def test_quality_changes_the_size_of_a_jpeg() -> None:
    small, large = (
        render(COLOUR.tobytes(), image(COLOUR), NATIVE, "image/jpeg", quality=quality) for quality in (1, 100)
    )
    assert len(small) < len(large)


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_qualities_that_cannot_be(quality: int) -> None:
    with pytest.raises(InvalidQuery):
        picture(RAMP, quality=quality)


def test_an_unknown_media_type() -> None:
    with pytest.raises(NotAcceptable):
        render(RAMP.tobytes(), image(RAMP), NATIVE, "image/tiff")


def test_a_report_has_no_picture() -> None:
    with pytest.raises(CannotRender, match="no pixel data"):
        render(b"", {"00080060": {"vr": "CS", "Value": ["SR"]}}, NATIVE, "image/jpeg")
