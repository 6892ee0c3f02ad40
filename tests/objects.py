"""Synthetic SOP Instances for tests, built from keywords.

`ct`, `mr`, `multi_frame` and `secondary_capture` give pydicom data sets with headers as long and as nested as
those of real devices and a phantom for a picture; any keyword replaces an attribute, and None takes it out:

    ct(PatientID="7", StudyDescription=None)

`encoded` makes the bytes of a data set, `part10` those of a PS3.10 file. `LargeObject` is an object of any
size that is never in memory: its pieces are made while they are read. There is no patient in any of them.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from device_headers import (
    equipment,
    functional_group,
    identity,
    new_uid,
    plane,
    shared_functional_group,
    with_attributes,
)

IMPLEMENTATION_CLASS_UID = "2.25.208821474912054"


def secondary_capture(**keywords: Any) -> Dataset:
    """The least that an archive takes: 8x8 pixels of 8 bits."""
    data_set = with_attributes(Dataset(), identity(SecondaryCaptureImageStorage, "OT"))
    with_attributes(data_set, ConversionType="WSD", InstanceNumber=1)
    _grayscale(data_set, np.arange(64, dtype=np.uint8).reshape(8, 8))
    return with_attributes(data_set, keywords)


def ct(**keywords: Any) -> Dataset:
    """A CT slice of 512x512 pixels of 16 bits with a header as long as a scanner writes."""
    number = int(keywords.get("InstanceNumber", 1))
    data_set = with_attributes(
        Dataset(), identity(CTImageStorage, "CT"), equipment("CT"), plane(number, spacing=0.78)
    )
    with_attributes(
        data_set,
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
        StudyDescription="Thorax phantom",
        SeriesDescription="Axial 5.0 B31f",
        BodyPartExamined="CHEST",
        ScanOptions="HELICAL MODE",
        KVP="120",
        DataCollectionDiameter="500",
        ReconstructionDiameter="400",
        DistanceSourceToDetector="1040",
        DistanceSourceToPatient="570",
        GantryDetectorTilt="0",
        TableHeight="144",
        RotationDirection="CW",
        ExposureTime="500",
        XRayTubeCurrent="210",
        Exposure="105",
        FilterType="WEDGE_2",
        GeneratorPower="48",
        FocalSpots="1.2",
        ConvolutionKernel="B31f",
        RescaleIntercept="-1024",
        RescaleSlope="1",
        RescaleType="HU",
        WindowCenter=["40", "-600"],
        WindowWidth=["400", "1200"],
        WindowCenterWidthExplanation=["WINDOW1", "WINDOW2"],
    )
    _grayscale(data_set, _thorax(512, number % 40), bits_stored=12)
    return with_attributes(data_set, keywords)


def mr(**keywords: Any) -> Dataset:
    """An MR slice of 128x128 pixels of 16 bits with a header as long as a scanner writes."""
    number = int(keywords.get("InstanceNumber", 1))
    data_set = with_attributes(
        Dataset(), identity(MRImageStorage, "MR"), equipment("MR"), plane(number, spacing=1.8)
    )
    with_attributes(
        data_set,
        ImageType=["ORIGINAL", "PRIMARY", "M", "ND"],
        StudyDescription="Head phantom",
        SeriesDescription="t2_tse_tra",
        BodyPartExamined="HEAD",
        ScanningSequence=["SE"],
        SequenceVariant=["SK", "SP"],
        ScanOptions="PFP",
        MRAcquisitionType="2D",
        SequenceName="*tse2d1_15",
        RepetitionTime="4000",
        EchoTime="93",
        NumberOfAverages="2",
        ImagingFrequency="63.653",
        ImagedNucleus="1H",
        EchoNumbers="1",
        MagneticFieldStrength="1.5",
        SpacingBetweenSlices="6.5",
        NumberOfPhaseEncodingSteps="308",
        EchoTrainLength="15",
        PercentSampling="75",
        PercentPhaseFieldOfView="78.125",
        PixelBandwidth="130",
        FlipAngle="150",
        SAR="0.44",
        WindowCenter="900",
        WindowWidth="1900",
    )
    _grayscale(data_set, _thorax(128, number % 40), bits_stored=12)
    return with_attributes(data_set, keywords)


def multi_frame(frames: int = 4, **keywords: Any) -> Dataset:
    """An Enhanced CT object of `frames` frames of 64x64 pixels of 16 bits, with its functional groups."""
    data_set = with_attributes(
        Dataset(), identity(EnhancedCTImageStorage, "CT"), equipment("CT"), plane(1, spacing=6.0)
    )
    pixels = np.stack([_thorax(64, number % 40) for number in range(frames)])
    _grayscale(data_set, pixels, bits_stored=12)
    data_set.SharedFunctionalGroupsSequence = [shared_functional_group()]
    data_set.PerFrameFunctionalGroupsSequence = [functional_group(number) for number in range(1, frames + 1)]
    return with_attributes(data_set, ContentQualification="RESEARCH", **keywords)


def series(make: Callable[..., Dataset], count: int, **keywords: Any) -> list[Dataset]:
    """`count` instances of one series, numbered from 1; `keywords` hold for all of them."""
    shared = {
        "StudyInstanceUID": new_uid(),
        "SeriesInstanceUID": new_uid(),
        "FrameOfReferenceUID": new_uid(),
        **keywords,
    }
    return [make(InstanceNumber=number, **shared) for number in range(1, count + 1)]


def encoded(data_set: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """The data set's bytes without File Meta Information, as C-STORE carries them.

    For a compressed transfer syntax the pixel data has to be encapsulated already."""
    file = part10(data_set, transfer_syntax_uid)
    return file[file_meta_length(file) :]


def part10(data_set: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian, **file_meta: Any) -> bytes:
    """A PS3.10 file of the data set; `file_meta` replaces attributes of its File Meta Information."""
    buffer = BytesIO()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.get("SOPClassUID", SecondaryCaptureImageStorage)
    meta.MediaStorageSOPInstanceUID = data_set.get("SOPInstanceUID", "2.25.1")
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    for keyword, value in file_meta.items():
        setattr(meta, keyword, value)
    file = FileDataset(
        None, _in_byte_order(data_set, transfer_syntax_uid), file_meta=meta, preamble=bytes(128)
    )
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def file_meta_length(file: bytes) -> int:
    """Where the data set begins in a PS3.10 file: after the group that (0002,0000) measures."""
    assert file[128:132] == b"DICM"
    return 144 + int.from_bytes(file[140:144], "little")


def data_set_bytes(file: bytes) -> bytes:
    """The data set of a PS3.10 file, byte for byte."""
    return file[file_meta_length(file) :]


@dataclass(frozen=True)
class LargeObject:
    """A multi-frame object whose pixel data has about `pixel_bytes` bytes, made piece by piece.

    Every block of pixels carries its own number, so one lost, doubled or out of order shows in the digest.
    """

    pixel_bytes: int = 2 << 30
    rows: int = 1024
    columns: int = 1024
    StudyInstanceUID: str = field(default_factory=new_uid)
    SeriesInstanceUID: str = field(default_factory=new_uid)
    SOPInstanceUID: str = field(default_factory=new_uid)
    SOPClassUID: str = MultiFrameGrayscaleWordSecondaryCaptureImageStorage

    @property
    def number_of_frames(self) -> int:
        """Whole frames of rows x columns x 16 bits in `pixel_bytes`."""
        return max(1, self.pixel_bytes // (self.rows * self.columns * 2))

    @property
    def length(self) -> int:
        """Bytes of the whole PS3.10 file."""
        return len(self._head) + self._pixel_length

    @property
    def data_set_length(self) -> int:
        """Bytes of the data set alone."""
        return self.length - file_meta_length(self._head)

    def pieces(self) -> Iterator[bytes]:
        """The PS3.10 file in pieces of at most 1 MiB (the header in one)."""
        yield self._head
        block = np.random.default_rng(7).bytes(1 << 20)
        for number, offset in enumerate(range(0, self._pixel_length, len(block))):
            piece = number.to_bytes(8, "little") + block[8:]
            yield piece[: self._pixel_length - offset]

    def data_set_pieces(self) -> Iterator[bytes]:
        """The data set alone, as C-STORE carries it."""
        pieces = self.pieces()
        return itertools.chain([data_set_bytes(next(pieces))], pieces)

    def data_set_sha256(self) -> str:
        """Hex digest of the data set, made by running through it once."""
        digest = hashlib.sha256()
        for piece in self.data_set_pieces():
            digest.update(piece)
        return digest.hexdigest()

    @property
    def _pixel_length(self) -> int:
        return self.number_of_frames * self.rows * self.columns * 2

    @functools.cached_property
    def _head(self) -> bytes:
        data_set = secondary_capture(
            SOPClassUID=self.SOPClassUID,
            SOPInstanceUID=self.SOPInstanceUID,
            SeriesInstanceUID=self.SeriesInstanceUID,
            StudyInstanceUID=self.StudyInstanceUID,
            PatientName="Large^Object",
            Rows=self.rows,
            Columns=self.columns,
            NumberOfFrames=self.number_of_frames,
            BitsAllocated=16,
            BitsStored=16,
            HighBit=15,
            PixelData=None,
        )
        element = b"\xe0\x7f\x10\x00OW\0\0" + self._pixel_length.to_bytes(4, "little")
        return part10(data_set) + element


def _grayscale(data_set: Dataset, pixels: np.ndarray, bits_stored: int | None = None) -> None:
    bits = pixels.itemsize * 8
    stored = bits_stored or bits
    if pixels.ndim == 3:
        data_set.NumberOfFrames = pixels.shape[0]
    with_attributes(
        data_set,
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=pixels.shape[-2],
        Columns=pixels.shape[-1],
        BitsAllocated=bits,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=0,
        PixelData=pixels.tobytes(),
    )
    data_set["PixelData"].VR = "OB" if bits == 8 else "OW"


@functools.lru_cache(maxsize=64)
def _thorax(size: int, slice_number: int) -> np.ndarray:
    """A body, two lungs, a heart and a spine in Hounsfield units + 1024, with noise."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    breath = 1 + 0.15 * np.sin(slice_number / 6)
    pixels = np.zeros((size, size))
    pixels[_ellipse(x, y, 0, 0, 0.9, 0.65)] = 924
    pixels[_ellipse(x, y, 0, 0, 0.84, 0.59)] = 1064
    pixels[_ellipse(x, y, -0.42, -0.05, 0.3 * breath, 0.42)] = 204
    pixels[_ellipse(x, y, 0.42, -0.05, 0.3 * breath, 0.42)] = 204
    pixels[_ellipse(x, y, 0.1, -0.15, 0.24, 0.22)] = 1094
    pixels[_ellipse(x, y, 0, 0.42, 0.12, 0.12)] = 1624
    noise = np.random.default_rng(slice_number).normal(0, 12, pixels.shape)
    return np.clip(pixels + noise, 0, 4095).astype("<u2")


def _ellipse(x: np.ndarray, y: np.ndarray, x0: float, y0: float, a: float, b: float) -> np.ndarray:
    return np.asarray(((x - x0) / a) ** 2 + ((y - y0) / b) ** 2 <= 1)


def _in_byte_order(data_set: Dataset, transfer_syntax_uid: str) -> Dataset:
    """A copy whose pixel data is in the byte order that the transfer syntax asks for."""
    native = {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    }
    ours = copy.deepcopy(data_set)
    if "PixelData" in ours and transfer_syntax_uid not in native:
        ours["PixelData"].is_undefined_length = True
    if transfer_syntax_uid == ExplicitVRBigEndian and ours.get("BitsAllocated") == 16 and "PixelData" in ours:
        element = ours["PixelData"]
        swapped = np.frombuffer(element.value, "<u2").astype(">u2").tobytes()
        ours.add_new("PixelData", element.VR, swapped)
    return ours
