"""The suite's own SOP Instances: synthetic, small, with UIDs that no run repeats.

`corpus` makes what is stored before the checks run; checks that store for themselves use the makers below. Pixels are
chosen so that every mistake shows: more columns than rows, a ramp from left to right, the upper third darker.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from conformance import pictures, uids

COLUMNS, ROWS = 32, 24
CREATOR = "CONFORMANCE SUITE"
BULK_SIZE = 70_000
AWKWARD_STUDY_ID = "a&b=c,d#[1]"


def new_uid() -> str:
    """A UID nobody else has (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(frozen=True)
class Object:
    """One SOP Instance and the transfer syntax that it travels in."""

    name: str
    dataset: Dataset = field(repr=False)
    transfer_syntax: str = uids.EXPLICIT

    @property
    def study(self) -> str:
        """Target resource of its study."""
        return f"/studies/{self.dataset.StudyInstanceUID}"

    @property
    def series(self) -> str:
        """Target resource of its series."""
        return f"{self.study}/series/{self.dataset.SeriesInstanceUID}"

    @property
    def instance(self) -> str:
        """Target resource of itself."""
        return f"{self.series}/instances/{self.dataset.SOPInstanceUID}"

    @property
    def uid(self) -> str:
        """Its SOP Instance UID."""
        return str(self.dataset.SOPInstanceUID)

    @property
    def pixels(self) -> bytes:
        """Its Pixel Data, in the form of its own transfer syntax."""
        return bytes(self.dataset.PixelData)

    def file(self) -> bytes:
        """It as a PS3.10 file."""
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = self.dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = self.dataset.SOPInstanceUID
        meta.TransferSyntaxUID = UID(self.transfer_syntax)
        meta.ImplementationClassUID = UID("2.25.244412387210294215083712938430295634437")
        out = BytesIO()
        whole = FileDataset(out, self.dataset, preamble=b"\0" * 128, file_meta=meta)
        dcmwrite(
            out, whole, enforce_file_format=True, little_endian=self.transfer_syntax != uids.BIG_ENDIAN,
            implicit_vr=self.transfer_syntax == uids.IMPLICIT,
        )  # fmt: skip
        return out.getvalue()


def ramp() -> NDArray[np.uint16]:
    """The picture: 8 levels a column from left to right, halved in the upper third."""
    picture = np.tile(np.arange(COLUMNS, dtype=np.uint16) * 8, (ROWS, 1))
    picture[: ROWS // 3] //= 2
    return picture.astype(np.uint16)


def ramp8() -> NDArray[np.uint8]:
    """The same picture in eight bits."""
    return ramp().astype(np.uint8)


def study(run: str, tag: str, **attributes: object) -> Dataset:
    """Patient and study attributes, the same for all instances of a study."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = "Plover", f"CONF{run}-{tag}"
    ds.PatientBirthDate, ds.PatientSex = "19700102", "O"
    ds.StudyInstanceUID, ds.StudyID = new_uid(), f"S{tag}"
    ds.StudyDate, ds.StudyTime = "20240229", "101530"
    ds.AccessionNumber, ds.ReferringPhysicianName = f"A{run}{tag}", "Heron"
    ds.StudyDescription = "Conformance suite"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def series(of: Dataset, modality: str, number: int, **attributes: object) -> Dataset:
    """A study's attributes and those of a new series of it."""
    ds = Dataset()
    ds.update(of)
    ds.Modality, ds.SeriesNumber, ds.SeriesInstanceUID = modality, number, new_uid()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def instance(of: Dataset, sop_class: str, number: int, **attributes: object) -> Dataset:
    """A series' attributes and those of a new instance in it."""
    ds = Dataset()
    ds.update(of)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.InstanceNumber = sop_class, new_uid(), number
    ds.ContentDate, ds.ContentTime = ds.StudyDate, ds.StudyTime
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def image(of: Dataset, number: int, sop_class: str = uids.CT, **attributes: object) -> Dataset:
    """A grey image of 16 bits with the ramp."""
    ds = instance(of, sop_class, number, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    pixels(ds, ramp(), 16)
    ds.RescaleIntercept, ds.RescaleSlope, ds.WindowCenter, ds.WindowWidth = "0", "1", "128", "256"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness, ds.KVP = [1, 1], "1", "120"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def pixels(ds: Dataset, values: NDArray[np.uint16] | NDArray[np.uint8], bits: int) -> None:
    """Put grey pixels and what describes them into a data set."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.Rows, ds.Columns = values.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    if values.ndim == 3:
        ds.NumberOfFrames = values.shape[0]
    data = values.astype(f"<u{bits // 8}").tobytes()
    ds.add_new(0x7FE00010, "OW" if bits > 8 else "OB", data + b"\0" * (len(data) % 2))


def compressed(ds: Dataset, frames: list[bytes]) -> Dataset:
    """The data set with encapsulated frames in place of its pixels."""
    ds.PixelData = encapsulate(frames, has_bot=len(frames) > 1)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def private_block(ds: Dataset, value: str, bulk: bytes = b"") -> None:
    """A private block: a text, a sequence and, when given, bytes."""
    block = ds.private_block(0x0029, CREATOR, create=True)
    block.add_new(0x01, "LO", value)
    inner = Dataset()
    inner.PatientComments = "inside a private sequence"
    block.add_new(0x03, "SQ", [inner])
    if bulk:
        block.add_new(0x02, "OB", bulk)


def part(run: str, tag: str, number: int = 1, **attributes: object) -> Object:
    """An object in a study of its own, for a check that stores for itself."""
    of = series(study(run, tag, **attributes), "CT", 1)
    return Object(tag, image(of, number))


def pdf() -> bytes:
    """A document that readers of PDF accept, with a comment in it that makes it too long to be put inline."""
    body = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    body += b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    body += b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\n%"
    end = b"\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    return body + b"." * (BULK_SIZE - len(body) - len(end)) + end


def baseline_jpeg() -> bytes:
    """The ramp as a lossy picture."""
    return pictures.JPEG_BASELINE_32X24
