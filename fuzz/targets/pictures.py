"""Frames for the decoders, and pictures of store requests (O4, O8, O10).

The decoders are C code reading a stranger's bytes: this run is the process that may die of it, and libFuzzer keeps the
input that killed it. They are not watched for new paths; what reads their headers before them is, and that is ours.
"""

from __future__ import annotations

import functools

import imagecodecs
import numpy as np

from archive.dicom.errors import ArchiveError, CannotRender
from archive.dicom.metadata_values import Metadata
from archive.dicom.pixels import codestreams
from archive.dicom.receiving import codestream_kinds, videos
from archive.dicom.receiving import pictures as received_pictures
from archive.dicom.receiving.assembly import Bulk
from archive.dicom.rendering.pixel_data import decode, render

_J = "1.2.840.10008.1.2.4."
_ROWS, _COLUMNS = 12, 16
_MOST_SIDE = 512


@functools.cache
def _frames() -> tuple[tuple[str, bytes, Metadata], ...]:
    """Transfer syntax, a valid frame, what the data set says of it."""
    grey = np.add.outer(np.arange(_ROWS), np.arange(_COLUMNS)).astype(np.uint8)
    deep = grey.astype(np.uint16) << 4 | 3
    colour = np.dstack([grey, grey[::-1], grey[:, ::-1]])
    rle = bytes([1, 0, 0, 0, 64, *[0] * 59])
    rle += b"".join(bytes([_COLUMNS - 1]) + grey[row].tobytes() for row in range(_ROWS))
    made = (
        ("1.2.840.10008.1.2.1", deep.tobytes(), deep),
        ("1.2.840.10008.1.2.5", rle, grey),
        (f"{_J}50", imagecodecs.jpeg8_encode(grey, 90), grey),
        (f"{_J}50", imagecodecs.jpeg8_encode(colour, 90), colour),
        (f"{_J}51", imagecodecs.jpeg8_encode(deep, 90, bitspersample=12), deep),
        (f"{_J}70", imagecodecs.jpeg8_encode(deep, lossless=True, predictor=1), deep),
        (f"{_J}80", imagecodecs.jpegls_encode(deep), deep),
        (f"{_J}81", imagecodecs.jpegls_encode(colour, 3), colour),
        (f"{_J}90", imagecodecs.jpeg2k_encode(deep, reversible=True, codecformat="j2k"), deep),
        (f"{_J}201", imagecodecs.htj2k_encode(deep, reversible=True), deep),
        (f"{_J}110", imagecodecs.jpegxl_encode(deep, lossless=True), deep),
        (f"{_J}112", imagecodecs.jpegxl_encode(colour, 80), colour),
    )
    return tuple((uid, bytes(frame), _described(array)) for uid, frame, array in made)


def _described(array: np.ndarray) -> Metadata:
    samples = 3 if array.ndim == 3 else 1
    bits = 8 * array.dtype.itemsize
    said = {
        "00280002": ("US", samples),
        "00280004": ("CS", "RGB" if samples == 3 else "MONOCHROME2"),
        "00280006": ("US", 0),
        "00280010": ("US", array.shape[0]),
        "00280011": ("US", array.shape[1]),
        "00280100": ("US", bits),
        "00280101": ("US", 12 if bits == 16 else 8),
        "00280102": ("US", 11 if bits == 16 else 7),
        "00280103": ("US", 0),
    }
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in said.items()}


def codecs(data: bytes) -> None:
    """A frame of the transfer syntax that the first byte says: decoded to what the data set says, or refused."""
    if not data:
        return
    uid, _, metadata = _frames()[data[0] % len(_frames())]
    try:
        decoded = decode(data[1:], metadata, uid)
    except CannotRender:
        return
    assert decoded.shape[:2] == (_ROWS, _COLUMNS), decoded.shape
    try:
        assert render(data[1:], metadata, uid, "image/png")
    except CannotRender:
        return


def pictures(data: bytes) -> None:
    """What a picture or a video says of itself; small ones are decoded."""
    bulk = Bulk.of(data)
    for recognise in (codestream_kinds.recognise, videos.recognise, _claims):
        try:
            recognise(bulk)
        except ValueError:
            continue
    for media_type in ("image/png", "image/gif"):
        if _is_small(data):
            try:
                made = received_pictures.decode(media_type, bulk)
                frames = list(made.frames)
                assert len(frames) == made.number_of_frames
            except ArchiveError as refused:
                assert refused.reason


def _claims(bulk: Bulk) -> None:
    """Each of the readers of headers alone."""
    data = b"".join(bulk.pieces())
    for read in (
        codestreams.read_jpeg,
        lambda raw: codestreams.read_jpeg_2000(codestreams.jpeg_2000_codestream(raw)),
        codestreams.read_jpeg_xl,
        codestreams.read_jpeg_xl_metadata,
    ):
        try:
            read(data)
        except ValueError:
            continue


def _is_small(data: bytes) -> bool:
    """Whether it claims no more than is decoded in no time; the bound on what is claimed has a test of its own."""
    if data[:4] == b"GIF8":
        sides = [int.from_bytes(data[at : at + 2], "little") for at in (6, 8)]
    else:
        sides = [int.from_bytes(data[at : at + 4], "big") for at in (16, 20)]
    return max(sides) <= _MOST_SIDE


# --- seeds ---


def codecs_seeds() -> list[bytes]:
    """A valid frame for each decoder."""
    return [bytes((number,)) + frame for number, (_, frame, _) in enumerate(_frames())]


def pictures_seeds() -> list[bytes]:
    """The same frames, PNG, GIF, and the beginnings of videos."""
    grey = np.zeros((_ROWS, _COLUMNS), np.uint8)
    box = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x20moov" + bytes(24)
    return [
        *(frame for _, frame, _ in _frames()),
        bytes(imagecodecs.png_encode(grey)),
        bytes(imagecodecs.gif_encode(grey)),
        b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\0jp2c" + _frames()[9][1],
        box,
        b"\0\0\1\xb3\x01\x00\x0c\x13\xff\xff\xe0\x18\0\0\1\xb5\x14\x8a\0\1\0\0\0\0\1\0\0\x08",
    ]
