"""dcmjs-dimse beyond storing and asking: over TLS, with a user identity, worklist, performed steps, workitems,
commitment."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from archive_process import ArchiveServer
from certificates import Authority
from dcmjs import Ask, Said
from device_headers import new_uid
from holdings import add_ae_title, save
from objects import ct
from workitem_sets import performed as fulfilled
from workitem_sets import workitem
from worklists import written

SUCCESS, PENDING, PROCESSING_FAILURE = 0x0000, 0xFF00, 0x0110
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
PUSH, PULL = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.3"
USERNAME_AND_PASSCODE = 2
UNSUPPORTED_KEYS = 0xFF01
"""dcmjs-dimse asks for Pregnancy Status by itself, and encodes "" as 0, as its VR is US: that is not matched."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer], authority: Authority) -> ArchiveServer:
    """Plain and over TLS; nobody waits for what is not there when commitment is asked for."""
    proof = authority.proof("archive")
    environment = {
        "ARCHIVE_TLS_LISTEN": "127.0.0.1:0",
        "ARCHIVE_TLS_CERTIFICATE": str(proof.chain),
        "ARCHIVE_TLS_KEY": str(proof.key),
        "ARCHIVE_TLS_CLIENT_CA": str(authority.file),
        "ARCHIVE_DIMSE_COMMITMENT_WAIT": "0",
    }
    return module_archive("--workers", "1", environment=environment)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_echo_over_tls(server: ArchiveServer, authority: Authority, ask: Ask, version: str) -> None:
    proof = authority.proof("node")
    shown = {
        "key": proof.key.read_text(),
        "cert": proof.chain.read_text(),
        "ca": authority.file.read_text(),
        "rejectUnauthorized": True,
        "minVersion": version,
        "maxVersion": version,
    }
    said = ask(server, {"kind": "echo"}, port=server.tls_port, options={"securityOptions": shown})
    assert said.statuses == [[SUCCESS]], said


def test_without_a_certificate_nothing_is_said_over_tls(
    server: ArchiveServer, authority: Authority, ask: Ask
) -> None:
    shown = {"ca": authority.file.read_text(), "rejectUnauthorized": True}
    said = ask(server, {"kind": "echo"}, port=server.tls_port, options={"securityOptions": shown})
    assert said.statuses == [[]]
    assert "accepted" not in said.association


