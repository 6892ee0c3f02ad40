"""Palettes and LUTs, odd ones too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut
from pydicom.uid import ImplicitVRLittleEndian

from archive.dicom.errors import CannotRender
from archive.dicom.pixels.lookup_tables import expand_segments, lookup_table, palette, through_table
from archive.dicom.pixels.pixel_description import describe
from pixel_oracle import dicom_json, image

GREY = np.arange(16, dtype=np.uint8).reshape(4, 4)


@pytest.mark.parametrize(
    "name", ["OBXXXX1A.dcm", "OT-PAL-8-face.dcm", "gdcm-US-ALOKA-16.dcm", "examples_palette.dcm"]
)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom.*")
def test_palettes_of_real_files(shared_data: Path, pydicom_data: Path, name: str) -> None:
    path = next(path for folder in (shared_data, pydicom_data) for path in folder.rglob(name))
    data_set = pydicom.dcmread(path, force=True)
    data_set.file_meta.TransferSyntaxUID = data_set.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    expected = apply_color_lut(data_set.pixel_array, data_set)
    if expected.max() > 255:
        expected = expected >> 8
    metadata = dicom_json(data_set)
    ours = palette(metadata, describe(metadata)).apply(data_set.pixel_array)
    np.testing.assert_array_equal(ours, expected)


def with_palette(descriptor: list[int], **data: bytes) -> dict:
    """An image with this descriptor three times and `<Colour>PaletteColorLookupTableData` or its segmented form."""
    data_set = Dataset()
    for colour in ("Red", "Green", "Blue"):
        data_set.add_new(
            pydicom.datadict.tag_for_keyword(f"{colour}PaletteColorLookupTableDescriptor"), "SS", descriptor
        )
        for form, value in data.items():
            keyword = "".join((form.removesuffix("Data"), f"{colour}PaletteColorLookupTableData"))
            setattr(data_set, keyword, value)
    return {**image(GREY, "PALETTE COLOR"), **json.loads(data_set.to_json())}


def test_a_palette_with_a_first_value() -> None:
    metadata = with_palette([4, 10, 8], Data=bytes([1, 2, 3, 4]))
    colours = palette(metadata, describe(metadata)).apply(np.array([[0, 10, 11, 13, 200]]))
    assert colours[0, :, 0].tolist() == [1, 1, 2, 4, 4]


def test_a_palette_of_65536_entries_whose_count_is_0() -> None:
    entries = np.arange(65536, dtype="<u2")
    metadata = with_palette([0, 0, 16], Data=entries.tobytes())
    assert palette(metadata, describe(metadata)).apply(np.array([[65535]]))[0, 0].tolist() == [255] * 3


def test_a_palette_shorter_than_its_indices_ends_where_its_data_ends() -> None:
    metadata = with_palette([256, 0, 8], Data=bytes([7, 9]))
    assert palette(metadata, describe(metadata)).apply(np.array([[0, 1, 255]]))[0, :, 2].tolist() == [7, 9, 9]


def test_a_segmented_palette() -> None:
    segments = bytes([0, 2, 10, 20, 1, 4, 60, 0, 2, 1, 2])
    metadata = with_palette([8, 0, 8], SegmentedData=segments + b"\0")
    colours = palette(metadata, describe(metadata)).apply(np.array([np.arange(8)]))
    assert colours[0, :, 0].tolist() == [10, 20, 30, 40, 50, 60, 1, 2]


def test_indirect_segments_of_16_bits_count_bytes() -> None:
    words = np.array([0, 2, 100, 200, 2, 1, 0, 0], "<u2")
    assert expand_segments(words.tobytes(), 16, 16).tolist() == [100, 200, 100, 200]


def test_indirect_segments_of_8_bits() -> None:
    segments = bytes([0, 2, 1, 2, 0, 1, 9, 2, 1, 4, 0, 0, 0])
    assert expand_segments(segments, 8, 16).tolist() == [1, 2, 9, 9]


@pytest.mark.parametrize(
    "segments", [bytes([1, 4, 60]), bytes([9, 1, 1]), bytes([0, 1, 1, 2, 1, 3, 0, 0, 0])]
)
def test_impossible_segments(segments: bytes) -> None:
    with pytest.raises(CannotRender):
        expand_segments(segments, 8, 256)


def test_expansion_is_bounded() -> None:
    words = np.array([0, 1, 7] + [1, 65535, 9] * 1000, "<u2")
    assert len(expand_segments(words.tobytes(), 16, 256)) == 256


@pytest.mark.parametrize("metadata", [image(GREY), with_palette([256, 0, 8]), with_palette([1], Data=b"1")])
def test_no_palette(metadata: dict) -> None:
    with pytest.raises(CannotRender):
        palette(metadata, describe(metadata))


def test_a_lut_of_us_values_and_one_of_bytes() -> None:
    item = {"00283002": {"vr": "US", "Value": [3, 5, 12]}}
    as_values = {**item, "00283006": {"vr": "US", "Value": [0, 1000, 4095]}}
    as_bytes = {**item, "00283006": {"vr": "OW", "InlineBinary": "AADoA/8P"}}
    for each in (as_values, as_bytes):
        table = lookup_table(each, describe(image(GREY)))
        assert table is not None
        assert table.apply(np.array([0, 5, 6, 7, 99])).tolist() == [0, 0, 1000, 4095, 4095]
        assert table.bits == 12


def test_a_lut_that_begins_below_zero_though_its_descriptor_is_unsigned() -> None:
    item = {
        "00283002": {"vr": "US", "Value": [2, 65535, 8]},
        "00283006": {"vr": "US", "Value": [10, 20]},
    }
    table = lookup_table(item, describe(image(GREY.astype(np.int16))))
    assert table is not None
    assert table.apply(np.array([-2, -1, 0, 1])).tolist() == [10, 10, 20, 20]


def test_an_empty_lut_is_none() -> None:
    assert lookup_table({}, describe(image(GREY))) is None
    assert lookup_table({"00283002": {"vr": "US", "Value": [3, 0, 8]}}, describe(image(GREY))) is None


@pytest.mark.parametrize("bits", [0, 1, 1025, 65535])
def test_impossible_bits_of_a_lut(bits: int) -> None:
    """An entry has 16 bits at most, whatever the descriptor says."""
    item = {"00283002": {"vr": "US", "Value": [3, 0, bits]}, "00283006": {"vr": "US", "Value": [0, 1, 2]}}
    table = lookup_table(item, describe(image(GREY)))
    assert table is not None
    assert table.bits == (2 if bits < 16 else 16)
    for huge in (1e300, -5):
        odd = {**item, "00283006": {"vr": "US", "Value": [0, 1, huge]}}
        table = lookup_table(odd, describe(image(GREY)))
        assert table is not None
        assert 0 <= table.entries.min() <= table.entries.max() <= 65535


def test_empty_segments_are_refused() -> None:
    """Two thousand references to eight thousand of them would be sixteen million steps that lead nowhere."""
    words = [0, 1, 7, *([2, 65535, 2 * (3 + 4 * 2000), 0] * 2000), *([0, 0] * 8000)]
    with pytest.raises(CannotRender):
        expand_segments(np.array(words, "<u2").tobytes(), 16, 65536)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("colours", [False, True])
def test_a_table_changes_each_value_as_it_stands(dtype: type, colours: bool) -> None:
    """Also the least and the greatest that there are, in more blocks than one, and in part of an array."""
    ends = np.iinfo(dtype)
    drawn = np.random.default_rng(7).integers(ends.min, ends.max, (300, 700), dtype=dtype, endpoint=True)
    drawn[0, :2] = ends.min, ends.max

    def change(values: NDArray[np.float64]) -> NDArray[Any]:
        changed = np.asarray(values * 3 + 1, np.int32)
        return np.stack([changed, -changed], axis=1) if colours else changed

    for stored in (drawn, drawn[::2, 1:500], drawn[:1, :1], np.zeros((2, 2), dtype)):
        found = through_table(stored, change)
        assert found is not None
        wanted = stored.astype(np.int32) * 3 + 1
        assert np.array_equal(found, np.stack([wanted, -wanted], axis=2) if colours else wanted)
    assert through_table(np.zeros((0, 4), dtype), change) is None
