"""The attributes that the index knows, each a row of one table.

A row says where the attribute lives in the hierarchy, whether it can be matched, and whether it is returned
without being asked for. Columns, QIDO-RS return keys, C-FIND supported keys and the conformance statement are
derived from here; adding a searchable attribute is one row and one migration.

Sources: PS3.4 C.6.1.1 and C.6.2.1 (keys by level), PS3.18 10.6.1.2.3 and 10.6.3.3 (matching and return keys).
"""

from __future__ import annotations

from dataclasses import dataclass

from archive.dicom.instance import Level


@dataclass(frozen=True, slots=True)
class Attribute:
    """One indexed attribute. `matched`: it has a column of its own and can be a matching key. `returned`: QIDO-RS
    gives it back unasked. `computed`: not in any object, made from the index when asked."""

    keyword: str
    tag: int
    vr: str
    level: Level
    matched: bool = False
    returned: bool = False
    computed: bool = False

    @property
    def tag_hex(self) -> str:
        """Eight hex digits, upper case: the key in the DICOM JSON Model."""
        return f"{self.tag:08X}"


_P, _S, _R, _I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("PatientName", 0x00100010, "PN", _P, matched=True, returned=True),
    Attribute("PatientID", 0x00100020, "LO", _P, matched=True, returned=True),
    Attribute("IssuerOfPatientID", 0x00100021, "LO", _P, matched=True),
    Attribute("PatientBirthDate", 0x00100030, "DA", _P, matched=True, returned=True),
    Attribute("PatientBirthTime", 0x00100032, "TM", _P),
    Attribute("PatientSex", 0x00100040, "CS", _P, matched=True, returned=True),
    Attribute("OtherPatientIDs", 0x00101000, "LO", _P),
    Attribute("EthnicGroup", 0x00102160, "SH", _P),
    Attribute("PatientComments", 0x00104000, "LT", _P),
    Attribute("NumberOfPatientRelatedStudies", 0x00201200, "IS", _P, computed=True),
    Attribute("NumberOfPatientRelatedSeries", 0x00201202, "IS", _P, computed=True),
    Attribute("NumberOfPatientRelatedInstances", 0x00201204, "IS", _P, computed=True),
    Attribute("StudyInstanceUID", 0x0020000D, "UI", _S, matched=True, returned=True),
    Attribute("StudyDate", 0x00080020, "DA", _S, matched=True, returned=True),
    Attribute("StudyTime", 0x00080030, "TM", _S, matched=True, returned=True),
    Attribute("AccessionNumber", 0x00080050, "SH", _S, matched=True, returned=True),
    Attribute("ReferringPhysicianName", 0x00080090, "PN", _S, matched=True, returned=True),
    Attribute("TimezoneOffsetFromUTC", 0x00080201, "SH", _S, returned=True),
    Attribute("StudyDescription", 0x00081030, "LO", _S, matched=True, returned=True),
    Attribute("NameOfPhysiciansReadingStudy", 0x00081060, "PN", _S),
    Attribute("AdmittingDiagnosesDescription", 0x00081080, "LO", _S),
    Attribute("PatientAge", 0x00101010, "AS", _S),
    Attribute("PatientSize", 0x00101020, "DS", _S),
    Attribute("PatientWeight", 0x00101030, "DS", _S),
    Attribute("Occupation", 0x00102180, "SH", _S),
    Attribute("AdditionalPatientHistory", 0x001021B0, "LT", _S),
    Attribute("StudyID", 0x00200010, "SH", _S, matched=True, returned=True),
    Attribute("ModalitiesInStudy", 0x00080061, "CS", _S, matched=True, returned=True, computed=True),
    Attribute("SOPClassesInStudy", 0x00080062, "UI", _S, matched=True, computed=True),
    Attribute("NumberOfStudyRelatedSeries", 0x00201206, "IS", _S, returned=True, computed=True),
    Attribute("NumberOfStudyRelatedInstances", 0x00201208, "IS", _S, returned=True, computed=True),
    Attribute("SeriesInstanceUID", 0x0020000E, "UI", _R, matched=True, returned=True),
    Attribute("Modality", 0x00080060, "CS", _R, matched=True, returned=True),
    Attribute("SeriesDate", 0x00080021, "DA", _R, matched=True),
    Attribute("SeriesTime", 0x00080031, "TM", _R, matched=True),
    Attribute("Manufacturer", 0x00080070, "LO", _R, matched=True),
    Attribute("InstitutionName", 0x00080080, "LO", _R, matched=True),
    Attribute("StationName", 0x00081010, "SH", _R, matched=True),
    Attribute("SeriesDescription", 0x0008103E, "LO", _R, matched=True, returned=True),
    Attribute("InstitutionalDepartmentName", 0x00081040, "LO", _R),
    Attribute("PerformingPhysicianName", 0x00081050, "PN", _R, matched=True),
    Attribute("OperatorsName", 0x00081070, "PN", _R),
    Attribute("ManufacturerModelName", 0x00081090, "LO", _R),
    Attribute("BodyPartExamined", 0x00180015, "CS", _R, matched=True),
    Attribute("ProtocolName", 0x00181030, "LO", _R),
    Attribute("PatientPosition", 0x00185100, "CS", _R),
    Attribute("SeriesNumber", 0x00200011, "IS", _R, matched=True, returned=True),
    Attribute("Laterality", 0x00200060, "CS", _R),
    Attribute("PerformedProcedureStepStartDate", 0x00400244, "DA", _R, matched=True, returned=True),
    Attribute("PerformedProcedureStepStartTime", 0x00400245, "TM", _R, matched=True, returned=True),
    Attribute("PerformedProcedureStepID", 0x00400253, "SH", _R),
    Attribute("PerformedProcedureStepDescription", 0x00400254, "LO", _R),
    Attribute("RequestAttributesSequence", 0x00400275, "SQ", _R, matched=True, returned=True),
    Attribute("NumberOfSeriesRelatedInstances", 0x00201209, "IS", _R, returned=True, computed=True),
    Attribute("SOPClassUID", 0x00080016, "UI", _I, matched=True, returned=True),
    Attribute("SOPInstanceUID", 0x00080018, "UI", _I, matched=True, returned=True),
    Attribute("ImageType", 0x00080008, "CS", _I),
    Attribute("InstanceCreationDate", 0x00080012, "DA", _I),
    Attribute("InstanceCreationTime", 0x00080013, "TM", _I),
    Attribute("AcquisitionDate", 0x00080022, "DA", _I),
    Attribute("ContentDate", 0x00080023, "DA", _I, matched=True),
    Attribute("AcquisitionDateTime", 0x0008002A, "DT", _I),
    Attribute("AcquisitionTime", 0x00080032, "TM", _I),
    Attribute("ContentTime", 0x00080033, "TM", _I, matched=True),
    Attribute("AcquisitionNumber", 0x00200012, "IS", _I),
    Attribute("InstanceNumber", 0x00200013, "IS", _I, matched=True, returned=True),
    Attribute("NumberOfFrames", 0x00280008, "IS", _I, returned=True),
    Attribute("Rows", 0x00280010, "US", _I, returned=True),
    Attribute("Columns", 0x00280011, "US", _I, returned=True),
    Attribute("BitsAllocated", 0x00280100, "US", _I, returned=True),
    Attribute("AvailableTransferSyntaxUID", 0x00083002, "UI", _I, returned=True, computed=True),
)

BY_TAG = {attribute.tag: attribute for attribute in ATTRIBUTES}
BY_KEYWORD = {attribute.keyword: attribute for attribute in ATTRIBUTES}

REQUEST_ATTRIBUTES = {0x00400009: "ScheduledProcedureStepID", 0x00401001: "RequestedProcedureID"}
"""The items of RequestAttributesSequence that can be matched (PS3.18 Table 10.6.1-5); both SH."""

UNIQUE_KEYS = {
    Level.PATIENT: 0x00100020,
    Level.STUDY: 0x0020000D,
    Level.SERIES: 0x0020000E,
    Level.IMAGE: 0x00080018,
}
"""The Unique Key of each level (PS3.4 C.6.1.1, C.6.2.1)."""
