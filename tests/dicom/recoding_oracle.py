"""How a re-encoded object differs from its original, as pydicom sees the two."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

PIXEL_DATA = 0x7FE00010
_COLOURS = {"YBR_FULL_422": "YBR_FULL", "YBR_RCT": "RGB", "YBR_ICT": "RGB"}
DECODED = {(0x00280004, before): after for before, after in _COLOURS.items()}
"""What becomes of an attribute when the pixel data is decoded."""
ENCAPSULATION = (0x7FE00001, 0x7FE00002, 0x7FE00003)


def opened(file: bytes) -> Dataset:
    """A file; pydicom's remarks about it are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(file), force=True)


def differences(original: bytes, recoded: bytes) -> list[str]:
    """Empty when they are the same data set, but for what re-encoding has to change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, after = opened(original), opened(recoded)
        assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        big_endian = before.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2"
        encapsulated = "PixelData" in before and before["PixelData"].is_undefined_length
        return list(_compared(before, after, big_endian, encapsulated))


def _compared(before: Dataset, after: Dataset, big_endian: bool, encapsulated: bool) -> Iterator[str]:
    expected = {element.tag for element in before if element.tag.element}
    if encapsulated:
        expected -= {*ENCAPSULATION}
    if expected != {element.tag for element in after}:
        yield f"tags {sorted(expected ^ {element.tag for element in after})}"
    for tag in sorted(expected & {element.tag for element in after}):
        element, other = before[tag], after[tag]
        if element.VR == "SQ" and other.VR == "SQ":
            items = zip(element.value, other.value, strict=True)
            yield from (found for pair in items for found in _compared(*pair, big_endian, encapsulated))
        elif not (encapsulated and element.tag == PIXEL_DATA) and not _same(element, other, big_endian):
            yield f"{element.tag} {element.VR} {element.value!r:.60} became {other.VR} {other.value!r:.60}"


def _same(before: DataElement, after: DataElement, big_endian: bool) -> bool:
    if before.VR != after.VR:
        return False
    if not isinstance(before.value, bytes):
        return bool(after.value == before.value) or after.value == DECODED.get(
            (before.tag, str(before.value))
        )
    if big_endian and before.VR == "OW":
        return before.tag == PIXEL_DATA or np.array_equal(
            np.frombuffer(before.value, ">u2"), np.frombuffer(after.value, "<u2")
        )
    return bool(after.value == before.value + b"\0" * (len(before.value) % 2))


def pixels(file: bytes) -> np.ndarray | None:
    """The stored values of all frames, colours as they are; None if pydicom cannot decode them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pixel_array(opened(file), raw=True)
        except Exception:  # noqa: BLE001 - whatever keeps the oracle from an answer
            return None
