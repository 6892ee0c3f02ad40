"""The directory records of a DICOMDIR: which type an instance has, and which keys each type holds (PS3.3 annex F.5).

One row for each type. A key of type 1 that an instance lacks gets a stand-in, as real instances lack them (a study
without Study ID) and a reader of the DICOMDIR may insist: another date of the same instance first, a running number,
and at last a value that nobody takes for a finding. The stored instances keep what they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from archive.dicom.sop_classes import sop_class_name

DataSet = Mapping[str, Mapping[str, Any]]
"""An instance in the DICOM JSON Model."""

PRIVATE = "PRIVATE"
IMAGE = "IMAGE"


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute of a record. `required`: never absent or empty in the record. `conditional`: only where the instance
    has it."""

    tag: int
    vr: str
    required: bool = False
    conditional: bool = False


def _keys(required: str = "", optional: str = "", conditional: str = "") -> tuple[Key, ...]:
    """The keys by keyword, in the order of their tags."""
    rows = [
        Key(int(tag_for_keyword(name) or 0), dictionary_VR(name), kind == 0, kind == 2)
        for kind, names in enumerate((required, optional, conditional))
        for name in names.split()
    ]
    return tuple(sorted(rows, key=lambda key: key.tag))


_CONTENT = "InstanceNumber ContentDate ContentTime"
_CONTENT_KEYS = _keys(_CONTENT)
_IDENTIFIED = _keys(f"{_CONTENT} ContentLabel", "ContentDescription ContentCreatorName")

KEYS: Mapping[str, tuple[Key, ...]] = {
    "PATIENT": _keys("PatientID", "PatientName", "IssuerOfPatientID PatientBirthDate PatientSex"),
    "STUDY": _keys(
        "StudyDate StudyTime StudyID StudyInstanceUID",
        "AccessionNumber StudyDescription",
    ),
    "SERIES": _keys("Modality SeriesInstanceUID SeriesNumber", conditional="SeriesDescription"),
    IMAGE: _keys(
        "InstanceNumber", conditional="ImageType NumberOfFrames Rows Columns ReferencedImageSequence"
    ),
    "RT DOSE": _keys("InstanceNumber DoseSummationType"),
    "RT STRUCTURE SET": _keys("InstanceNumber StructureSetLabel", "StructureSetDate StructureSetTime"),
    "RT PLAN": _keys("InstanceNumber RTPlanLabel", "RTPlanDate RTPlanTime"),
    "RT TREAT RECORD": _keys("InstanceNumber", "TreatmentDate TreatmentTime"),
    "PRESENTATION": _keys(
        "PresentationCreationDate PresentationCreationTime InstanceNumber ContentLabel",
        "ContentDescription ContentCreatorName",
        "ReferencedSeriesSequence BlendingSequence",
    ),
    "WAVEFORM": _CONTENT_KEYS,
    "SR DOCUMENT": _keys(
        f"{_CONTENT} CompletionFlag VerificationFlag ConceptNameCodeSequence",
        conditional="VerificationDateTime ContentSequence",
    ),
    "KEY OBJECT DOC": _keys(f"{_CONTENT} ConceptNameCodeSequence", conditional="ContentSequence"),
    "SPECTROSCOPY": _keys(
        f"{_CONTENT} ImageType NumberOfFrames Rows Columns DataPointRows DataPointColumns",
        conditional="ReferencedImageEvidenceSequence",
    ),
    "RAW DATA": _CONTENT_KEYS,
    "REGISTRATION": _IDENTIFIED,
    "FIDUCIAL": _IDENTIFIED,
    "ENCAP DOC": _keys(
        "InstanceNumber MIMETypeOfEncapsulatedDocument",
        "ContentDate ContentTime DocumentTitle ConceptNameCodeSequence",
        "HL7InstanceIdentifier",
    ),
    "VALUE MAP": _IDENTIFIED,
    "STEREOMETRIC": (),
    "MEASUREMENT": _IDENTIFIED,
    "SURFACE": _IDENTIFIED,
    "SURFACE SCAN": _keys("ContentDate ContentTime"),
    "TRACT": _IDENTIFIED,
    "ASSESSMENT": _keys("InstanceNumber InstanceCreationDate", "InstanceCreationTime"),
    "RADIOTHERAPY": _keys(
        "InstanceNumber", "ContentDescription ContentCreatorName", "UserContentLabel UserContentLongLabel"
    ),
    "ANNOTATION": _IDENTIFIED,
    PRIVATE: (),
}
"""Record type to its keys."""

