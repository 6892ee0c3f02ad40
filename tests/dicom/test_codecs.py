"""Every frame of the real files decodes to what pydicom makes of it, or is in a list here with the reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from archive.dicom.errors import CannotRender
from archive.dicom.pixels.codecs import DECODERS
from archive.dicom.pixels.pixel_description import PIXEL_BUDGET
from archive.dicom.rendering.pixel_data import decode
from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pixel_oracle import Sample, image, sample, samples

NATIVE = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
J = "1.2.840.10008.1.2.4."

CANNOT = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "the codestream's SIZ segment is overwritten by a delimiter",
    "MR_truncated.dcm": "pixel data cut short; refused at ingest",
    "meta_missing_tsyntax.dcm": "no Rows and Columns",
    "nested_priv_SQ.dcm": "no Rows and Columns",
}

WITHOUT_ORACLE = {
    # file: the file with the same pixels, or "" where there is none and the round trips below have to do
    "JLSL_08_07_0_1F.dcm": "",
    "JLSL_16_15_1_1F.dcm": "",
    "JLSL_RGB_ILV0.dcm": "",
    "JLSL_RGB_ILV1.dcm": "",
    "JLSL_RGB_ILV2.dcm": "",
    "JLSN_RGB_ILV0.dcm": "",
    "JPEG-LL.dcm": "",
    "JPGLosslessP14SV1_1s_1f_8b.dcm": "",
    "bad_sequence.dcm": "",
    "emri_small_jpeg_ls_lossless.dcm": "emri_small.dcm",
    "liver_deflate.dcm": "liver.dcm",
    "liver_nonbyte_aligned_deflate.dcm": "liver_nonbyte_aligned.dcm",
    "liver_nonbyte_aligned_rle.dcm": "liver_nonbyte_aligned.dcm",
    "liver_rle.dcm": "liver.dcm",
    "JPEG-lossy.dcm": "",
    "JPGExtended.dcm": "",
    "JPEGLSNearLossless_08.dcm": "",
    "JPEGLSNearLossless_16.dcm": "",
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "SC_rgb_jls_lossy_line.dcm": "",
    "SC_rgb_jls_lossy_sample.dcm": "",
    "SC_rgb_jpeg_gdcm.dcm": "SC_rgb_rle.dcm",
    "badVR.dcm": "",
}


def decoded(one: Sample) -> np.ndarray:
    return decode(one.frame, one.metadata, one.transfer_syntax_uid)


def problems(folder: Path) -> list[str]:
    """What is not as the oracle or the tables above say."""
    found = []
    for one in samples(folder):
        try:
            values = decoded(one)
        except CannotRender as refusal:
            if one.name not in CANNOT:
                found.append(f"{one.name}: {refusal.reason}")
            continue
        if one.name in CANNOT:
            found.append(f"{one.name}: decodes, though listed as hopeless")
        elif one.expected is None and one.name not in WITHOUT_ORACLE:
            found.append(f"{one.name}: the oracle has no answer")
        elif one.expected is not None and not np.array_equal(values, one.expected):
            found.append(f"{one.name}: {values.shape} {values.dtype} differs from {one.expected.dtype}")
    return found


def test_shared_files_decode_as_pydicom_decodes_them(shared_data: Path) -> None:
    assert problems(shared_data) == []


def test_files_of_pydicom_decode_as_pydicom_decodes_them(pydicom_data: Path) -> None:
    assert problems(pydicom_data) == []


def test_files_the_oracle_cannot_decode_equal_their_uncompressed_twins(
    shared_data: Path, pydicom_data: Path
) -> None:
    files = {path.name: path for folder in (pydicom_data, shared_data) for path in folder.rglob("*")}
    for name, twin in WITHOUT_ORACLE.items():
        if twin and name in files:
            expected = sample(files[twin]).expected
            np.testing.assert_array_equal(decoded(sample(files[name])), expected, err_msg=name)


GREY_8 = np.random.default_rng(1).integers(0, 256, (24, 20)).astype(np.uint8)
GREY_16 = np.random.default_rng(2).integers(0, 65536, (24, 20)).astype(np.uint16)
SIGNED_12 = np.random.default_rng(3).integers(-2048, 2048, (24, 20)).astype(np.int16)
COLOUR = np.random.default_rng(4).integers(0, 256, (24, 20, 3)).astype(np.uint8)


@pytest.mark.parametrize("array", [GREY_8, GREY_16, COLOUR], ids=["8", "16", "rgb"])
@pytest.mark.parametrize(
    ("uid", "encode"),
    [
        (f"{J}57", lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=4)),
        (f"{J}70", lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=1)),
        (f"{J}80", imagecodecs.jpegls_encode),
        (f"{J}90", lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="j2k")),
        (f"{J}92", lambda a: imagecodecs.jpeg2k_encode(a, reversible=True, codecformat="jp2")),
        (f"{J}201", lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
        (f"{J}203", lambda a: imagecodecs.htj2k_encode(a, reversible=True)),
        (f"{J}110", lambda a: imagecodecs.jpegxl_encode(a, lossless=True)),
        (f"{J}112", lambda a: imagecodecs.jpegxl_encode(a, lossless=True, usecontainer=True)),
    ],
)
def test_lossless_codecs_give_back_what_was_encoded(uid: str, encode, array: np.ndarray) -> None:
    np.testing.assert_array_equal(decode(bytes(encode(array)), image(array), uid), array)


def test_jpeg_of_12_bits() -> None:
    array = np.add.outer(np.arange(64) * 20, np.arange(48) * 30).astype(np.uint16)
    frame = bytes(imagecodecs.jpeg8_encode(array, 98, bitspersample=12))
    values = decode(frame, image(array, BitsStored=12, HighBit=11), f"{J}51")
    assert np.abs(values.astype(int) - array).max() < 40


def test_jpeg_xl_made_of_a_jpeg_keeps_its_picture() -> None:
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    frame = bytes(imagecodecs.jpegxl_encode_jpeg(imagecodecs.jpeg8_encode(smooth, 95)))
    assert np.abs(decode(frame, image(smooth), f"{J}111").astype(int) - smooth).max() < 6


def test_signed_values_that_the_codestream_holds_as_unsigned() -> None:
    unsigned = SIGNED_12.view(np.uint16) & 0xFFF
    frame = imagecodecs.jpeg2k_encode(unsigned, reversible=True, codecformat="j2k", bitspersample=12)
    values = decode(bytes(frame), image(SIGNED_12, BitsStored=12, HighBit=11), f"{J}90")
    np.testing.assert_array_equal(values, SIGNED_12)


def test_unused_bits_are_no_part_of_a_value() -> None:
    overlaid = (SIGNED_12.view(np.uint16) & 0xFFF) | 0x5000
    metadata = image(SIGNED_12, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(decode(overlaid.tobytes(), metadata, NATIVE), SIGNED_12)


def test_high_bit_above_bits_stored() -> None:
    shifted = (SIGNED_12.view(np.uint16) << 4) | 0x5
    metadata = image(SIGNED_12, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(decode(shifted.tobytes(), metadata, NATIVE), SIGNED_12)


def test_native_samples_by_plane() -> None:
    planes = np.ascontiguousarray(COLOUR.transpose(2, 0, 1))
    metadata = image(COLOUR, PlanarConfiguration=1)
    np.testing.assert_array_equal(decode(planes.tobytes(), metadata, NATIVE), COLOUR)


def test_native_float() -> None:
    for kind, keyword in (("<f4", "7FE00008"), ("<f8", "7FE00009")):
        array = np.linspace(-1, 1, 12).reshape(3, 4).astype(kind)
        metadata = {**image(array), keyword: {"vr": "OF", "BulkDataURI": "bulkdata"}}
        np.testing.assert_array_equal(decode(array.tobytes(), metadata, NATIVE), array)


def test_a_deflated_frame_is_inflated_no_further_than_its_size() -> None:
    bomb = zlib.compressobj(9, wbits=-15)
    frame = bomb.compress(bytes(50_000_000)) + bomb.flush()
    assert not decode(frame, image(GREY_8), "1.2.840.10008.1.2.8.1").any()


def test_every_decoder_is_of_a_known_transfer_syntax() -> None:
    assert DECODERS.keys() <= TRANSFER_SYNTAXES.keys()


def test_what_has_no_decoder() -> None:
    """Video needs its neighbours, JPIP has no pixels here, the rest was retired before any device used it."""
    without = {
        uid.removeprefix(J) for uid, row in TRANSFER_SYNTAXES.items() if uid not in DECODERS and not row.video
    }
    assert without == {
        *("94", "95", "204", "205", "1.2.840.113619.5.2"),
        *("52", "54", "56", "58", "59", "60", "61", "62", "63", "64", "65", "66"),
    }


REFUSED = {
    "more samples than the budget": {"Rows": 65535, "Columns": 65535},
    "no rows": {"Rows": 0},
    "no columns": {"Columns": None},
    "more rows than the frame has": {"Rows": 25},
    "four samples": {"SamplesPerPixel": 4},
    "bits allocated that numpy has no type for": {"BitsAllocated": 12},
}


@pytest.mark.parametrize("attributes", REFUSED.values(), ids=REFUSED)
def test_descriptions_that_cannot_be(attributes: dict) -> None:
    with pytest.raises(CannotRender):
        decode(GREY_8.tobytes(), image(GREY_8, **attributes), NATIVE)


@pytest.mark.parametrize("uid", sorted(DECODERS))
@pytest.mark.parametrize("frame", [b"", b"\0" * 64, b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51", b"\xff\x0a"])
def test_frames_that_are_none(uid: str, frame: bytes) -> None:
    with pytest.raises(CannotRender):
        decode(frame, image(GREY_8), uid)


def test_an_unknown_transfer_syntax() -> None:
    with pytest.raises(CannotRender, match=r"1\.2\.3"):
        decode(GREY_8.tobytes(), image(GREY_8), "1.2.3")


@pytest.mark.parametrize(
    ("uid", "frame", "marker", "distance"),
    [
        (f"{J}90", imagecodecs.jpeg2k_encode(GREY_8, reversible=True, codecformat="j2k"), b"\xff\x51", 6),
        (f"{J}201", imagecodecs.htj2k_encode(GREY_8, reversible=True), b"\xff\x51", 6),
        (f"{J}80", imagecodecs.jpegls_encode(GREY_8), b"\xff\xf7", 5),
        (f"{J}50", imagecodecs.jpeg8_encode(GREY_8), b"\xff\xc0", 5),
        (f"{J}70", imagecodecs.jpeg8_encode(GREY_8, lossless=True), b"\xff\xc3", 5),
    ],
)
def test_a_codestream_that_claims_another_size_never_reaches_the_decoder(
    uid: str, frame: bytes, marker: bytes, distance: int
) -> None:
    claiming = bytearray(frame)
    at = claiming.index(marker) + distance
    claiming[at : at + 2] = b"\xea\x60"
    with pytest.raises(CannotRender, match="Columns and Rows say"):
        decode(bytes(claiming), image(GREY_8), uid)


def test_the_budget_counts_in_whole_numbers() -> None:
    assert 65535 * 65535 * 3 > PIXEL_BUDGET > 40_000_000


def test_run_lengths_stand_for_no_more_than_a_frame() -> None:
    """10 MB of them stand for 640 MB, which would all be made to take 4 kB of it."""
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + bytes((0x81, 7)) * 5_000_000
    with pytest.raises(CannotRender):
        decode(frame, image(np.zeros((64, 64), np.uint8)), RLE)
