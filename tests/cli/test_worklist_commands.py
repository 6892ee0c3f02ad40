"""`archive worklist …` as a person uses it, and orders at a running server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hl7.client import MLLPClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from archive_process import StartArchive
from in_process import in_folder
from worklists import written

ORDER = (
    "MSH|^~\\&|RIS|HOSP|||20261122||ORM^O01|M1|P|2.3.1\r"
    "PID|||4711||Doe^Jane\r"
    "ORC|NW|PL1|F1||||^^^202611231015\r"
    "OBR|1|PL1|F1|C^CT head^L||||||||||||||ACC1|RP1|SPS1||||CT\r"
)
ADD = ("worklist", "add", "--patient-id", "P1", "--patient-name", "Doe^Jane", "--modality", "CT")


def listed(data: Path, *options: str) -> list[list[str]]:
    done = in_folder(data, "worklist", "list", *options)
    assert done.code == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_an_entry_from_beginning_to_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = ("--description", "Head", "--station", "CT1", "--station", "CT2", "--start", "2026-12-31 14:30")
    done = in_folder(data, *ADD, *options, "--set", "AdmissionID=V1", "--accession-number", "A1")
    assert (done.code, done.stdout) == (0, "entered as number 1\n")
    assert listed(data) == [
        ["1", "SCHEDULED", "20261231", "1430", "CT", "CT1 CT2", "P1", "Doe^Jane", "A1", "Head"]
    ]
    shown = json.loads(in_folder(data, "worklist", "show", "1").stdout)
    assert shown["AdmissionID"] == "V1"
    assert in_folder(data, "worklist", "set", "1", "ARRIVED").stdout == "number 1 is ARRIVED\n"
    assert listed(data, "--state", "SCHEDULED") == []
    assert in_folder(data, "worklist", "remove", "1").code == 0
    assert in_folder(data, "worklist", "remove", "1").code == 1
    assert listed(data) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--description", "Head"), "worklist.stations"),
        (
            ("--description", "Head", "--station", "CT1", "--start", "tomorrow"),
            "ScheduledProcedureStepStartDate",
        ),
        (("--description", "Head", "--station", "CT1", "--set", "Nonsense"), "--set"),
        (("--description", "Head", "--station", "CT1", "--set", "Nonsense=1"), "Nonsense"),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    done = in_folder(tmp_path / "data", *ADD, *options)
    assert done.code == 1
    assert words in done.stderr


def test_files_are_imported(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "two.json").write_text(json.dumps([written(PatientID="J1"), written(PatientID="J2")]))
    (folder / "orders.hl7").write_text(
        ORDER.replace("\r", "\n") + "\n" + ORDER.replace("F1", "F2").replace("SPS1", "X")
    )
    worklist_file(folder / "one.wl")
    (folder / "lockfile").write_text("")
    data, station = tmp_path / "data", ["--config", str(tmp_path / "archive.toml")]
    (tmp_path / "archive.toml").write_text('[worklist]\nstations = ["CT=CT1"]\n')
    done = in_folder(data, "worklist", "import", str(folder), *station)
    assert done.code == 1
    assert "5 entered or changed, 0 there already, 1 refused" in done.stdout
    assert "lockfile: neither JSON nor" in done.stderr
    assert sorted(row[6] for row in listed(data)) == ["4711", "4711", "J1", "J2", "W1"]
    again = in_folder(data, "worklist", "import", str(folder / "two.json"), str(folder / "one.wl"))
    assert (again.code, again.stdout) == (0, "0 entered or changed, 3 there already, 0 refused\n")


@pytest.mark.parametrize(
    ("said", "instead"), [("|P|2.3.1", "|T|2.3.1"), ("ORM^O01", "OML^O21"), ("ORM^O01", "ADT^A08")]
)
def test_only_orders_for_production_are_imported(tmp_path: Path, said: str, instead: str) -> None:
    """As at the HL7 door: neither training nor the laboratory fills the worklist."""
    path = tmp_path / "orders.hl7"
    path.write_text(ORDER.replace(said, instead))
    (tmp_path / "archive.toml").write_text('[worklist]\nstations = ["CT=CT1"]\n')
    done = in_folder(
        tmp_path / "data", "worklist", "import", str(path), "--config", str(tmp_path / "archive.toml")
    )
    assert (done.code, "MSH-" in done.stderr) == (1, True)
    assert listed(tmp_path / "data") == []


def worklist_file(path: Path) -> None:
    """As wlmscpfs serves them."""
    step, whole = Dataset(), Dataset()
    step.Modality, step.ScheduledStationAETitle, step.ScheduledProcedureStepID = "CT", "CT1", "S1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20261123", "1015"
    step.ScheduledProcedureStepDescription = "Head"
    whole.SpecificCharacterSet = "ISO_IR 100"
    whole.PatientName, whole.PatientID, whole.StudyInstanceUID = "Müller^Jörg", "W1", "1.2.3"
    whole.ScheduledProcedureStepSequence = [step]
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
    whole.file_meta.MediaStorageSOPInstanceUID = "1.2.9"
    whole.save_as(path, enforce_file_format=True)


def test_orders_at_a_running_server(start_archive: StartArchive, tmp_path: Path) -> None:
    """The HL7 door is a worker of its own, and what it takes is seen at once."""
    environment = {"ARCHIVE_HL7_LISTEN": "127.0.0.1:0", "ARCHIVE_WORKLIST_STATIONS": "CT=CT1"}
    server = start_archive(data=tmp_path / "data", environment=environment)
    [line] = [line for line in server.greeting.splitlines() if line.endswith("over MLLP")]
    port = int(line.split()[1].rpartition(":")[2])
    with MLLPClient("127.0.0.1", port) as client:
        assert b"MSA|AA|M1" in client.send_message(ORDER)
    assert [row[6] for row in listed(tmp_path / "data")] == ["4711"]
    assert len(server.worker_pids("hl7")) == 1
    assert server.stop() == 0
    log = server.log_path.read_text()
    assert "order taken" in log
    assert "Doe" not in log, "no patient in the log"
    assert "4711" not in log
