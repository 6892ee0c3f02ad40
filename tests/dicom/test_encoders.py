"""dimse.md 1.4 row "Transcode when the destination lacks the stored TS": every encoder gives every bit back, told by
decoders that are not its own where there are any, and refuses what it would lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array

from archive.dicom.errors import CannotRender, NotAcceptable
from archive.dicom.pixels import codecs, encoders
from archive.dicom.pixels.encoders import ENCODERS, LOSSLESS, Encoder, Takes, check, encode_frame
from archive.dicom.pixels.native import NativeFrame, native_frame
from archive.dicom.pixels.pixel_description import PixelDescription

DEEP = [uid for uid, row in ENCODERS.items() if row.takes is Takes.SAMPLES]
PYDICOM_LACKS = {
    f"1.2.840.10008.1.2.{end}" for end in ("4.57", "4.70", "4.80", "4.81", "4.110", "4.112", "8.1", "1.98")
}
"""Without optional packages, or at all."""


def described(values: np.ndarray, stored: int = 0, colour: str = "") -> PixelDescription:
    samples = values.shape[2] if values.ndim > 2 else 1
    bits = 8 * values.dtype.itemsize
    return PixelDescription(
        Rows=values.shape[0],
        Columns=values.shape[1],
        SamplesPerPixel=samples,
        BitsAllocated=bits,
        BitsStored=stored or bits,
        HighBit=(stored or bits) - 1,
        PixelRepresentation=int(values.dtype.kind == "i"),
        PlanarConfiguration=0,
        PhotometricInterpretation=colour or ("RGB" if samples > 1 else "MONOCHROME2"),
    )


def native(values: np.ndarray, description: PixelDescription) -> NativeFrame:
    return NativeFrame(values.tobytes(), description.PhotometricInterpretation, 0)


def noise(
    bits: int, *, signed: bool = False, samples: int = 1, shape: tuple[int, int] = (13, 18)
) -> np.ndarray:
    lowest, end = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    size = (*shape, samples) if samples > 1 else shape
    kind = f"<{'i' if signed else 'u'}{2 if bits > 8 else 1}"
    return np.random.default_rng(bits).integers(lowest, end, size).astype(kind)


@pytest.mark.parametrize("uid", ENCODERS)
@pytest.mark.parametrize(
    ("bits", "signed", "samples"),
    [
        (8, False, 1),
        (8, True, 1),
        (8, False, 3),
        (10, False, 1),
        (12, True, 1),
        (16, False, 1),
        (16, True, 1),
    ],
)
def test_every_bit_comes_back(uid: str, bits: int, signed: bool, samples: int) -> None:
    values = noise(bits, signed=signed, samples=samples)
    description = described(values, bits)
    codestream = encode_frame(native(values, description), description, uid)
    assert len(codestream) % 2 == 0
    colour, planar = encoders.colours(native(values, description), uid)
    after = replace(description, PhotometricInterpretation=colour, PlanarConfiguration=planar)
    again = native_frame(codestream, after, uid)
    assert again.value == values.tobytes()
    assert again.PhotometricInterpretation == description.PhotometricInterpretation


@pytest.mark.parametrize("uid", [uid for uid in ENCODERS if uid not in PYDICOM_LACKS])
@pytest.mark.parametrize(
    ("bits", "signed", "samples"), [(8, False, 3), (12, False, 1), (12, True, 1), (16, False, 1)]
)
def test_others_read_the_same(uid: str, bits: int, signed: bool, samples: int) -> None:
    """pydicom with OpenJPEG and its own RLE decoder."""
    values = noise(bits, signed=signed, samples=samples)
    description = described(values, bits)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid
    for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit"):
        setattr(made, name, getattr(description, name))
    made.PixelRepresentation = description.PixelRepresentation
    made.PhotometricInterpretation = encoders.colours(native(values, description), uid)[0]
    if samples > 1:
        made.PlanarConfiguration = 0
    made.PixelData = encapsulate([encode_frame(native(values, description), description, uid)])
    made["PixelData"].is_undefined_length = True
    assert np.array_equal(pixel_array(made, raw=True), values)


@given(
    st.sampled_from(DEEP),
    st.integers(2, 16),
    st.booleans(),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_pictures_of_any_size_and_depth(
    uid: str, bits: int, signed: bool, rows: int, columns: int, seed: int
) -> None:
    kind = f"<{'i' if signed else 'u'}{2 if bits > 8 else 1}"
    lowest = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(lowest, lowest + (1 << bits), (rows, columns)).astype(kind)
    description = described(values, bits)
    try:
        codestream = encode_frame(native(values, description), description, uid)
    except (NotAcceptable, CannotRender):
        return  # refused, never altered
    assert native_frame(codestream, description, uid).value == values.tobytes()


def test_hardly_anything_is_refused() -> None:
    """The property above would hold for encoders that refuse everything."""
    for uid in DEEP:
        values = noise(12, shape=(1, 1))
        description = described(values, 12)
        assert encode_frame(native(values, description), description, uid)


@pytest.mark.parametrize("uid", DEEP)
def test_overlays_in_the_pixel_cells_are_not_lost(uid: str) -> None:
    values = noise(12) | 0x8000
    description = described(values, 12)
    with pytest.raises(NotAcceptable, match="more than the pixels"):
        encode_frame(native(values, description), description, uid)


def test_rle_keeps_whole_cells() -> None:
    values = noise(12) | 0x8000
    description = described(values, 12)
    codestream = encode_frame(native(values, description), description, "1.2.840.10008.1.2.5")
    assert native_frame(codestream, description, "1.2.840.10008.1.2.5").value == values.tobytes()


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.8.1"])
def test_planes_and_shared_chroma(uid: str) -> None:
    values = noise(8, samples=3)
    planes = NativeFrame(np.ascontiguousarray(values.transpose(2, 0, 1)).tobytes(), "RGB", 1)
    description = described(values)
    codestream = encode_frame(planes, description, uid)
    colour, planar = encoders.colours(planes, uid)
    after = replace(description, PhotometricInterpretation=colour, PlanarConfiguration=planar)
    assert np.array_equal(codecs.decode_frame(codestream, after, uid).values, values)
    shared = NativeFrame(bytes(range(234)) * 2, "YBR_FULL_422", 0)
    colour, planar = encoders.colours(shared, uid)
    assert colour == ("YBR_FULL_422" if uid.endswith("8.1") else "YBR_FULL")
    codestream = encode_frame(shared, description, uid)
    before = replace(description, PhotometricInterpretation="YBR_FULL_422")
    after = replace(description, PhotometricInterpretation=colour, PlanarConfiguration=planar)
    expected = codecs.decode_frame(shared.value, before, "1.2.840.10008.1.2.1").values
    assert np.array_equal(codecs.decode_frame(codestream, after, uid).values, expected)


def test_single_bits() -> None:
    """Decoders disagree on how RLE packs them, so they are only deflated, or wrapped."""
    values = (noise(8) & 1).astype("u1")
    description = replace(described(values, 1), BitsAllocated=1)
    packed = NativeFrame(np.packbits(values, axis=None, bitorder="little").tobytes(), "MONOCHROME2", 0)
    for uid in ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"):
        with pytest.raises(NotAcceptable):
            encode_frame(packed, description, uid)
    codestream = encode_frame(packed, description, "1.2.840.10008.1.2.8.1")
    assert np.array_equal(
        codecs.decode_frame(codestream, description, "1.2.840.10008.1.2.8.1").values, values
    )


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.102", "1.2.3"])
def test_what_would_lose_something_is_refused(uid: str) -> None:
    values = noise(8)
    description = described(values)
    with pytest.raises(NotAcceptable, match="without loss"):
        encode_frame(native(values, description), description, uid)
    with pytest.raises(NotAcceptable, match="without loss"):
        check(description, uid)


def test_what_no_frame_could_be_is_said_before() -> None:
    plain = described(noise(12), 12)
    check(plain, "1.2.840.10008.1.2.4.90")
    for odd in (replace(plain, HighBit=15), replace(plain, BitsAllocated=32), replace(plain, is_float=True)):
        with pytest.raises(NotAcceptable):
            check(odd, "1.2.840.10008.1.2.4.90")


def test_an_encoder_that_errs_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise(12)
    description = described(values, 12)
    wrong = Encoder(
        Takes.SAMPLES, lambda given, after: ENCODERS["1.2.840.10008.1.2.4.91"].encode(given + 1, after)
    )
    monkeypatch.setattr(encoders, "ENCODERS", {"1.2.840.10008.1.2.4.90": wrong})
    with pytest.raises(CannotRender, match="does not come back"):
        encode_frame(native(values, description), description, "1.2.840.10008.1.2.4.90")


def test_nothing_that_may_lose_is_proposed() -> None:
    assert "1.2.840.10008.1.2.4.90" in LOSSLESS
    assert not {"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.81"} & set(LOSSLESS)


@pytest.mark.parametrize("uid", DEEP)
def test_chroma_stays_where_it_is(uid: str) -> None:
    """Of every pixel: libjpeg would share it among four by habit. JPEG XL knows no such colours, and says so."""
    values = noise(8, samples=3)
    description = described(values, colour="YBR_FULL")
    if uid.endswith((".110", ".112")):
        with pytest.raises(CannotRender, match="does not come back"):
            encode_frame(native(values, description), description, uid)
        return
    codestream = encode_frame(native(values, description), description, uid)
    assert native_frame(codestream, description, uid).value == values.tobytes()
