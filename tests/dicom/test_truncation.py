"""An object that was cut off is refused wherever it was cut."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from archive.dicom.errors import InvalidObject
from archive.dicom.reading.reader import DataSetReader
from archive.dicom.transfer_syntaxes import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
from dicom_files import split
from encoded_bytes import explicit, identified, read
from objects import encoded, secondary_capture

CUT_ANYWHERE = [
    "SC_rgb_small_odd.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
]
CUT_HERE_AND_THERE = [
    "MR_small_implicit.dcm",
    "CT_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_RLE.dcm",
    "rtplan.dcm",
]


def _accepted_cuts(data_set: bytes, uid: str, cuts: Iterator[int]) -> list[int]:
    """The lengths at which the beginning of the data set is taken for a whole object."""
    found = []
    for cut in cuts:
        reader = DataSetReader(uid)
        try:
            reader.feed(data_set[:cut])
            reader.finish()
        except InvalidObject:
            continue
        found.append(cut)
    return found


def _between_elements_at_the_top(data_set: bytes, uid: str, cut: int) -> bool:
    """Whether nothing is torn at `cut`: there, and only there, lengths cannot tell."""
    marker = struct.pack("<HH2sH", 0x7777, 0x0010, b"LO", 2) + b"AB"
    if uid == ImplicitVRLittleEndian:
        marker = struct.pack("<HHI", 0x7777, 0x0010, 2) + b"AB"
    if uid == ExplicitVRBigEndian:
        marker = struct.pack(">HH2sH", 0x7777, 0x0010, b"LO", 2) + b"AB"
    reader = DataSetReader(uid)
    reader.feed(data_set[:cut] + marker)
    try:
        return b"77770010" in _text(reader.finish().metadata)
    except InvalidObject:
        return False


def _text(compressed: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(compressed)


@pytest.mark.parametrize("name", CUT_ANYWHERE)
def test_an_image_cut_at_any_byte_after_its_description_is_refused(name: str, pydicom_data: Path) -> None:
    """Reliability: O1."""
    meta, data_set = split((pydicom_data / "test_files" / name).read_bytes())
    described = data_set.index(b"\x28\x00\x00\x01")
    cuts = _accepted_cuts(data_set, meta.transfer_syntax_uid, iter(range(described + 10, len(data_set))))
    assert cuts == []


@pytest.mark.parametrize("name", [*CUT_ANYWHERE, *CUT_HERE_AND_THERE])
def test_a_data_set_cut_inside_an_element_is_refused(name: str, pydicom_data: Path) -> None:
    """Before the image is described a cut between two elements cannot be seen; every other one can."""
    meta, data_set = split((pydicom_data / "test_files" / name).read_bytes())
    cuts = iter(sorted({*range(0, min(len(data_set), 3000), 7), *range(3000, len(data_set), 211)}))
    for cut in _accepted_cuts(data_set, meta.transfer_syntax_uid, cuts):
        assert _between_elements_at_the_top(data_set, meta.transfer_syntax_uid, cut)


@pytest.mark.parametrize("uid", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_small_object_cut_at_every_byte(uid: str) -> None:
    """Reliability: O1."""
    data_set = encoded(secondary_capture(), uid)
    for cut in _accepted_cuts(data_set, uid, iter(range(len(data_set)))):
        assert _between_elements_at_the_top(data_set, uid, cut)
    assert _accepted_cuts(data_set, uid, iter([len(data_set)])) == [len(data_set)]


def test_a_deflated_object_cut_at_every_byte() -> None:
    data_set = encoded(secondary_capture(), DeflatedExplicitVRLittleEndian)
    whole = len(data_set.rstrip(b"\0"))
    assert _accepted_cuts(data_set, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, iter(range(whole - 1))) == []


def test_whoever_describes_pixels_has_pixels() -> None:
    description = b"".join(explicit(tag, "US", b"\x08\x00") for tag in (0x00280010, 0x00280011, 0x00280100))
    with pytest.raises(InvalidObject, match="no pixel data"):
        read(identified(after=description))
    read(identified(after=description + explicit(0x00287FE0, "UR", b"http://elsewhere ")))
    read(identified(after=description + explicit(0x7FE00010, "OW", bytes(128))))
    read(identified(after=description[:-10]))
