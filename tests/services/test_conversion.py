"""dimse.md 1.4 row "Transcode when the destination lacks the stored TS": every file of the collection in every transfer
syntax that we make, against pydicom and against its Explicit VR Little Endian form, which has tests of its own."""

from __future__ import annotations

import functools
import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from archive.dicom import part10
from archive.dicom.errors import ArchiveError, CannotRender, NotAcceptable
from archive.dicom.pixels import encoders
from archive.dicom.pixels.decoder import HERE
from archive.dicom.pixels.encoders import LOSSLESS
from archive.services import compression
from archive.services.compression import Conversion
from archive.services.conversion import converted, forms
from dicom_files import every_file, identify
from objects import ct, multi_frame, secondary_capture
from objects import part10 as file_of
from recoding_oracle import opened, pixels
from refused_files import REFUSED
from stored_file import Stored

Store = Callable[..., Stored]
PIXEL_DATA = 0x7FE00010
CHANGED = {PIXEL_DATA, 0x00280004, 0x00280006, 0x7FE00001, 0x7FE00002, 0x7FE00003}


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    return functools.partial(Stored, tmp_path / "data")


def conversion(stored: Stored) -> Conversion:
    return Conversion(stored.instance, stored.open, stored.table, lambda: stored.metadata, HERE)


def made(stored: Stored, transfer_syntax_uid: str) -> bytes:
    return b"".join(converted(conversion(stored), transfer_syntax_uid))


FILES = [path for path in every_file() if path.name not in REFUSED]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("path", FILES, ids=identify)
def test_implicit_vr_says_what_explicit_vr_says(stored: Store, path: Path) -> None:
    one = stored(path.read_bytes())
    try:
        explicit = made(one, ExplicitVRLittleEndian)
    except NotAcceptable as refused:
        with pytest.raises(type(refused)):
            made(one, ImplicitVRLittleEndian)
        return
    implicit = made(one, ImplicitVRLittleEndian)
    if _walk(implicit, implicit=True) != _walk(explicit, implicit=False):
        # A sequence that came as UN is one in implicit VR, and stays UN in explicit (PS3.5 6.2.2).
        read = [read_dataset(io.BytesIO(each), each is implicit, True) for each in (implicit, explicit)]
        assert read[0] == read[1]
        assert b"UN\0\0" in explicit
    if one.instance.transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
        deflated = made(one, DeflatedExplicitVRLittleEndian)
        assert len(deflated) % 2 == 0
        assert zlib.decompress(deflated, -zlib.MAX_WBITS) == explicit


def _walk(data_set: bytes, *, implicit: bool) -> list[tuple[str, object]]:
    """Tags, depths and raw values, by a reader of a few lines that knows nothing else."""
    found: list[tuple[str, object]] = []
    position, depth = 0, 0
    while position < len(data_set):
        tag = int.from_bytes(data_set[position : position + 2], "little") << 16
        tag |= int.from_bytes(data_set[position + 2 : position + 4], "little")
        vr = b"" if implicit or tag >> 16 == 0xFFFE else data_set[position + 4 : position + 6]
        if vr in (b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()):
            length, position = int.from_bytes(data_set[position + 8 : position + 12], "little"), position + 12
        elif vr:
            length, position = int.from_bytes(data_set[position + 6 : position + 8], "little"), position + 8
        else:
            length, position = int.from_bytes(data_set[position + 4 : position + 8], "little"), position + 8
        if length == 0xFFFFFFFF:
            found.append((f"{depth} {tag:08X}", "begin"))
            depth += 1
        elif tag in (0xFFFEE00D, 0xFFFEE0DD):
            depth -= 1
        else:
            found.append((f"{depth} {tag:08X}", data_set[position : position + length]))
            position += length
    assert depth == 0
    return found


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_compressed_on_the_way_out(stored: Store, path: Path, tmp_path: Path) -> None:
    """Decoded again it is what it was; and nothing else of the data set has changed."""
    one = stored(path.read_bytes())
    if one.table is None:
        return
    for uid in (*LOSSLESS, "1.2.840.10008.1.2.4.91"):
        try:
            compressed = b"" if uid == one.instance.transfer_syntax_uid else made(one, uid)
        except NotAcceptable:
            compressed = b""  # counted below
        if compressed:
            assert _beside_pixels(compressed) == _beside_pixels(made(one, ExplicitVRLittleEndian))
            head = part10.file_meta(one.instance.SOPClassUID, one.instance.SOPInstanceUID, uid)
            again = Stored(tmp_path / uid, head + compressed)
            theirs, ours = pixels(file(one)), pixels(file(again))
            assert (theirs is None) == (ours is None)
            assert theirs is None or np.array_equal(theirs, ours)
            assert again.table is not None
            assert len(again.table.fragments) == again.table.number_of_frames