_BY_NAME = (
    ("Key Object Selection", "KEY OBJECT DOC"),
    (" SR Storage", "SR DOCUMENT"),
    ("Procedure Log", "SR DOCUMENT"),
    ("Report Storage", "SR DOCUMENT"),
    ("Presentation State", "PRESENTATION"),
    ("Structured Display", "PRESENTATION"),
    ("Waveform Storage", "WAVEFORM"),
    ("Audio Waveform", "WAVEFORM"),
    ("Encapsulated", "ENCAP DOC"),
    ("MR Spectroscopy", "SPECTROSCOPY"),
    ("Raw Data", "RAW DATA"),
    ("Spatial Registration", "REGISTRATION"),
    ("Spatial Fiducials", "FIDUCIAL"),
    ("Real World Value Mapping", "VALUE MAP"),
    ("Stereometric", "STEREOMETRIC"),
    ("Measurements Storage", "MEASUREMENT"),
    ("Intraocular Lens Calculations", "MEASUREMENT"),
    ("Surface Segmentation", "SURFACE"),
    ("Surface Scan", "SURFACE SCAN"),
    ("Tractography", "TRACT"),
    ("Content Assessment", "ASSESSMENT"),
    ("Bulk Simple Annotations", "ANNOTATION"),
    ("RT Dose", "RT DOSE"),
    ("RT Structure Set", "RT STRUCTURE SET"),
    ("RT Plan", "RT PLAN"),
    ("RT Ion Plan", "RT PLAN"),
    ("Treatment Record", "RT TREAT RECORD"),
    ("Treatment Summary Record", "RT TREAT RECORD"),
    ("RT Physician Intent", "RADIOTHERAPY"),
    ("RT Segment Annotation", "RADIOTHERAPY"),
    ("Radiation", "RADIOTHERAPY"),
    ("RT Treatment Preparation", "RADIOTHERAPY"),
    ("RT Patient Position", "RADIOTHERAPY"),
)
"""What a SOP class is called in PS3.6, to the type of its records; the first row that fits counts."""

_DATES = ("00080020", "00080021", "00080022", "00080023", "00080012")
_TIMES = ("00080030", "00080031", "00080032", "00080033", "00080013")
_STAND_INS: Mapping[str, Any] = {
    "DA": "19000101",
    "TM": "000000",
    "CS": "UNKNOWN",
    "LO": "UNKNOWN",
    "SH": "UNKNOWN",
    "IS": 1,
    "US": 0,
    "UL": 0,
}
_STAND_INS_BY_TAG: Mapping[int, Any] = {0x00080060: "OT", 0x0040A491: "PARTIAL", 0x0040A493: "UNVERIFIED"}
_CONTENT_SEQUENCE, _VERIFICATION_DATE_TIME = 0x0040A730, 0x0040A030
_VERIFYING_OBSERVERS = "0040A073"
_PATIENT_ID = 0x00100020


def record_type(data_set: DataSet, sop_class_uid: str) -> str:
    """The type of the record of an instance. A SOP class that has none is an IMAGE if it has pixels."""
    name = sop_class_name(sop_class_uid)
    for part, kind in _BY_NAME:
        if part in name:
            return kind
    return IMAGE if "00280010" in data_set or "7FE00010" in data_set else PRIVATE


def element(data_set: DataSet, key: Key, number: int) -> Mapping[str, Any] | None:
    """The element of a record, None for one that it goes without; `number` is the record's place among its like."""
    values = _values(data_set, key)
    if values:
        return {"vr": key.vr, "Value": values}
    if key.conditional:
        return None
    stand_in = _stand_in(data_set, key, number) if key.required else None
    return {"vr": key.vr} if stand_in is None else {"vr": key.vr, "Value": [stand_in]}


def _values(data_set: DataSet, key: Key) -> list[Any]:
    """What the instance has for the key; nothing when it has it in another VR."""
    found = data_set.get(f"{key.tag:08X}", {})
    values = [value for value in found.get("Value") or () if value is not None]
    if key.tag == _CONTENT_SEQUENCE:
        return [item for item in values if _modifies_title(item)]
    if key.tag == _VERIFICATION_DATE_TIME:
        # Each observer verified at a time of theirs; the record has the last.
        observers = data_set.get(_VERIFYING_OBSERVERS, {}).get("Value") or ()
        times = [time for item in observers for time in (item or {}).get("0040A030", {}).get("Value") or ()]
        return [max(times)] if times else []
    return values if found.get("vr") == key.vr else []


def _modifies_title(item: DataSet) -> bool:
    """Of a document's content only what modifies its title is a key (F.5.25)."""
    return "HAS CONCEPT MOD" in (item.get("0040A010", {}).get("Value") or ())


def _stand_in(data_set: DataSet, key: Key, number: int) -> Any:
    if key.tag == _PATIENT_ID and number > 1:
        return f"{_STAND_INS['LO']}{number}"  # readers would take two of one ID for one patient
    for tag in {"DA": _DATES, "TM": _TIMES}.get(key.vr, ()):
        values = data_set.get(tag, {}).get("Value")
        if values and values[0]:
            return values[0]
    if key.vr == "IS":
        return number
    return _STAND_INS_BY_TAG.get(key.tag, _STAND_INS.get(key.vr))
