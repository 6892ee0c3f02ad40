"""Grey values against pydicom's Modality and VOI LUT functions, and the rules where pydicom leaves off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from archive.dicom.errors import InvalidQuery
from archive.dicom.pixels.pixel_description import describe
from archive.dicom.rendering.greyscale import WINDOW_FUNCTIONS, Window, to_grey
from pixel_oracle import dicom_json, image

RAMP = np.arange(-1024, 3072, dtype=np.int16).reshape(64, 64)


def grey(
    stored: np.ndarray, metadata: dict[str, Any], frame: int = 1, window: Window | None = None
) -> np.ndarray:
    return to_grey(stored, describe(metadata), metadata, frame, window)


@pytest.mark.parametrize(
    "name",
    ["mlut_18.dcm", "vlut_04.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "693_UNCI.dcm", "MR2_UNCR.dcm"],
)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")
def test_real_files_against_pydicom(shared_data: Path, name: str) -> None:
    path = next(shared_data.rglob(name), None)
    assert path is not None
    data_set = pydicom.dcmread(path)
    stored = data_set.pixel_array
    shown = apply_voi_lut(apply_modality_lut(stored, data_set), data_set).astype(float)
    ours = grey(stored, dicom_json(data_set)).astype(float)
    low, high = shown.min(), shown.max()
    if "VOILUTSequence" in data_set:
        low, high = 0, 2 ** data_set.VOILUTSequence[0].LUTDescriptor[2] - 1
    expected = (shown - low) / (high - low) * 255
    if data_set.PhotometricInterpretation == "MONOCHROME1":
        expected = 255 - expected
    assert np.abs(ours - expected).max() <= 1


@pytest.mark.parametrize("function", sorted(WINDOW_FUNCTIONS))
@pytest.mark.parametrize(("center", "width"), [(40, 400), (0, 1), (-600.5, 1500), (40, 2)])
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_windows_against_pydicom(function: str, center: float, width: float) -> None:
    attributes = {
        "RescaleIntercept": "-100",
        "RescaleSlope": "2",
        "WindowCenter": str(center),
        "WindowWidth": str(width),
        "VOILUTFunction": function,
    }
    metadata = image(RAMP, **attributes)
    data_set = pydicom.Dataset.from_json(metadata)
    span = 65535 * 2
    shown = apply_voi_lut(apply_modality_lut(RAMP, data_set), data_set)
    expected = (shown - (-32768 * 2 - 100)) / span * 255
    assert np.abs(grey(RAMP, metadata) - expected).max() <= 1


def test_the_request_s_window_replaces_that_of_the_data_set() -> None:
    metadata = image(RAMP, WindowCenter="40", WindowWidth="400")
    asked = grey(RAMP, metadata, window=Window(1000, 100, "linear-exact"))
    np.testing.assert_array_equal(asked == 255, RAMP >= 1050 - 0.2)


def test_without_a_window_all_values_are_shown_but_padding() -> None:
    stored = RAMP.copy()
    stored[0, :8] = -2000
    shown = grey(stored, image(stored, PixelPaddingValue=-2000))
    assert (shown[0, 0], shown[0, 8], shown[-1, -1]) == (0, 0, 255)
    assert abs(int(shown[31, 63]) - 127) <= 1


def test_without_a_window_a_range_of_padding_is_left_out() -> None:
    stored = RAMP.copy()
    stored[0, :2] = (-30000, -29000)
    metadata = image(stored, PixelPaddingValue=-30000, PixelPaddingRangeLimit=-29000)
    assert abs(int(grey(stored, metadata)[31, 63]) - 127) <= 1


def test_eight_bits_without_a_window_keep_their_range() -> None:
    stored = np.array([[10, 200]], np.uint8)
    np.testing.assert_array_equal(grey(stored, image(stored)), stored)


def test_one_bit_is_black_and_white() -> None:
    stored = np.array([[0, 1]], np.uint8)
    np.testing.assert_array_equal(grey(stored, image(stored, BitsAllocated=1, BitsStored=1)), [[0, 255]])


@pytest.mark.parametrize("attributes", [{"photometric": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}])
def test_inverse(attributes: dict[str, str]) -> None:
    stored = np.array([[0, 255]], np.uint8)
    np.testing.assert_array_equal(grey(stored, image(stored, **attributes)), [[255, 0]])


def test_functional_groups_give_each_frame_its_values() -> None:
    metadata = image(RAMP, WindowCenter="0", WindowWidth="10")
    metadata["52009229"] = sequence(group("00289145", {"00281052": 0, "00281053": 1}))
    metadata["52009230"] = sequence(
        group("00289132", {"00281050": 0, "00281051": 100}),
        group("00289132", {"00281050": 1000, "00281051": 100}),
    )
    first, second = (grey(RAMP, metadata, frame) for frame in (1, 2))
    assert (first == 0).sum() < (second == 0).sum()
    np.testing.assert_array_equal(second, grey(RAMP, image(RAMP), window=Window(1000, 100)))


def sequence(*items: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


def group(tag: str, numbers: dict[str, float]) -> dict[str, Any]:
    return {tag: sequence({key: {"vr": "DS", "Value": [value]} for key, value in numbers.items()})}


@pytest.mark.parametrize("kind", ["<u4", "<i4", "<f4", "<f8"])
def test_wide_values_are_windowed_as_narrow_ones(kind: str) -> None:
    window = Window(500, 1000)
    stored = np.abs(RAMP).astype(kind)
    np.testing.assert_array_equal(
        grey(stored, image(stored), window=window), grey(np.abs(RAMP), image(RAMP), window=window)
    )


def test_floats_that_are_no_numbers_are_black() -> None:
    stored = np.array([[np.nan, 0.0, 1.0, np.inf, -np.inf]], np.float32)
    metadata = {**image(stored), "7FE00008": {"vr": "OF"}}
    np.testing.assert_array_equal(grey(stored, metadata), [[0, 0, 255, 255, 0]])


@pytest.mark.parametrize(
    "odd",
    [
        {"WindowCenter": "40", "WindowWidth": "0"},
        {"WindowCenter": "40"},
        {"WindowCenter": "40", "WindowWidth": "100", "VOILUTFunction": "SQUARE"},
        {"RescaleSlope": "0", "RescaleIntercept": "1"},
    ],
)
def test_odd_values_of_the_data_set_are_done_without(odd: dict[str, str]) -> None:
    shown = grey(RAMP, image(RAMP, **odd))
    assert (shown.min(), shown.max()) == (0, 255)


def test_text_where_numbers_belong_is_done_without() -> None:
    metadata = image(RAMP)
    metadata["00281050"] = {"vr": "DS", "Value": ["a lot"]}
    metadata["00281051"] = {"vr": "DS", "Value": [None]}
    metadata["00283010"] = {"vr": "SQ", "Value": [None]}
    assert grey(RAMP, metadata).max() == 255


def test_a_constant_frame() -> None:
    stored = np.full((2, 2), 1000, np.uint16)
    assert len(np.unique(grey(stored, image(stored)))) == 1


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [
        (0, 0, "linear-exact"),
        (0, 0.5, "linear"),
        (0, -1, "sigmoid"),
        (0, 1, "cubic"),
        (float("nan"), 1, "linear"),
    ],
)
def test_windows_that_cannot_be(center: float, width: float, function: str) -> None:
    with pytest.raises(InvalidQuery):
        Window(center, width, function)


@pytest.mark.parametrize("slope", [1e300, -1e308, 1e-308])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_slope_beyond_all_bounds_is_no_fault_of_the_request(slope: float) -> None:
    metadata = image(RAMP) | {
        "00281053": {"vr": "DS", "Value": [slope]},
        "00281052": {"vr": "DS", "Value": [-1e308]},
    }
    assert grey(RAMP, metadata).shape == RAMP.shape


@pytest.mark.parametrize("sequence", ["00283000", "00283010", "20500010"])
def test_a_lut_of_absurdly_many_bits(sequence: str) -> None:
    item = {"00283002": {"vr": "US", "Value": [2, 0, 65535]}, "00283006": {"vr": "US", "Value": [0, 65535]}}
    found = grey(RAMP, image(RAMP) | {sequence: {"vr": "SQ", "Value": [item]}})
    assert found.min() == 0
    assert found.max() == 255
