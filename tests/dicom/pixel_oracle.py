"""Frames, metadata and expected pixels of a file as pydicom sees them: the other opinion in the pixel tests."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array
from pydicom.uid import ImplicitVRLittleEndian

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True)
class Sample:
    """One frame of a file, as retrieval hands it to the decoder. `expected` None: pydicom has no decoder."""

    name: str
    frame: bytes
    metadata: dict[str, Any]
    transfer_syntax_uid: str
    expected: np.ndarray | None


def samples(folder: Path, *, oracle: bool = True) -> Iterator[Sample]:
    """The first frame of every DICOM file with pixel data in `folder`; and the last, where there are several.
    Without `oracle` nothing is expected of them."""
    for path in sorted(folder.rglob("*")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from _of_file(path, oracle)


def sample(path: Path, index: int = 0) -> Sample:
    """One frame of one file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(path, force=True)
        return _sample(path.name, data_set, index)


def _of_file(path: Path, oracle: bool) -> Iterator[Sample]:
    try:
        data_set = pydicom.dcmread(path, force=True)
        pixels = any(keyword in data_set for keyword in PIXEL_KEYWORDS)
    except Exception:  # noqa: BLE001 - no DICOM at all
        return
    if not pixels:
        return
    yield _sample(path.name, data_set, 0, oracle)
    if _number_of_frames(data_set) > 1:
        yield _sample(path.name, data_set, _number_of_frames(data_set) - 1, oracle)


def _number_of_frames(data_set: Dataset) -> int:
    value = str(data_set.get("NumberOfFrames") or "1")
    return int(value) if value.isdigit() else 1


def _sample(name: str, data_set: Dataset, index: int, oracle: bool = True) -> Sample:
    uid = str(data_set.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
    data_set.file_meta.TransferSyntaxUID = uid
    try:
        expected = pixel_array(data_set, raw=True, index=index) if oracle else None
    except Exception:  # noqa: BLE001 - whatever keeps the oracle from an answer
        expected = None
    frame = _frame(data_set, uid, index)
    if uid == BIG_ENDIAN:
        _swap_words(data_set)
    return Sample(name, frame, dicom_json(data_set), uid, expected)


def _swap_words(data_set: Dataset) -> None:
    """InlineBinary is little endian (PS3.18 F.2.7); pydicom gives it as it stands in the file."""
    for element in data_set:
        if element.VR == "OW" and element.tag.group == 0x0028:
            element.value = _swapped(element.value, 2)


def dicom_json(data_set: Dataset) -> dict[str, Any]:
    """The DICOM JSON Model with pixel data by reference, as the index keeps it."""
    text = data_set.to_json(
        1 << 20, bulk_data_element_handler=lambda _: "bulkdata", suppress_invalid_tags=True
    )
    return json.loads(text)


def _frame(data_set: Dataset, uid: str, index: int) -> bytes:
    keyword = next(keyword for keyword in PIXEL_KEYWORDS if keyword in data_set)
    value = data_set[keyword].value
    if data_set[keyword].is_undefined_length:
        frames = generate_frames(value, number_of_frames=_number_of_frames(data_set))
        return list(frames)[index]
    bits = data_set.get("BitsAllocated", 0)
    if uid == BIG_ENDIAN and (bits > 8 or data_set[keyword].VR == "OW"):
        value = _swapped(value, max(bits, 16) // 8)
    if bits == 1:
        return _bit_frame(value, data_set.Rows * data_set.Columns, index)
    length = len(value) // _number_of_frames(data_set)
    return value[index * length : (index + 1) * length]


def _swapped(value: bytes, size: int) -> bytes:
    return np.frombuffer(value, f"u{size}").byteswap().tobytes()


def _bit_frame(value: bytes, pixels: int, index: int) -> bytes:
    bits = np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")
    return np.packbits(bits[index * pixels : (index + 1) * pixels], bitorder="little").tobytes()


def image(array: np.ndarray, photometric: str = "", **attributes: Any) -> dict[str, Any]:
    """DICOM JSON of an image of this array's shape and type; attributes by keyword replace or add."""
    bits = 8 * array.dtype.itemsize
    data_set = Dataset()
    data_set.Rows, data_set.Columns = array.shape[:2]
    data_set.SamplesPerPixel = 3 if array.ndim == 3 else 1
    data_set.PhotometricInterpretation = photometric or ("RGB" if array.ndim == 3 else "MONOCHROME2")
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = bits, bits, bits - 1
    data_set.PixelRepresentation = int(array.dtype.kind == "i")
    data_set.PlanarConfiguration = 0
    for keyword, value in attributes.items():
        if value is None:
            delattr(data_set, keyword)
        else:
            setattr(data_set, keyword, value)
    return json.loads(data_set.to_json())
