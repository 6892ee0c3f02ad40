"""dicomweb.md N4, N5: every object can be had in Explicit VR Little Endian. pydicom is the other opinion."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from archive.dicom.errors import CannotRender, NotAcceptable
from archive.dicom.pixels.native import NativeFrame
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing import recoded
from archive.services import explicit
from archive.services.explicit import DecodedPixels
from archive.services.readable import Readable
from archive.storage.base import Blob
from dicom_files import every_file, identify, split
from objects import ct, part10, secondary_capture
from recoding_oracle import differences, opened, pixels
from refused_files import REFUSED
from stored_file import Stored

Store = Callable[..., Stored]
SingleBits = tuple[np.ndarray, list[bytes], DecodedPixels]
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
UNDECODABLE = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""Its codestream is no picture; pydicom cannot decode it either."""


SAME_PIXELS = {
    "liver_deflate.dcm": "liver.dcm",
    "liver_rle.dcm": "liver.dcm",
    "liver_nonbyte_aligned_deflate.dcm": "liver_nonbyte_aligned.dcm",
    "liver_nonbyte_aligned_rle.dcm": "liver_nonbyte_aligned.dcm",
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "emri_small_jpeg_ls_lossless.dcm": "emri_small.dcm",
}
"""Files that pydicom cannot decode, and those they were made from."""


def files(*, compressed: bool) -> list[Path]:
    """Those that the archive takes, and whose pixel data is compressed or not."""
    found = []
    for path in every_file():
        if path.name not in REFUSED and path.name not in UNDECODABLE:
            meta, _ = split(path.read_bytes())
            if transfer_syntax(meta.transfer_syntax_uid).encapsulated is compressed:
                found.append(path)
    return found


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    return functools.partial(Stored, tmp_path / "data")


def whole(readable: Readable) -> bytes:
    """All of it, as long as it said it would be."""
    got = b"".join(readable.read(0, readable.length))
    assert len(got) == readable.length
    return got


@pytest.mark.parametrize("path", files(compressed=False), ids=identify)
def test_every_native_file_is_the_same_data_set(path: Path, stored: Store) -> None:
    file = path.read_bytes()
    got = whole(stored(file).explicit())
    assert differences(file, got) == []
    expected = pixels(file)
    if expected is not None:
        assert np.array_equal(expected, pixels(got), equal_nan=expected.dtype.kind == "f")


@pytest.mark.parametrize("path", files(compressed=True), ids=identify)
def test_every_compressed_file_is_decoded(path: Path, stored: Store) -> None:
    file = path.read_bytes()
    got = whole(stored(file).explicit())
    assert differences(file, got) == []
    found, expected = pixels(got), pixels(file)
    assert found is not None
    if path.name in SAME_PIXELS:
        expected = pixels(
            next(each for each in every_file() if each.name == SAME_PIXELS[path.name]).read_bytes()
        )
    if expected is not None:
        assert np.array_equal(expected, found)


@pytest.mark.parametrize("kept", [recoded.KEPT, 0], ids=["kept", "walked again"])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_any_part_can_be_read(stored: Store, monkeypatch: pytest.MonkeyPatch, syntax: str, kept: int) -> None:
    """dicomweb.md N14: what Range requests ask for."""
    monkeypatch.setattr(recoded, "KEPT", kept)
    readable = stored(part10(ct(Rows=512), syntax)).explicit()
    got = whole(readable)
    for offset in (0, 1, 131, 700, 4000, len(got) - 70_001, len(got) - 1):
        for length in (0, 1, 3, 5000, 70_001):
            assert b"".join(readable.read(offset, length)) == got[offset : offset + length]


