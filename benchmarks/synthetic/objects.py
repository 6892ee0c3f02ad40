"""Objects by kind and number: `ct`, `mr`, and the one object of a study that is only searched for."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from benchmarks.synthetic import headers, pictures
from benchmarks.synthetic.headers import uid
from benchmarks.synthetic.template import Template, template

SLOTS = (
    "SOPInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "Modality",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
)
"""What differs from object to object."""

SOP_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "DX": DigitalXRayImageStorageForPresentation,
    "US": UltrasoundImageStorage,
    "OT": SecondaryCaptureImageStorage,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of slice."""

    name: str
    size: int
    signed: bool


CT = Kind("CT", 512, True)
MR = Kind("MR", 128, False)


@functools.cache
def _template(name: str) -> Template:
    return template({"CT": headers.ct, "MR": headers.mr}[name](), SLOTS)


@functools.cache
def _small_template(modality: str) -> Template:
    return template(headers.small(SOP_CLASSES[modality]), SLOTS)


@dataclass(frozen=True, slots=True)
class Series:
    """A study with one series of `count` slices; everything in it is made from its name."""

    kind: Kind
    name: str
    count: int

    @property
    def StudyInstanceUID(self) -> str:
        """Of all of them."""
        return uid(self.name, "study")

    @property
    def SeriesInstanceUID(self) -> str:
        """Of all of them."""
        return uid(self.name, "series")

    def SOPInstanceUID(self, number: int) -> str:
        """Of one, counted from 0."""
        return uid(self.name, "instance", number)

    def path(self, number: int) -> str:
        """Where DICOMweb has one of them (PS3.18 10.1)."""
        return (
            f"/studies/{self.StudyInstanceUID}/series/{self.SeriesInstanceUID}"
            f"/instances/{self.SOPInstanceUID(number)}"
        )

    def file(self, number: int) -> bytes:
        """One of them as PS3.10 file."""
        pixels = pictures.pixels(self.kind.size, f"{self.name}/{number}", self.kind.signed)
        return _template(self.kind.name).file(self.values(number), pixels)

    def files(self) -> Iterator[bytes]:
        """All of them."""
        return map(self.file, range(self.count))

    def values(self, number: int) -> dict[str, str]:
        """What fills the slots. The date is one that no row asks for."""
        return {
            "SOPInstanceUID": self.SOPInstanceUID(number),
            "StudyDate": "19991231",
            "StudyTime": "101530.250000",
            "AccessionNumber": "A" + self.StudyInstanceUID[-9:],
            "Modality": self.kind.name,
            "ReferringPhysicianName": "Referrer^Rita",
            "StudyDescription": "Phantom",
            "PatientName": "Phantom^Paula",
            "PatientID": "PHANTOM" + self.StudyInstanceUID[-6:],
            "PatientBirthDate": "19700101",
            "PatientSex": "O",
            "StudyInstanceUID": self.StudyInstanceUID,
            "SeriesInstanceUID": self.SeriesInstanceUID,
            "StudyID": "1",
            "SeriesNumber": "2",
            "InstanceNumber": str(number + 1),
        }


def small_file(values: Mapping[str, str]) -> bytes:
    """The one object of a study that is only searched for, as PS3.10 file."""
    pixels = pictures.pixels(32, values["SOPInstanceUID"])
    return _small_template(values["Modality"]).file(values, pixels)
