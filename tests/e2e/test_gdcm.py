"""gdcmscu, a second independent stack: echo, store, find on both models, move to itself.

It has no C-GET behind its option. A move that is refused costs it a minute, as it waits for objects all the same, so
that is not asked here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

import dcmtk
from archive_process import ArchiveServer
from device_headers import new_uid
from gdcm_tools import gdcmscu
from holdings import add_ae_title, kept, save, uids
from objects import ct, mr, series

pytestmark = pytest.mark.usefixtures("gdcm")

SUCCESS, PENDING = 0x0000, 0xFF00


@pytest.fixture(scope="module")
def patient(
    archive_server: ArchiveServer, tmp_path_factory: pytest.TempPathFactory, gdcm: None
) -> list[Dataset]:
    """Two MR and a CT of one patient, stored by gdcmscu from a folder."""
    folder = tmp_path_factory.mktemp("gdcm")
    shared = {"PatientID": new_uid()[-12:], "StudyInstanceUID": new_uid(), "PatientName": "Grassroots^Gina"}
    everything = [*series(mr, 2, **shared), *series(ct, 1, **shared)]
    save(folder / "files", *everything)
    log = gdcmscu(archive_server, folder / "log", "--store", "-r", "-i", folder / "files")
    assert log.statuses == [SUCCESS] * 3, log.text
    return everything


def test_echo(archive_server: ArchiveServer, tmp_path: Path) -> None:
    assert gdcmscu(archive_server, tmp_path / "log", "--echo").statuses[-1:] == [SUCCESS]


def test_another_called_ae_title_is_rejected(archive_server: ArchiveServer, tmp_path: Path) -> None:
    log = gdcmscu(archive_server, tmp_path / "log", "--echo", called="NOBODY")
    assert "Result: rejected-permanent" in log.text, log.text
    assert "called-AE-title-not-recognized" in log.text


def test_what_it_stores_is_there(archive_server: ArchiveServer, patient: list[Dataset]) -> None:
    for data_set in patient:
        assert kept(archive_server, data_set).PixelData == data_set.PixelData


@pytest.mark.parametrize(
    ("model", "level", "answers"),
    [
        ("--patientroot", "--patient", 1),
        ("--patientroot", "--study", 1),
        ("--patientroot", "--series", 2),
        ("--patientroot", "--image", 3),
        ("--studyroot", "--study", 1),
        ("--studyroot", "--series", 2),
        ("--studyroot", "--image", 3),
    ],
)
def test_find(
    archive_server: ArchiveServer,
    patient: list[Dataset],
    tmp_path: Path,
    model: str,
    level: str,
    answers: int,
) -> None:
    """With all unique keys of the levels above, as it insists."""
    asked = ["--key", f"10,20={patient[0].PatientID}"]
    if level != "--patient":
        asked += ["--key", f"20,d={patient[0].StudyInstanceUID}"]
    if level == "--image":
        asked += ["--key", "20,e=", "--key", "8,18="]
    log = gdcmscu(archive_server, tmp_path / "log", "--find", model, level, *asked)
    assert log.statuses == [PENDING] * answers + [SUCCESS], log.text
    assert "C-Find was successful" in log.text


def test_find_of_nothing(archive_server: ArchiveServer, tmp_path: Path) -> None:
    asked = ["--key", f"10,20={new_uid()[-12:]}"]
    log = gdcmscu(archive_server, tmp_path / "log", "--find", "--patientroot", "--patient", *asked)
    assert log.statuses == [SUCCESS], log.text


@pytest.mark.parametrize(("model", "level"), [("--patientroot", "--patient"), ("--studyroot", "--study")])
def test_move_to_itself(
    archive_server: ArchiveServer,
    patient: list[Dataset],
    tmp_path: Path,
    received: Path,
    model: str,
    level: str,
) -> None:
    port = dcmtk.free_port()
    add_ae_title(archive_server, "GDCMSCU", port)
    asked = ["--key", f"10,20={patient[0].PatientID}"]
    if level == "--study":
        asked = ["--key", f"20,d={patient[0].StudyInstanceUID}"]
    own = ["--aetitle", "GDCMSCU", "--port-scp", port, "-o", received]
    log = gdcmscu(archive_server, tmp_path / "log", "--move", model, level, *own, *asked)
    assert log.statuses[-1] == SUCCESS, log.text
    assert {str(dcmread(path).SOPInstanceUID) for path in received.iterdir()} == uids(patient)