@pytest.fixture(scope="module", params=["rle", "deflated frames"])
def single_bits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SingleBits:
    """Three frames of 15 bits, compressed."""
    bits = np.random.default_rng(3).integers(0, 2, 3 * 15, dtype=np.uint8)
    frames = [np.packbits(bits[at : at + 15], bitorder="little").tobytes() for at in (0, 15, 30)]
    compress, uid = {"rle": (_run_length, RLELossless), "deflated frames": (_deflated, DEFLATED_FRAMES)}[
        request.param
    ]
    data_set = secondary_capture(
        Rows=3, Columns=5, NumberOfFrames=3, BitsAllocated=1, BitsStored=1, HighBit=0
    )
    data_set.PixelData = encapsulate([compress(frame) for frame in frames])
    return bits, frames, Stored(tmp_path_factory.mktemp("bits"), part10(data_set, RLELossless), uid).pixels()


def _run_length(frame: bytes) -> bytes:
    """One segment with one literal run (PS3.5 annex G)."""
    literal = bytes((len(frame) - 1,)) + frame
    return b"\1\0\0\0\x40\0\0\0" + bytes(56) + literal + b"\x80" * (len(literal) % 2)


def _deflated(frame: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(frame) + stream.flush()


@given(offset=st.integers(0, 6), length=st.integers(0, 8))
def test_bits_of_frames_follow_each_other_without_padding(
    single_bits: SingleBits, offset: int, length: int
) -> None:
    """dicomweb.md N12."""
    bits, frames, got = single_bits
    expected = np.packbits(bits, bitorder="little").tobytes()
    assert b"".join(got.pieces(0, got.size.length)) == expected
    assert b"".join(got.pieces(offset, length)) == expected[offset : offset + length]
    assert list(got.frames((2, 1, 3))) == [frames[1], frames[0], frames[2]]


@pytest.mark.parametrize("name", ["US1_J2KR.dcm", "SC_rgb_rle_2frame.dcm", "emri_small_RLE.dcm"])
def test_any_part_of_a_decoded_object_can_be_read(stored: Store, name: str) -> None:
    path = next(path for path in files(compressed=True) if path.name == name)
    readable = stored(path.read_bytes()).explicit()
    got = whole(readable)
    for offset in range(0, len(got), len(got) // 9):
        assert b"".join(readable.read(offset, 70_001)) == got[offset : offset + 70_001]


def test_memory_does_not_hold_the_decoded_object(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decoded ahead has a bound, and what comes after it is the same."""
    path = next(path for path in files(compressed=True) if path.name == "emri_small_RLE.dcm")
    expected = whole(stored(path.read_bytes()).explicit())
    monkeypatch.setattr(explicit, "AHEAD", 3 * 64 * 64 * 2)
    file = stored(path.read_bytes())
    pixels_ahead = file.pixels()
    pixels_ahead.make_sure()
    assert len(pixels_ahead._ahead) == 3
    assert whole(file.explicit()) == expected


def test_what_is_decoded_before_its_turn_has_a_bound_for_all_together(
    stored: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many slow clients must not fill the memory: who finds no room decodes again, and sends the same."""
    path = next(path for path in files(compressed=True) if path.name == "emri_small_RLE.dcm")
    file = stored(path.read_bytes())
    size = file.pixels().size
    expected = b"".join(file.pixels().pieces(0, size.length))
    monkeypatch.setattr(explicit, "_ROOM", explicit._Room(2 * size.length))
    many = [file.pixels() for _ in range(5)]
    for one in many:
        one.make_sure()
    assert [len(one._ahead) > 0 for one in many] == [True, True, False, False, False]
    assert {b"".join(one.pieces(0, size.length)) for one in many} == {expected}
    begun = [one.frames(range(1, size.number_of_frames + 1)) for one in many]
    assert {next(one) for one in begun} == {expected[: size.bytes_per_frame]}
    many.clear()
    begun.clear()
    again = file.pixels()
    again.make_sure()
    assert again._ahead


def test_a_range_is_decoded_for_itself(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """dicomweb.md N14: a byte in the middle costs its frame and the first, not all that fits in memory."""
    path = next(path for path in files(compressed=True) if path.name == "emri_small_RLE.dcm")
    decoded = []
    decode = DecodedPixels._decode

    def noting(pixels: DecodedPixels, blob: Blob, number: int) -> NativeFrame:
        decoded.append(number)
        return decode(pixels, blob, number)

    monkeypatch.setattr(DecodedPixels, "_decode", noting)
    got = stored(path.read_bytes()).pixels()
    assert len(b"".join(got.pieces(got.size.length - 10, 10))) == 10
    assert decoded == [got.size.number_of_frames, 1]


def test_a_broken_codestream_is_known_before_the_first_byte(stored: Store) -> None:
    frames = [bytes(_run_length(bytes(range(64)))) for _ in range(3)]
    data_set = secondary_capture(NumberOfFrames=3)
    data_set.PixelData = encapsulate([*frames[:2], frames[2][:80]])
    readable = stored(part10(data_set, RLELossless)).explicit()
    with pytest.raises(CannotRender):
        readable.make_sure()


@pytest.mark.parametrize(
    "uid", ["1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.65", "1.2.840.113619.5.2", "1.2.3"]
)
def test_what_has_no_decoder_is_refused_without_reading_it(stored: Store, uid: str) -> None:
    data_set = secondary_capture(NumberOfFrames=1)
    data_set.PixelData = encapsulate([b"nothing that we know"])
    one = stored(part10(data_set, RLELossless), uid)
    with pytest.raises(NotAcceptable, match="transfer-syntax="):
        explicit.check(one.instance, one.table)


def test_pixel_data_longer_than_an_element_is_refused(stored: Store) -> None:
    """PS3.18 8.7.8.1, note."""
    data_set = secondary_capture(Rows=65535, Columns=1500, BitsAllocated=16, BitsStored=16, NumberOfFrames=22)
    data_set.PixelData = encapsulate([b"\0\0"] * 22)
    one = stored(part10(data_set, RLELossless))
    with pytest.raises(NotAcceptable, match="longer than an element"):
        explicit.check(one.instance, one.table)


def test_frames_that_are_missing_are_refused(stored: Store) -> None:
    data_set = secondary_capture(NumberOfFrames=3)
    data_set.PixelData = encapsulate([_run_length(bytes(64)), _run_length(bytes(64))])
    one = stored(part10(data_set, RLELossless))
    with pytest.raises(CannotRender, match="3 frames are declared and 2 are there"):
        explicit.check(one.instance, one.table)


def test_an_icon_is_decoded_where_it_stands(stored: Store) -> None:
    icon = secondary_capture(Rows=4, Columns=4)
    data_set = secondary_capture()
    data_set.PixelData = encapsulate([_run_length(bytes(range(64)))])
    small = Dataset()
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"):
        setattr(small, keyword, getattr(icon, keyword))
    small.BitsAllocated, small.BitsStored, small.HighBit, small.PixelRepresentation = 8, 8, 7, 0
    small.PixelData = encapsulate([_run_length(bytes(range(16)))])
    small["PixelData"].is_undefined_length = True
    data_set.IconImageSequence = [small]
    got = opened(whole(stored(part10(data_set, RLELossless)).explicit()))
    assert got.IconImageSequence[0].PixelData == bytes(range(16))
    assert got.PixelData == bytes(range(64))


def test_the_file_meta_information_names_the_new_transfer_syntax(stored: Store) -> None:
    data_set = ct()
    got = opened(whole(stored(part10(data_set, ImplicitVRLittleEndian)).explicit()))
    assert got.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert got.file_meta.MediaStorageSOPInstanceUID == data_set.SOPInstanceUID
    assert got.file_meta.MediaStorageSOPClassUID == data_set.SOPClassUID


def test_what_was_lossy_says_so_still(stored: Store) -> None:
    path = next(path for path in files(compressed=True) if path.name == "SC_rgb_dcmtk_+eb+cy+np.dcm")
    got = opened(whole(stored(path.read_bytes()).explicit()))
    assert got.LossyImageCompression == "01"
    assert (got.PhotometricInterpretation, got.PlanarConfiguration) == ("YBR_FULL", 0)
