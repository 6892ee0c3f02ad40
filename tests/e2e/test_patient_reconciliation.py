"""IHE Patient Information Reconciliation, end to end (dimse.md 1.5 HL7 ADT and patient merge, 1.6 PIR): an unidentified
patient is examined in an emergency, and identified afterwards. Everything is found under the right patient, in every
way of asking, and nothing under the other one."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from hl7.client import MLLPClient
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
)

import dicomweb
import scu
from archive_process import ArchiveServer
from objects import ct, data_set_bytes, new_uid, part10
from worklists import ended, performed

StartArchive = Callable[..., ArchiveServer]
TEMPORARY, RIGHT = ("T-0815", "Unknown^Male"), ("4711", "Roe^Richard")
PAIR = (str(CTImageStorage), str(ExplicitVRLittleEndian))
JSON = {"Accept": "application/dicom+json"}
STUDY_UID, ACCESSION = "1.2.826.0.1.3680043.8.498.1", "ACC1"


@pytest.fixture
def start(start_archive: StartArchive, tmp_path: Path) -> Callable[[], ArchiveServer]:
    """The archive of one site; again, it is the same."""
    environment = {
        "ARCHIVE_HL7_LISTEN": "127.0.0.1:0",
        "ARCHIVE_WORKLIST_STATIONS": "CT=CT1",
        "ARCHIVE_HL7_ASSIGNING_AUTHORITIES": "HOSP",
    }
    return lambda: start_archive("--workers", "1", data=tmp_path / "data", environment=environment)


def tell(server: ArchiveServer, kind: str, *segments: str) -> str:
    """A message; what its acknowledgment says in MSA."""
    [line] = [line for line in server.greeting.splitlines() if line.endswith("over MLLP")]
    port = int(line.split()[1].rpartition(":")[2])
    header = f"MSH|^~\\&|RIS|HOSP|ARCHIVE|HOSP|20261122||{kind}|M1|P|2.5.1||||||UNICODE UTF-8"
    with MLLPClient("127.0.0.1", port) as client:
        answer: bytes = client.send_message("\r".join([header, *segments]) + "\r")
    return next(one for one in answer.decode().split("\r") if one.startswith("MSA"))


def pid(who: tuple[str, str], more: str = "") -> str:
    return f"PID|||E-1^^^MPI^PI~{who[0]}^^^HOSP^MR||{who[1]}{more}"


def image(who: tuple[str, str], study: str, **keywords: str) -> Dataset:
    return ct(PatientID=who[0], PatientName=who[1], StudyInstanceUID=study, **keywords)


def store(server: ArchiveServer, one: Dataset) -> None:
    status, comment = scu.store(server, PAIR, one.SOPInstanceUID, [data_set_bytes(part10(one))])
    assert status in (0x0000, 0xB000), comment


def ask(server: ArchiveServer, model: Any, keys: Dataset) -> list[Dataset]:
    """C-FIND."""
    ae = AE("CT1")
    ae.add_requested_context(model)
    association = ae.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    assert association.is_established
    try:
        return [found for _, found in association.send_c_find(keys, model) if found is not None]
    finally:
        association.release()


def worklist(server: ArchiveServer, **keys: str) -> list[Dataset]:
    """What the modality is offered."""
    step, question = Dataset(), Dataset()
    step.ScheduledStationAETitle, step.ScheduledProcedureStepID = "CT1", ""
    question.ScheduledProcedureStepSequence = [step]
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "AccessionNumber", "PatientBirthDate"):
        setattr(question, keyword, keys.get(keyword, ""))
    question.RequestedProcedureID = question.RequestedProcedureDescription = ""
    return ask(server, ModalityWorklistInformationFind, question)


def perform(server: ArchiveServer, entry: Dataset, uid: str, *, end: bool) -> None:
    """The modality begins the step that it was offered, or ends it."""
    step = entry.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID
    whole = {word: getattr(entry, word) for word in ("PatientID", "PatientName", "StudyInstanceUID")}
    whole |= {word: getattr(entry, word) for word in ("AccessionNumber", "RequestedProcedureID")}
    whole["RequestedProcedureDescription"] = entry.RequestedProcedureDescription
    of = {**whole, "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": step}]}
    ae = AE("CT1")
    ae.add_requested_context(ModalityPerformedProcedureStep)
    association = ae.associate("127.0.0.1", server.dimse_port, ae_title=server.ae_title)
    assert association.is_established
    try:
        if end:
            status, _ = association.send_n_set(ended(), ModalityPerformedProcedureStep, uid)
        else:
            status, _ = association.send_n_create(performed(of), ModalityPerformedProcedureStep, uid)
        assert status.Status == 0x0000, status
    finally:
        association.release()


def patients(server: ArchiveServer, **keys: str) -> list[tuple[str, str, str]]:
    """C-FIND at the patient level."""
    question = Dataset()
    question.QueryRetrieveLevel = "PATIENT"
    question.NumberOfPatientRelatedInstances = ""
    for keyword in ("PatientID", "PatientName"):
        setattr(question, keyword, keys.get(keyword, ""))
    found = ask(server, PatientRootQueryRetrieveInformationModelFind, question)
    return sorted(
        (str(one.PatientID), str(one.PatientName), str(one.NumberOfPatientRelatedInstances)) for one in found
    )


def check_all_are_right(server: ArchiveServer, images: list[Dataset], entries: int) -> None:
    """Every object says who it is of in every way in which it can be asked, and nobody has the former identity."""
    assert patients(server) == [(*RIGHT, str(len(images)))]
    assert patients(server, PatientID=TEMPORARY[0]) == patients(server, PatientName="Unknown*") == []
    for former in ({"PatientID": TEMPORARY[0]}, {"PatientName": "Unknown*"}):
        assert dicomweb.search(server.dicomweb_url, "studies", **former) == []
        assert dicomweb.search(server.dicomweb_url, "instances", **former) == []
        assert worklist(server, **former) == []
    studies = dicomweb.search(server.dicomweb_url, "studies", PatientID=RIGHT[0])
    assert {one["0020000D"]["Value"][0] for one in studies} == {one.StudyInstanceUID for one in images}
    for one in images:
        url = f"{server.dicomweb_url}/studies/{one.StudyInstanceUID}"
        [stored] = [
            dcmread(BytesIO(each))
            for each in dicomweb.retrieve(url)
            if dcmread(BytesIO(each)).SOPInstanceUID == one.SOPInstanceUID
        ]
        assert (stored.PatientID, stored.PatientName, stored.PatientBirthDate) == (*RIGHT, "19800229")
        assert stored.PixelData == one.PixelData
        metadata = httpx.get(f"{url}/metadata", headers=JSON, timeout=60).json()
        assert {each["00100020"]["Value"][0] for each in metadata} == {RIGHT[0]}
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": one.StudyInstanceUID}
        got = scu.get(server, [PAIR], **keys)[one.SOPInstanceUID]
        assert RIGHT[1].encode() in got
    for subject, count in (("worklist", entries), ("performed-steps", entries)):
        listed = httpx.get(f"{server.http_url}/api/{subject}", timeout=60).json()
        named = [(one["attributes"]["PatientID"], one["attributes"]["PatientName"]) for one in listed]
        assert named == [RIGHT] * count, subject


def test_an_unidentified_patient_is_identified(start: Callable[[], ArchiveServer]) -> None:
    server = start()
    earlier = image(RIGHT, new_uid(), PatientBirthDate="19800229")
    store(server, earlier)
    visit = "PV1||E|EMERGENCY"
    assert tell(server, "ADT^A04", pid(TEMPORARY, "|||M"), visit).startswith("MSA|AA")
    for number, study in (("1", STUDY_UID), ("2", f"{STUDY_UID}.2")):
        order = (
            f"ORC|NW|PL{number}|F{number}",
            f"OBR|1|||CTH^CT head^L||||||||||||||{ACCESSION}|RP{number}|S{number}||||CT",
            f"ZDS|{study}^HOSP^Application^DICOM",
        )
        assert tell(server, "ORM^O01", pid(TEMPORARY, "|||M"), visit, *order).startswith("MSA|AA")
    entry, other = sorted(worklist(server), key=lambda one: str(one.RequestedProcedureID))
    assert (entry.PatientID, str(entry.PatientName)) == TEMPORARY
    perform(server, entry, "1.2.9", end=False)
    first = image(TEMPORARY, STUDY_UID, AccessionNumber=ACCESSION)
    store(server, first)

    merge = (pid(RIGHT, "||19800229|M"), f"MRG|{TEMPORARY[0]}^^^HOSP^MR")
    assert tell(server, "ADT^A40^ADT_A39", *merge).startswith("MSA|AA")
    offered = {str(one.PatientID) for one in worklist(server)}
    assert offered == {RIGHT[0]}, "at the next question"

    # The modality knows nothing of it, and goes on.
    perform(server, entry, "1.2.9", end=True)
    perform(server, other, "1.2.10", end=False)
    second = image(TEMPORARY, STUDY_UID, AccessionNumber=ACCESSION)
    third = image(TEMPORARY, f"{STUDY_UID}.2", AccessionNumber=ACCESSION)
    store(server, second)
    store(server, third)
    perform(server, other, "1.2.10", end=True)
    check_all_are_right(server, [earlier, first, second, third], entries=2)
    assert tell(server, "ADT^A40^ADT_A39", *merge).startswith("MSA|AA"), "the same message again"

    assert server.stop() == 0
    for word in ("Roe^", "Unknown^", TEMPORARY[0]):
        assert word not in server.log, "no patient in the log"
    server = start()
    late = image(TEMPORARY, new_uid(), AccessionNumber=ACCESSION)
    store(server, late)
    check_all_are_right(server, [earlier, first, second, third, late], entries=2)