def _beside_pixels(data_set: bytes) -> list[tuple[str, object]]:
    """All but the pixel data, its fragments, and what says how to read it."""
    changed = {f"0 {tag:08X}" for tag in CHANGED}
    found, within = [], False
    for place, value in _walk(data_set, implicit=False):
        within = place == "0 7FE00010" or (within and not place.startswith("0 "))
        if place not in changed and not within:
            found.append((place, value))
    return found


def file(stored: Stored) -> bytes:
    head = part10.file_meta(
        stored.instance.SOPClassUID, stored.instance.SOPInstanceUID, ExplicitVRLittleEndian
    )
    return head + made(stored, ExplicitVRLittleEndian)


@pytest.mark.parametrize("uid", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1, RLELossless])
def test_what_can_be_compressed_is(stored: Store, uid: str) -> None:
    """The test above would hold if everything were refused."""
    refused = {}
    for path in FILES:
        one = stored(path.read_bytes())
        small = one.instance.data_set_length < 1 << 19
        if small and one.table is not None and one.instance.transfer_syntax_uid != uid:
            try:
                made(one, uid)
            except ArchiveError as error:
                refused[path.name] = error.reason
    assert len(refused) < len(FILES) / 3, refused
    assert "CT_small.dcm" not in refused
    assert "emri_small.dcm" not in refused


def test_frames_are_encoded_one_by_one(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that fails late has not cost what was sent; what fits in memory is encoded before the first byte."""
    one = stored(file_of(multi_frame(6)))
    calls: list[int] = []
    encode = encoders.encode_frame
    monkeypatch.setattr(compression, "FRAMES_AHEAD", 2000)

    def counted(*given: object) -> bytes:
        calls.append(1)
        if len(calls) == 5:
            raise CannotRender("broken")
        return encode(*given)

    monkeypatch.setattr(encoders, "encode_frame", counted)
    with pytest.raises(CannotRender):
        next(converted(conversion(one), JPEG2000Lossless))
    calls.clear()
    monkeypatch.setattr(compression, "FRAMES_AHEAD", 2)
    pieces = converted(conversion(one), JPEG2000Lossless)
    next(pieces)
    assert len(calls) == 2
    with pytest.raises(CannotRender):
        list(pieces)
    assert len(calls) == 5


def test_big_endian_and_deflated_sources_are_compressed(stored: Store) -> None:
    for uid in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian):
        picture = ct()
        one = stored(file_of(picture, uid))
        again = made(one, JPEG2000Lossless)
        head = part10.file_meta(one.instance.SOPClassUID, one.instance.SOPInstanceUID, JPEG2000Lossless)
        assert np.array_equal(pixels(head + again), pixels(file_of(picture)))


def test_nothing_lossy_is_made(stored: Store) -> None:
    one = stored(file_of(secondary_capture()))
    for uid in (JPEGBaseline8Bit, MPEG4HP41, "1.2.3.4"):
        with pytest.raises(NotAcceptable):
            made(one, uid)


def test_without_pixel_data_every_compressed_syntax_holds_it(stored: Store) -> None:
    report = ct()
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "SamplesPerPixel"):
        delattr(report, keyword)
    one = stored(file_of(report, ImplicitVRLittleEndian))
    explicit = made(one, ExplicitVRLittleEndian)
    for uid in (JPEGBaseline8Bit, JPEG2000Lossless, MPEG4HP41):
        assert made(one, uid) == explicit
    with pytest.raises(NotAcceptable):
        made(one, "1.2.3.4")


def test_the_best_form_comes_first() -> None:
    assert forms(JPEG2000Lossless)[:3] == (JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    assert forms(ImplicitVRLittleEndian, JPEGLSLossless)[:3] == (
        JPEGLSLossless,
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
    )
    assert len(set(forms("1.2.3"))) == len(forms("1.2.3"))


def test_a_native_icon_keeps_its_colours(stored: Store) -> None:
    """Only what is decoded has others: chroma that a native icon shares stays shared."""
    icon = Dataset()
    icon.SamplesPerPixel, icon.PhotometricInterpretation, icon.PlanarConfiguration = 3, "YBR_FULL_422", 0
    icon.Rows = icon.Columns = 2
    icon.BitsAllocated, icon.BitsStored, icon.HighBit, icon.PixelRepresentation = 8, 8, 7, 0
    icon.PixelData = bytes(range(8))
    one = stored(file_of(ct(IconImageSequence=[icon])))
    head = part10.file_meta(one.instance.SOPClassUID, one.instance.SOPInstanceUID, JPEG2000Lossless)
    (again,) = opened(head + made(one, JPEG2000Lossless)).IconImageSequence
    assert (again.PhotometricInterpretation, again.PixelData) == ("YBR_FULL_422", bytes(range(8)))
