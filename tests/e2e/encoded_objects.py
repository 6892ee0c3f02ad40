"""Small objects in every transfer syntax that storescu can propose.

Pictures are real codestreams, videos stand-ins: the archive keeps bytes and need not understand them, and DCMTK
sends encapsulated pixel data as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import imagecodecs
import numpy as np
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    HEVCM10P51,
    HEVCMP51,
    JPEG2000,
    MPEG2MPHL,
    MPEG2MPML,
    MPEG4HP41,
    MPEG4HP41BD,
    MPEG4HP42STEREO,
    MPEG4HP422D,
    MPEG4HP423D,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from objects import secondary_capture

STORESCU_OPTIONS: Mapping[str, str] = {
    "-xe": ExplicitVRLittleEndian,
    "-xb": ExplicitVRBigEndian,
    "-xi": ImplicitVRLittleEndian,
    "-xd": DeflatedExplicitVRLittleEndian,
    "-xs": JPEGLosslessSV1,
    "-xy": JPEGBaseline8Bit,
    "-xx": JPEGExtended12Bit,
    "-xv": JPEG2000Lossless,
    "-xw": JPEG2000,
    "-xt": JPEGLSLossless,
    "-xu": JPEGLSNearLossless,
    "-xr": RLELossless,
    "-xm": MPEG2MPML,
    "-xh": MPEG2MPHL,
    "-xn": MPEG4HP41,
    "-xl": MPEG4HP41BD,
    "-x2": MPEG4HP422D,
    "-x3": MPEG4HP423D,
    "-xo": MPEG4HP42STEREO,
    "-x4": HEVCMP51,
    "-x5": HEVCM10P51,
}
"""What storescu proposes with each option, besides the uncompressed ones."""

_CODESTREAMS: Mapping[str, Callable[[np.ndarray], bytes]] = {
    JPEGLosslessSV1: lambda picture: imagecodecs.ljpeg_encode(picture),
    JPEGBaseline8Bit: lambda picture: imagecodecs.jpeg8_encode(picture, level=90),
    JPEG2000Lossless: lambda picture: imagecodecs.jpeg2k_encode(picture, codecformat="j2k", reversible=True),
    JPEG2000: lambda picture: imagecodecs.jpeg2k_encode(picture, level=30, codecformat="j2k"),
    JPEGLSLossless: lambda picture: imagecodecs.jpegls_encode(picture),
    JPEGLSNearLossless: lambda picture: imagecodecs.jpegls_encode(picture, level=2),
    RLELossless: lambda picture: _rle(picture),
}
_NATIVE = {
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
}


def encoded_in(transfer_syntax_uid: str) -> Dataset:
    """A picture of 8x8 (12 bits for extended JPEG) in this transfer syntax; it has its own study."""
    data_set = secondary_capture()
    if transfer_syntax_uid in _NATIVE:
        return data_set
    data_set.PixelData = encapsulate([_codestream(data_set, transfer_syntax_uid)])
    return data_set


def _codestream(data_set: Dataset, transfer_syntax_uid: str) -> bytes:
    picture = np.frombuffer(data_set.PixelData, np.uint8).reshape(8, 8)
    if transfer_syntax_uid == JPEGExtended12Bit:
        data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit = 16, 12, 11
        return imagecodecs.jpeg_encode(picture.astype(np.uint16) * 16, level=90, bitspersample=12)
    encode = _CODESTREAMS.get(transfer_syntax_uid)
    return encode(picture) if encode else b"\x00\x00\x01\xb3a video that nobody plays"


def _rle(picture: np.ndarray) -> bytes:
    described = {
        "rows": 8,
        "columns": 8,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": 8,
        "bits_stored": 8,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
    }
    return bytes(
        RLELosslessEncoder.encode(picture.tobytes(), index=None, encoding_plugin="pydicom", **described)
    )
