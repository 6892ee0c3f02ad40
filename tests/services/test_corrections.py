"""Corrections (dimse.md 1.5: ADT, patient merge, retrieve of updated attributes): whatever is asked, and whoever asks,
patients and studies say what is right, and nothing says what was wrong. On both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from archive.bootstrap import Archive
from archive.dicom.instance import Level
from archive.dicom.patient_key import PatientKey
from archive.services.corrections import State
from corrected import DOE, ROE, answers, opened_archive, says, store_all, whose
from held import settle_down
from objects import new_uid, secondary_capture


@pytest.fixture
def archive(tmp_path: Path, index_url: str) -> Iterator[Archive]:
    with opened_archive(tmp_path, index_url) as opened:
        yield opened


def of(key: PatientKey, name: str, study: str = "", **keywords: Any) -> Dataset:
    keywords = {"PatientID": key.PatientID, "IssuerOfPatientID": key.IssuerOfPatientID or None, **keywords}
    return secondary_capture(PatientName=name, StudyInstanceUID=study or new_uid(), **keywords)


def test_a_merged_patient_is_the_other_everywhere(archive: Archive) -> None:
    prior = of(DOE, "Doe^Emergency", AccessionNumber="7")
    other = of(ROE, "Roe^Jane", PatientBirthDate="19700101", PatientSex="F")
    store_all(archive, prior, other)
    assert archive.corrections.merge(DOE, ROE, {}, "test", "same person")
    assert whose(archive) == dict.fromkeys(
        [prior.SOPInstanceUID, other.SOPInstanceUID], ("2", "", "Roe^Jane")
    )
    assert says(archive, prior, "PatientBirthDate", "PatientSex", "AccessionNumber") == ("19700101", "F", "7")
    assert answers(archive, Level.STUDY, "StudyInstanceUID", PatientName="Doe*") == []
    settle_down(archive)
    assert archive.corrections.last()[0].state == State.DONE
