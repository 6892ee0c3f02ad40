"""pynetdicom's own applications as they are shipped, each a process: echoscu, storescu, findscu, movescu, getscu."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from archive_process import ArchiveServer
from dcmtk import Run, free_port
from device_headers import new_uid
from holdings import add_ae_title, kept, save, uids
from objects import ct, mr, series


def app(name: str, server: ArchiveServer, *options: object, after: tuple[object, ...] = ()) -> Run:
    """Run one of them to its end. What it was asked for comes after host and port only for storescu."""
    address = ["127.0.0.1", server.dimse_port, *after, "-aec", server.ae_title]
    command = [sys.executable, "-m", "pynetdicom", name, *address, "-v", *options]
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False
    )
    return Run(done.returncode, done.stdout.decode("utf-8", "replace"))


@pytest.fixture(scope="module")
def patient(archive_server: ArchiveServer, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """A folder of one patient's CT and MR, stored by storescu in one go, only required contexts proposed."""
    folder = tmp_path_factory.mktemp("patient") / "below"
    shared = {"PatientID": new_uid()[-12:], "StudyInstanceUID": new_uid(), "PatientName": "Apps^Anna"}
    everything = [*series(mr, 2, **shared), *series(ct, 1, **shared)]
    save(folder, *everything)
    sent = app("storescu", archive_server, "-r", "-cx", after=(folder.parent,))
    assert sent.code == 0, sent.output
    assert sent.output.count("Received Store Response (Status: 0x0000 - Success)") == 3, sent.output
    return everything


def keys(level: str, **values: str) -> list[str]:
    """Options for an Identifier."""
    options = ["-k", f"QueryRetrieveLevel={level}"]
    for keyword, value in values.items():
        options += ["-k", f"{keyword}={value}"]
    return options


def test_echoscu(archive_server: ArchiveServer) -> None:
    echoed = app("echoscu", archive_server, "--repeat", 4)
    assert echoed.code == 0, echoed.output
    assert echoed.output.count("Received Echo Response (Status: 0x0000 - Success)") == 4, echoed.output


def test_echoscu_to_another_called_ae_title_is_rejected(archive_server: ArchiveServer) -> None:
    """PS3.8 Table 9-21: result 1, source 1, reason 7."""
    echoed = app("echoscu", archive_server, "-aec", "NOBODY")
    assert echoed.code == 1, echoed.output
    assert "Result: Rejected Permanent, Source: Service User" in echoed.output
    assert "Called AE title not recognised" in echoed.output


@pytest.mark.parametrize(
    ("option", "transfer_syntax_uid"),
    [("-xe", ExplicitVRLittleEndian), ("-xb", ExplicitVRBigEndian), ("-xi", ImplicitVRLittleEndian)],
)
def test_storescu_in_one_transfer_syntax(
    archive_server: ArchiveServer, tmp_path: Path, option: str, transfer_syntax_uid: str
) -> None:
    data_set = mr()
    (path,) = save(tmp_path, data_set, transfer_syntax_uid=transfer_syntax_uid)
    sent = app("storescu", archive_server, option, after=(path,))
    assert "Received Store Response (Status: 0x0000 - Success)" in sent.output, sent.output
    found = kept(archive_server, data_set)
    assert found.file_meta.TransferSyntaxUID == transfer_syntax_uid
    assert found.PixelData == dcmread(path).PixelData


@pytest.mark.parametrize("model", ["-P", "-S", "-O"])
def test_findscu_on_every_model(archive_server: ArchiveServer, patient: list[Dataset], model: str) -> None:
    asked = keys("STUDY", PatientID=patient[0].PatientID, StudyInstanceUID="", ModalitiesInStudy="")
    found = app("findscu", archive_server, model, *asked)
    assert found.code == 0, found.output
    assert len(re.findall(r"Find SCP Response: \d+ - 0xFF00 \(Pending\)", found.output)) == 1, found.output
    assert "Find SCP Result: 0x0000 (Success)" in found.output
    assert patient[0].StudyInstanceUID in found.output
    assert re.search(r"\(0008,0061\) CS \[CT\\MR\]", found.output), found.output


def test_findscu_writes_what_it_finds(
    archive_server: ArchiveServer, patient: list[Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    above = {"PatientID": patient[0].PatientID, "StudyInstanceUID": patient[0].StudyInstanceUID}
    found = app("findscu", archive_server, "-P", "-w", *keys("IMAGE", **above, SOPInstanceUID=""))
    assert found.code == 0, found.output
    answers = [dcmread(path, force=True) for path in tmp_path.glob("rsp*.dcm")]
    assert uids(answers) == uids(patient)


@pytest.mark.parametrize(("model", "level"), [("-P", "PATIENT"), ("-S", "STUDY"), ("-O", "STUDY")])
def test_getscu(
    archive_server: ArchiveServer, patient: list[Dataset], received: Path, model: str, level: str
) -> None:
    got = app("getscu", archive_server, model, "-od", received, *retrieved(patient[0], model, level))
    assert got.code == 0, got.output
    assert "Get SCP Result: 0x0000 (Success)" in got.output, got.output
    arrived = {str(each.SOPInstanceUID): each for each in map(dcmread, received.iterdir())}
    assert set(arrived) == uids(patient)
    assert all(arrived[each.SOPInstanceUID].PixelData == each.PixelData for each in patient)


def retrieved(data_set: Dataset, model: str, level: str) -> list[str]:
    """The Identifier of a retrieve."""
    patient = {} if model == "-S" else {"PatientID": str(data_set.PatientID)}
    study = {} if level == "PATIENT" else {"StudyInstanceUID": str(data_set.StudyInstanceUID)}
    return keys(level, **patient, **study)


@pytest.fixture(scope="module")
def listens_at(archive_server: ArchiveServer) -> int:
    """The port at which the archive expects movescu to listen."""
    port = free_port()
    add_ae_title(archive_server, "PYMOVE", port)
    return port


@pytest.mark.parametrize("model", ["-P", "-S"])
def test_movescu_to_itself(
    archive_server: ArchiveServer, patient: list[Dataset], listens_at: int, received: Path, model: str
) -> None:
    """--store: it receives what it has asked for."""
    own = ["-aem", "PYMOVE", "--store", "--store-port", listens_at, "--store-aet", "PYMOVE", "-od", received]
    moved = app("movescu", archive_server, model, *own, *retrieved(patient[0], model, "STUDY"))
    assert moved.code == 0, moved.output
    assert "Move SCP Result: 0x0000 (Success)" in moved.output, moved.output
    assert {str(dcmread(path).SOPInstanceUID) for path in received.iterdir()} == uids(patient)


def test_movescu_to_a_stranger_is_told_so(archive_server: ArchiveServer, patient: list[Dataset]) -> None:
    """A801 (PS3.4 Table C.4-2)."""
    moved = app("movescu", archive_server, "-S", "-aem", "STRANGER", *retrieved(patient[0], "-S", "STUDY"))
    assert "0xA801 (Failure)" in moved.output, moved.output
