"""Who there is in the demonstration, and what was done: names that say they are samples, in the scripts of three
countries. Dates are counted back from the day on which it is stored."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydicom.dataset import Dataset

from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:oid:{IMPLEMENTATION_CLASS_UID}/demo")

INSTITUTION = "Sample Hospital"


def uid(*names: object) -> str:
    """The UID of what these names name: the same each time, by which nothing is stored twice (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, names))).int}"


@dataclass(frozen=True, slots=True)
class Patient:
    """Nobody. The character set is one that the name can be written in."""

    PatientID: str
    PatientName: str
    PatientBirthDate: str
    PatientSex: str


@dataclass(frozen=True, slots=True)
class Study:
    """One study of a patient, so many days ago."""

    name: str
    patient: Patient
    days_ago: int
    time: str
    description: str
    referring: str

    @property
    def StudyInstanceUID(self) -> str:
        """By its name."""
        return uid(self.name)


GRACE = Patient("DEMO-1", "Sample^Grace^^Dr.", "19580214", "F")
JOERG = Patient("DEMO-2", "Müller-Beispiel^Jörg", "19710930", "M")
HANAKO = Patient("DEMO-3", "Mihon^Hanako=見本^花子=みほん^はなこ", "19840503", "F")
ASA = Patient("DEMO-4", "Exempel^Åsa", "19901121", "F")

CT = Study("ct", GRACE, 0, "081500", "CT head without contrast", "Referrer^Rosa")
MR = Study("mr", JOERG, 3, "141000", "MRT Schädel", "Hausarzt^Jürgen")
CHEST = Study(
    "dx", HANAKO, 9, "103500", "胸部X線 (chest PA)", "Shoukai^Ichirou=紹介^一郎=しょうかい^いちろう"
)
HEART = Study("us", ASA, 33, "094500", "Ekokardiografi", "Läkare^Lars")
STUDIES = (CT, MR, CHEST, HEART)


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a study; `today` is the day from which days are counted back."""

    study: Study
    number: int
    modality: str
    description: str
    today: date

    def instance(self, number: int) -> str:
        """The SOP Instance UID of one of its instances."""
        return uid(self.study.name, self.number, number)

    def begin(self, sop_class: str, number: int) -> Dataset:
        """A data set with what patient, study and series modules have of it."""
        study, patient = self.study, self.study.patient
        day = (self.today - timedelta(days=study.days_ago)).strftime("%Y%m%d")
        born = date.fromisoformat(patient.PatientBirthDate)
        return attributes(
            Dataset(),
            SpecificCharacterSet="ISO_IR 192",
            SOPClassUID=sop_class,
            SOPInstanceUID=self.instance(number),
            StudyDate=day,
            SeriesDate=day,
            ContentDate=day,
            StudyTime=study.time,
            SeriesTime=str(int(study.time) + 200 * self.number).zfill(6),
            ContentTime=str(int(study.time) + 200 * self.number + 30).zfill(6),
            AccessionNumber=f"DEMO{self.study.name.upper()}",
            Modality=self.modality,
            Manufacturer="Demonstration, made by the archive",
            ManufacturerModelName="Phantom",
            DeviceSerialNumber="0",
            SoftwareVersions="1",
            InstitutionName=INSTITUTION,
            ReferringPhysicianName=study.referring,
            StudyDescription=study.description,
            SeriesDescription=self.description,
            PatientName=patient.PatientName,
            PatientID=patient.PatientID,
            PatientBirthDate=patient.PatientBirthDate,
            PatientSex=patient.PatientSex,
            PatientAge=f"{(self.today - born).days // 365:03}Y",
            PatientComments="Synthetic: nobody was ever here.",
            StudyInstanceUID=study.StudyInstanceUID,
            SeriesInstanceUID=uid(study.name, self.number),
            StudyID="1",
            SeriesNumber=self.number,
            InstanceNumber=number,
        )


def attributes(data_set: Dataset, **values: Any) -> Dataset:
    """Set them."""
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    return attributes(Dataset(), CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
