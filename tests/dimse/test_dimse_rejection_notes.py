"""Rejection notes by C-STORE, with pynetdicom as the console (dimse.md 1.5 IOCM): what is found, moved, got and
committed to afterwards, and what senders hear."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    SecondaryCaptureImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from archive.dicom.instance import Source
from archive.dicom.receiving.commitment import Reference
from door import Door
from objects import new_uid, secondary_capture
from rejection_notes import PATIENT_SAFETY, rejection_note

FIND, GET = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet
STORED = (SecondaryCaptureImageStorage, KeyObjectSelectionDocumentStorage)


def series_of(number: int) -> list[Dataset]:
    study, series = new_uid(), new_uid()
    return [secondary_capture(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(number)]


def send(door: Door, *data_sets: Dataset) -> list[Dataset]:
    """The responses to one C-STORE each."""
    console = AE("CONSOLE")
    for sop_class in STORED:
        console.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = console.associate("127.0.0.1", door.port, ae_title="ARCHIVE")
    assert association.is_established
    try:
        return [association.send_c_store(_with_meta(one)) for one in data_sets]
    finally:
        association.release()


def _with_meta(data_set: Dataset) -> Dataset:
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data_set


def found(door: Door, study: str, level: str) -> list[Dataset]:
    console = AE("CONSOLE")
    console.add_requested_context(FIND)
    association = console.associate("127.0.0.1", door.port, ae_title="ARCHIVE")
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = level, study
    keys.SOPInstanceUID = keys.NumberOfStudyRelatedInstances = ""
    try:
        return [answer for status, answer in association.send_c_find(keys, FIND) if answer is not None]
    finally:
        association.release()


def got(door: Door, study: str) -> tuple[int, list[str]]:
    """The last status of a C-GET, and what came."""
    came: list[str] = []
    handlers = [(evt.EVT_C_STORE, lambda event: came.append(str(event.dataset.SOPInstanceUID)) or 0)]
    console = AE("CONSOLE")
    console.add_requested_context(GET)
    console.add_requested_context(SecondaryCaptureImageStorage)
    roles = [build_role(SecondaryCaptureImageStorage, scp_role=True)]
    association = console.associate(
        "127.0.0.1", door.port, ae_title="ARCHIVE", ext_neg=roles, evt_handlers=handlers
    )
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", study
    try:
        statuses = [status.Status for status, _ in association.send_c_get(keys, GET)]
    finally:
        association.release()
    return statuses[-1], sorted(came)


def test_what_is_rejected_is_not_found_and_not_got(door: Door) -> None:
    series = series_of(3)
    study = series[0].StudyInstanceUID
    note = rejection_note(PATIENT_SAFETY, series[:2])
    assert [answer.Status for answer in send(door, *series, note)] == [0] * 4
    (answer,) = found(door, study, "STUDY")
    assert answer.NumberOfStudyRelatedInstances == 1
    assert [one.SOPInstanceUID for one in found(door, study, "IMAGE")] == [series[2].SOPInstanceUID]
    assert got(door, study) == (0, [series[2].SOPInstanceUID])


def test_a_study_that_is_rejected_whole(door: Door) -> None:
    series = series_of(2)
    send(door, *series, rejection_note(PATIENT_SAFETY, series))
    study = series[0].StudyInstanceUID
    assert found(door, study, "STUDY") == []
    assert got(door, study)[1] == []


def test_what_senders_hear(door: Door) -> None:
    """0111 for what was rejected, B000 with Offending Element for what a note waits for, A900 for a wrong note."""
    early, late, other = series_of(3)
    wrong = rejection_note(PATIENT_SAFETY, [other], PatientID="SOMEBODY-ELSE")
    note = rejection_note(PATIENT_SAFETY, [early, late])
    _, _, refused, accepted, again, awaited = send(door, early, other, wrong, note, early, late)
    assert (refused.Status, refused.OffendingElement) == (0xA900, 0x00100020)
    assert "patient" in refused.ErrorComment
    assert accepted.Status == 0
    assert again.Status == 0x0111
    assert again.ErrorComment.startswith("rejected by a rejection note")
    assert (awaited.Status, awaited.OffendingElement) == (0xB000, 0x00080018)
    assert "rejection note 1" in awaited.ErrorComment
    assert [one.SOPInstanceUID for one in found(door, early.StudyInstanceUID, "IMAGE")] == [
        other.SOPInstanceUID
    ]


def test_commitment_says_no_to_what_is_rejected(door: Door) -> None:
    (one,) = series_of(1)
    note = rejection_note(PATIENT_SAFETY, [one])
    send(door, one, note)
    asked = [Reference(each.SOPClassUID, each.SOPInstanceUID) for each in (one, note)]
    verdicts = door.archive.commitment.request(new_uid(), asked, Source("DIMSE", calling_ae_title="CONSOLE"))
    assert verdicts is not None
    assert [verdict.failure_reason for verdict in verdicts] == [0x0112, 0]