def test_a_user_name_and_password(server: ArchiveServer, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """PS3.7 D.3.3.7: a wrong one is rejected by the service provider (ACSE related function): 1, 2, 1."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("s3cret\n"))
    add_ae_title(server, "NODE", 104, "--identity", "password", "--user", "node", "--set-password")
    identity = {"type": USERNAME_AND_PASSCODE, "positiveResponseRequested": True, "primaryField": "node"}

    def said(passcode: str) -> Said:
        options = {"userIdentity": identity | {"secondaryField": passcode}}
        return ask(server, {"kind": "echo"}, calling="NODE", options=options)

    assert said("s3cret").statuses == [[SUCCESS]]
    assert said("guess").association["rejected"] == {"result": 1, "source": 2, "reason": 1}


def test_worklist_and_performed_step(server: ArchiveServer, ask: Ask) -> None:
    """An entry is found by its step; when the step was performed, it is not offered any more (PS3.4 K, F)."""
    entry = written(PatientID="NODE1", PatientName="Worklist^Wanda", Step_Modality="MR")
    httpx.post(f"{server.http_url}/api/worklist", json=entry).raise_for_status()
    asked = {"PatientID": "NODE1", "ScheduledProcedureStepSequence": [{"Modality": "MR"}]}
    query = {"kind": "worklist", "elements": asked}
    created = {"kind": "create", "sopClass": PERFORMED_STEP, "uid": new_uid(), "elements": begun(entry)}
    ended = created | {"kind": "set", "elements": completed()}

    before = ask(server, query, created)
    assert [sorted(statuses) for statuses in before.statuses] == [[SUCCESS, UNSUPPORTED_KEYS], [SUCCESS]], (
        before
    )
    found = [answer["elements"] for answer in before.results[0] if answer["elements"]]
    assert [each["PatientID"] for each in found] == ["NODE1"]
    assert ask(server, ended).statuses == [[SUCCESS]]
    after = ask(server, query, ended)
    assert after.statuses == [[SUCCESS], [PROCESSING_FAILURE]], "no entry, and no change after the end"


def begun(entry: dict[str, Any]) -> dict[str, Any]:
    """What N-CREATE needs (PS3.4 Table F.7.2-1)."""
    (step,) = entry["ScheduledProcedureStepSequence"]
    scheduled = {
        keyword: entry[keyword] for keyword in ("StudyInstanceUID", "AccessionNumber", "RequestedProcedureID")
    }
    return {
        "ScheduledStepAttributesSequence": [
            scheduled | {"ScheduledProcedureStepID": step["ScheduledProcedureStepID"]}
        ],
        "PatientName": entry["PatientName"],
        "PatientID": entry["PatientID"],
        "Modality": "MR",
        "PerformedStationAETitle": "DCMJS",
        "PerformedProcedureStepID": "P1",
        "PerformedProcedureStepStartDate": "20261123",
        "PerformedProcedureStepStartTime": "101600",
        "PerformedProcedureStepStatus": "IN PROGRESS",
    }


def completed() -> dict[str, Any]:
    """What N-SET needs at the end."""
    return {
        "PerformedProcedureStepStatus": "COMPLETED",
        "PerformedProcedureStepEndDate": "20261123",
        "PerformedProcedureStepEndTime": "102600",
        "PerformedSeriesSequence": [{"SeriesInstanceUID": new_uid(), "ProtocolName": "Head"}],
    }


def test_a_workitem(server: ArchiveServer, ask: Ask) -> None:
    """Pushed, claimed, got, changed, completed; each request in the context that it belongs to (PS3.4 CC.2)."""
    uid, lock = new_uid(), {"TransactionUID": new_uid()}
    of = {"sopClass": PUSH, "uid": uid}
    pulled = of | {"context": PULL}
    claim = pulled | {"kind": "action", "elements": lock | {"ProcedureStepState": "IN PROGRESS"}}
    said = ask(
        server,
        of | {"kind": "create", "elements": workitem(PatientID="NODE2")},
        claim,
        pulled | {"kind": "attributes", "names": ["ProcedureStepState", "PatientID"]},
        pulled | {"kind": "set", "elements": {"ProcedureStepLabel": "Other"}},
        pulled | {"kind": "set", "elements": lock | fulfilled()},
        claim | {"elements": lock | {"ProcedureStepState": "COMPLETED"}},
        of | {"kind": "action", "type": 2, "elements": {"ReasonForCancellation": "too late"}},
    )
    assert said.statuses == [[SUCCESS], [SUCCESS], [SUCCESS], [0xC301], [SUCCESS], [SUCCESS], [0xC311]], said
    [got] = said.results[2]
    assert got["elements"]["ProcedureStepState"] == "IN PROGRESS"
    assert got["elements"]["PatientID"] == "NODE2"


def test_storage_commitment_on_the_same_association(server: ArchiveServer, tmp_path: Path, ask: Ask) -> None:
    """Stored and asked for in one association, which lingers for the report: one is safe, one never came (J.3.3)."""
    data_set: Dataset = ct()
    absent = new_uid()
    (path,) = save(tmp_path, data_set)
    references = [
        {"ReferencedSOPClassUID": CTImageStorage, "ReferencedSOPInstanceUID": uid}
        for uid in (data_set.SOPInstanceUID, absent)
    ]
    asked = {"TransactionUID": new_uid(), "ReferencedSOPSequence": references}
    action = {"kind": "action", "sopClass": COMMITMENT, "uid": COMMITMENT_INSTANCE, "elements": asked}
    store = {"kind": "store", "path": str(path)}
    said = ask(server, store, action, options={"associationLingerTimeout": 3000})
    assert said.statuses == [[SUCCESS], [SUCCESS]], said
    (report,) = said.reports
    assert report["event"] == 2
    assert report["elements"]["TransactionUID"] == asked["TransactionUID"]
    assert uids(report["elements"]["ReferencedSOPSequence"]) == [data_set.SOPInstanceUID]
    assert uids(report["elements"]["FailedSOPSequence"]) == [absent]


def uids(sequence: Any) -> list[str]:
    """Of a sequence as dcmjs gives it: a single item may stand for itself."""
    items = sequence if isinstance(sequence, list) else [sequence]
    return [item["ReferencedSOPInstanceUID"] for item in items]
