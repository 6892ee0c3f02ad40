"""Workitems follow their patients: whoever is merged or named anew (dimse.md 1.5 UPS and HL7; PS3.4 CC.2.6.3)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.bootstrap.building import Archive
from archive.dicom.errors import InvalidValue
from archive.dicom.patient_key import PatientKey
from archive.dicom.query import Key, SingleValue
from archive.services import patient_entries
from archive.services.workitems import Workitems
from workitem_sets import as_json
from workitems_here import LOCK, PATIENT, archive_with_workitems, begun, by_keyword, create, found

UNKNOWN, JANE = PatientKey("EMERGENCY7"), PatientKey("P1")


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with archive_with_workitems(tmp_path / "data", index_url) as opened:
        yield opened


@pytest.fixture
def kept(archive: Archive) -> Workitems:
    return archive.workitems


def merge(archive: Archive) -> None:
    said = {"PatientName": "Doe^Jane", "PatientBirthDate": "19700101"}
    archive.corrections.merge(UNKNOWN, JANE, said, "RIS", "identified")


def test_a_merged_patient_has_its_workitems(archive: Archive, kept: Workitems) -> None:
    uid = begun(kept, PatientID="EMERGENCY7", PatientName="Unknown^Man", IssuerOfPatientID="")
    merge(archive)
    shown = by_keyword(kept, uid)
    assert (shown["PatientID"], shown["PatientName"], shown["PatientBirthDate"]) == (
        "P1",
        "Doe^Jane",
        "19700101",
    )
    assert found(kept, Key(PATIENT, SingleValue("P1"))) == [uid]
    assert found(kept, Key(PATIENT, SingleValue("EMERGENCY7"))) == []
    assert kept.find(uid).state == "IN PROGRESS"


def test_a_late_workitem_is_of_the_patient_who_survives(archive: Archive, kept: Workitems) -> None:
    merge(archive)
    uid = create(kept, PatientID="EMERGENCY7", PatientName="Unknown^Man")
    assert by_keyword(kept, uid)["PatientID"] == "P1"


def test_a_performer_may_still_say_whom_it_began_with(archive: Archive, kept: Workitems) -> None:
    """Many send the whole data set; but another patient is another workitem's."""
    uid = begun(kept, PatientID="EMERGENCY7", PatientName="Unknown^Man")
    merge(archive)
    said = {"PatientID": "EMERGENCY7", "PatientName": "Unknown^Man", "ProcedureStepLabel": "Other"}
    kept.update(uid, as_json(said), LOCK)
    shown = by_keyword(kept, uid)
    assert (shown["PatientID"], shown["PatientName"], shown["ProcedureStepLabel"]) == (
        "P1",
        "Doe^Jane",
        "Other",
    )
    with pytest.raises(InvalidValue):
        kept.update(uid, as_json({"PatientID": "P2"}), LOCK)


def test_other_demographics(archive: Archive, kept: Workitems) -> None:
    uid = create(kept, PatientID="P1", PatientName="Doe^Jane")
    archive.corrections.update_patient(JANE, {"PatientName": "Roe^Jane"}, "RIS", "married")
    assert by_keyword(kept, uid)["PatientName"] == "Roe^Jane"


def test_who_changes_a_workitem_beside_a_correction_undoes_nothing(archive: Archive, kept: Workitems) -> None:
    uid = begun(kept, PatientID="EMERGENCY7", PatientName="Unknown^Man")
    corrected, pause = threading.Event(), threading.Event()

    def correct(connection: Any) -> None:
        patient_entries.merged(connection, 0, UNKNOWN, JANE, {"PatientName": "Doe^Jane"})
        corrected.set()
        pause.wait(0.5)

    correcting = threading.Thread(target=archive.database.write, args=(correct,))
    correcting.start()
    assert corrected.wait(20)
    kept.update(uid, as_json({"ProcedureStepLabel": "Other"}), LOCK)
    correcting.join()
    shown = by_keyword(kept, uid)
    assert (shown["PatientID"], shown["ProcedureStepLabel"]) == ("P1", "Other")
