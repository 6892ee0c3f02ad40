"""A patient called ZZCANARY^PHI is nowhere but in the store and the index: not in a log, a metric, an error or a file
beside them, after every kind of traffic (H19). And what strangers write into names begins no line of the log (H20).

The log is that of the level debug, which says most.
"""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    UnifiedProcedureStepPush,
)

import dicomweb
import scu
from archive.network import pdu
from archive.network.negotiation import AssociateRequest, ProposedContext, encode_request
from archive.network.user_information import UserInformation
from archive_process import ArchiveServer, archive
from objects import ct, encoded, mr, part10
from ports import free_port
from rejection_notes import QUALITY, rejection_note
from workitems import data_set as workitem_set
from workitems import workitem
from worklists import performed, written

CANARY = "ZZCANARY^PHI"
BIRD = b"zzcanary"
PATIENT = {"PatientName": CANARY, "PatientID": CANARY}
FORGED = "archive says so"
EVIL = [b"A\x1b[31mRED", b'A\r\n{"event":1}', b"A\n" + FORGED.encode()[:13], b"\x07\x08\x7f\x9b31m"]
"""AE titles that would steer a terminal or begin a line."""

JSON = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}


@dataclass
class Traffic:
    """What was said to an archive, and what it answered to what it refused."""

    server: ArchiveServer
    hl7_port: int
    temporary: Path
    refused: list[bytes] = field(default_factory=list)
    answers: int = 0

    def http(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; an answer that is a refusal is kept with its headers."""
        url = path if path.startswith("http") else f"{self.server.http_url}{path}"
        answer = dicomweb.CLIENT.request(method, url, **more)
        self.answers += 1
        if answer.status_code >= 400:
            self.refused.append(repr(answer.headers.raw).encode() + answer.content)
        return answer

    def statuses(self, answers: Iterator[tuple[Dataset, Dataset | None]]) -> None:
        """Those of DIMSE."""
        for status, _ in answers:
            self.answers += 1
            if status.get("Status", 0) not in (0x0000, 0xFF00, 0xFF01):
                self.refused.append(str(status).encode())


@pytest.fixture(scope="module")
def traffic(
    module_archive: Callable[..., ArchiveServer], tmp_path_factory: pytest.TempPathFactory
) -> Traffic:
    """An archive that has seen everything."""
    temporary, port = tmp_path_factory.mktemp("temporary"), free_port()
    environment = {
        "ARCHIVE_LOG_LEVEL": "debug",
        "ARCHIVE_HL7_LISTEN": f"127.0.0.1:{port}",
        "TMPDIR": str(temporary),
    }
    server = module_archive(environment=environment)
    seen = Traffic(server, port, temporary)
    for kind in (stow, web, dimse_objects, dimse_queries, orders, corrections, api, broken_blob, strangers):
        with (
            disable_value_validation(),
            warnings.catch_warnings(action="ignore"),
        ):  # pydicom's, of what it is given
            kind(seen)
    dicomweb.CLIENT.get(f"{server.http_url}/health/ready")
    return seen


def stow(seen: Traffic) -> None:
    """Objects that are taken, and those that are not."""
    whole = mr(**PATIENT)
    url, raw = f"{seen.server.dicomweb_url}/studies", part10(whole)
    for content in (
        raw,
        raw,
        raw[:-50],
        raw.replace(b"ISO_IR 100", b"ISO_IR 199"),
        CANARY.encode(),
        part10(mr(**PATIENT)),
    ):
        seen.http("POST", url, content=content, headers={"Content-Type": "application/dicom"})
    other = part10(mr(**PATIENT, SOPInstanceUID=whole.SOPInstanceUID))
    seen.http("POST", url, content=other, headers={"Content-Type": "application/dicom"})
    seen.http("POST", f"{url}/1.2.3", content=raw, headers={"Content-Type": "application/dicom"})
    metadata = json.loads(whole.to_json())
    for changed in (
        {},
        {"00100010": {"vr": "PN", "Value": [CANARY]}},
        {"00080018": {"vr": "UI", "Value": [CANARY]}},
    ):
        seen.http("POST", url, content=json.dumps([metadata | changed]), headers=JSON)
    seen.http("POST", url, content=raw, headers={"Content-Type": f"multipart/related; boundary={CANARY}"})
    seen.http("POST", url, content=raw, headers={"Content-Type": f"text/{CANARY}"})
    seen.http("POST", f"{url}/{whole.StudyInstanceUID}/reject/1^{CANARY}")
    with socket.create_connection(("127.0.0.1", seen.server.http_port)) as connection:  # and is gone
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n"
        connection.sendall(f"{head}Content-Type: application/dicom\r\n\r\n".encode() + raw[:2000])


def web(seen: Traffic) -> None:
    """Questions and retrievals, among them some that cannot be."""
    base = "/dicom-web"
    for level in ("studies", "series", "instances", "workitems"):
        for query in (
            "PatientName=",
            "PatientID=",
            "StudyDate=",
            "NoKeyword=",
            "limit=",
            "00101010.x=",
            "StudyInstanceUID=",
        ):
            seen.http("GET", f"{base}/{level}?{query}{CANARY}")
        seen.http("GET", f"{base}/{level}?{CANARY}=1&includefield={CANARY}")
    for path in (CANARY, f"studies/{CANARY}", f"studies/1.2/series/{CANARY}/metadata", f"workitems/{CANARY}"):
        for method in ("GET", "DELETE", "POST", "PUT"):
            seen.http(method, f"{base}/{path}", headers={"User-Agent": CANARY, "Accept": f"text/{CANARY}"})
    seen.http("GET", f"/wado?requestType=WADO&studyUID={CANARY}&seriesUID=1&objectUID=1&contentType={CANARY}")
    [found, *_] = dicomweb.search(seen.server.dicomweb_url, "instances", PatientID=CANARY)
    url = dicomweb.instance_url(seen.server.dicomweb_url, found)
    for path in (
        "",
        "/metadata",
        "/rendered",
        "/rendered?annotation=patient",
        "/frames/1",
        "/thumbnail",
        f"/bulkdata/{CANARY}",
    ):
        seen.http("GET", url + path)
    seen.http("GET", f"{url}/rendered?annotation={CANARY}&viewport={CANARY}&window={CANARY}")
    seen.http("GET", url, headers={"Range": f"bytes={CANARY}", "If-Match": f'"{CANARY}"'})
    seen.http("GET", f"{base}/studies", headers={"Host": CANARY})
    seen.http("GET", f"{base}/studies", headers={"Origin": f"http://{CANARY}"})


def _associated(seen: Traffic, *classes: str, title: str = "CANARYSCU") -> Any:
    ae = AE(title)
    for sop_class in classes:
        ae.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", seen.server.dimse_port, ae_title=seen.server.ae_title)
    assert association.is_established
    return association


def dimse_objects(seen: Traffic) -> None:
    """C-STORE whole, cut, twice, under another identity, and by a sender that vanishes."""
    whole = ct(**PATIENT)
    pair = (str(whole.SOPClassUID), str(ExplicitVRLittleEndian))
    data = encoded(whole)
    for uid, sent in (
        (whole.SOPInstanceUID, data),
        (whole.SOPInstanceUID, data),
        (whole.SOPInstanceUID, data[:-9]),
        (generate_uid(), data),
        (whole.SOPInstanceUID, encoded(ct(**PATIENT, SOPInstanceUID=whole.SOPInstanceUID))),
        (generate_uid(), CANARY.encode() * 2),
    ):
        status, comment = scu.store(seen.server, pair, str(uid), [sent])
        seen.answers += 1
        if status:
            seen.refused.append(comment.encode())

    def pieces() -> Iterator[bytes]:
        yield data[:2000]
        raise ConnectionAbortedError

    with suppress(ConnectionAbortedError):
        scu.store(seen.server, pair, str(generate_uid()), pieces())
    note = rejection_note(QUALITY, [whole])
    seen.answers += 1
    scu.store(
        seen.server,
        (str(note.SOPClassUID), str(ExplicitVRLittleEndian)),
        note.SOPInstanceUID,
        [encoded(note)],
    )


def dimse_queries(seen: Traffic) -> None:
    """Questions, and steps and workitems of the patient."""
    study, patient = StudyRootQueryRetrieveInformationModelFind, PatientRootQueryRetrieveInformationModelFind
    get, move = StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove
    association = _associated(
        seen, study, patient, get, move, ModalityWorklistInformationFind, ModalityPerformedProcedureStep,
        UnifiedProcedureStepPush, StorageCommitmentPushModel,
    )  # fmt: skip
    for level in ("PATIENT", "STUDY", "SERIES", "IMAGE", CANARY[:16]):
        identifier = Dataset()
        identifier.QueryRetrieveLevel = level
        identifier.PatientName = identifier.PatientID = CANARY
        identifier.StudyInstanceUID = "1.2.3"
        identifier.AccessionNumber = [CANARY, CANARY]
        for model in (study, patient):
            seen.statuses(association.send_c_find(identifier, model))
        seen.statuses(association.send_c_get(identifier, get))
        seen.statuses(association.send_c_move(identifier, "NOWHERE", move))
    seen.statuses(association.send_c_find(identifier, ModalityWorklistInformationFind))
    of = written(**PATIENT)
    for data in (performed(of), performed(of, PerformedProcedureStepStatus=CANARY)):
        status, _ = association.send_n_create(data, ModalityPerformedProcedureStep, generate_uid())
        seen.statuses(iter([(status, None)]))
    for data in (workitem_set(**PATIENT), workitem_set(**PATIENT, ProcedureStepState=CANARY)):
        status, _ = association.send_n_create(data, UnifiedProcedureStepPush, generate_uid())
        seen.statuses(iter([(status, None)]))
    asked = Dataset()
    asked.TransactionUID, asked.PatientName = generate_uid(), CANARY
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1")
    seen.statuses(iter([(status, None)]))
    association.release()


def orders(seen: Traffic) -> None:
    """HL7 v2: an order, news of the patient, and what is none."""
    head = "MSH|^~\\&|{0}|HOSP|ARCHIVE|HOSP|20261122093000||{1}|{2}|P|2.3.1||||||UNICODE UTF-8"
    patient = f"PID|||{CANARY}^^^HOSP||{CANARY}||19700131|F"
    order = "ORC|NW|PL1|F1||||^^^202611231015^^S\rOBR|1|||CTH^CT head^L||||||||||||||ACC1|RP1|SPS1||||CT"
    messages = [
        f"{head.format('RIS', 'ORM^O01', 'M1')}\r{patient}\r{order}\r",
        f"{head.format('RIS', 'ADT^A08', 'M2')}\r{patient}\r",
        f"{head.format('RIS', 'ADT^A40', 'M3')}\r{patient}\rMRG|{CANARY}\r",
        f"{head.format('RIS', 'ORM^O01', 'M4')}\r{patient}\rORC|{CANARY}|{CANARY}\rOBR|{CANARY}\r",
        f"{head.format('RIS', CANARY, 'M5')}\r{patient}\r",
        f"{patient}\r",
    ]
    for message in messages:
        with socket.create_connection(("127.0.0.1", seen.hl7_port), timeout=30) as connection:
            connection.sendall(b"\x0b" + message.encode() + b"\x1c\r")
            answer = b""
            while not answer.endswith(b"\x1c\r") and (piece := connection.recv(4096)):
                answer += piece
        seen.answers += 1
        assert answer or message.startswith("PID")
        if b"|AA|" not in answer:
            seen.refused.append(answer)


def corrections(seen: Traffic) -> None:
    """The administrator corrects, by names that are right and by others."""
    for body in (
        {"kind": "update", "patient": {"PatientID": CANARY}, "attributes": {"PatientName": f"{CANARY}^II"}},
        {"kind": "merge", "patient": {"PatientID": CANARY}, "to": {"PatientID": f"{CANARY}2"}},
        {"kind": CANARY, "patient": CANARY, CANARY: 1},
    ):
        seen.http("POST", "/api/corrections", json=body)
    seen.http("GET", f"/api/corrections?PatientID={CANARY}&state={CANARY}")


def api(seen: Traffic) -> None:
    """Worklist and workitems over HTTP."""
    for body in (written(**PATIENT), {**written(**PATIENT), CANARY: 1}, {CANARY: CANARY}, [CANARY]):
        seen.http("POST", "/api/worklist", json=body)
    seen.http("PUT", f"/api/worklist/{CANARY}/state", json={"state": CANARY})
    for made in (workitem(**PATIENT), workitem(**PATIENT, ProcedureStepState=CANARY)):
        seen.http("POST", "/dicom-web/workitems", content=json.dumps([made]), headers=JSON)
    seen.http("POST", "/dicom-web/workitems", content=json.dumps([CANARY]), headers=JSON)


def broken_blob(seen: Traffic) -> None:
    """Bytes that are gone, asked for by both doors."""
    lost = ct(**PATIENT)
    folder = seen.server.data / "objects"
    before = {path for path in folder.rglob("*") if path.is_file()}
    assert dicomweb.store(seen.server.dicomweb_url, part10(lost)).status_code == 200
    for path in {path for path in folder.rglob("*") if path.is_file()} - before:
        path.unlink()
    url = f"{seen.server.dicomweb_url}/studies/{lost.StudyInstanceUID}"
    for resource in ("", "/metadata", "/rendered"):
        seen.http("GET", url + resource)
    association = _associated(seen, StudyRootQueryRetrieveInformationModelGet, str(lost.SOPClassUID))
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", lost.StudyInstanceUID
    seen.statuses(association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet))
    association.release()


def strangers(seen: Traffic) -> None:
    """Names that would steer a terminal, or forge a line of the log (H20)."""
    context = ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",))
    request = encode_request(AssociateRequest("@" * 16, "#" * 16, (context,), UserInformation(16384)))
    for title in EVIL:
        for called in (seen.server.ae_title.encode(), title):
            said = request.replace(b"@" * 16, called.ljust(16)[:16]).replace(b"#" * 16, title.ljust(16)[:16])
            with socket.create_connection(("127.0.0.1", seen.server.dimse_port), timeout=30) as connection:
                connection.sendall(said)
                assert connection.recv(1)[0] in (pdu.A_ASSOCIATE_AC, pdu.A_ASSOCIATE_RJ)
            seen.answers += 1
    for text in ("%1b[31m", "%0d%0a" + FORGED.replace(" ", "%20"), "%0a"):
        for path in (f"/dicom-web/{text}", f"/dicom-web/studies/{text}", f"/api/ae-titles/{text}"):
            seen.http("GET", path)
            seen.http("DELETE", path)
        seen.http("GET", f"/dicom-web/studies?{text}={text}&PatientName={text}")
    with socket.create_connection(("127.0.0.1", seen.server.http_port), timeout=30) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \x1b[31m" + FORGED.encode() + b"\r\n\r\n"
        )
        connection.recv(4096)
    with socket.create_connection(("127.0.0.1", seen.hl7_port), timeout=30) as connection:
        connection.sendall(
            b"\x0bMSH|^~\\&|\x1b[31m|\n" + FORGED.encode() + b"|A|B|1||ORM^O01|\x1b|P|2.3\r\x1c\r"
        )
        connection.recv(4096)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_h19_the_traffic_was_real(traffic: Traffic) -> None:
    """Else nothing below would say anything: the patient is where patients belong, and much was refused."""
    found = _contents(traffic.server.data)
    assert any(BIRD in content.lower() for name, content in found.items() if name.startswith("objects/"))
    assert any(BIRD in content.lower() for name, content in found.items() if name.startswith("index.sqlite"))
    assert traffic.answers > 150
    assert len(traffic.refused) > 60
    assert len(traffic.server.log.splitlines()) > 150
    for event in ("request", "association", "worker started"):
        assert event in traffic.server.log


def test_h19_no_log(traffic: Traffic) -> None:
    assert [line for line in traffic.server.log.splitlines() if BIRD.decode() in line.lower()] == []


def test_h19_no_metric(traffic: Traffic) -> None:
    metrics = dicomweb.CLIENT.get(f"{traffic.server.http_url}/metrics").content.lower()
    assert b"archive_http_requests_total" in metrics
    assert BIRD not in metrics


def test_h19_no_error(traffic: Traffic) -> None:
    assert [answer for answer in traffic.refused if BIRD in answer.lower()] == []


def test_h19_no_file_beside_the_store(traffic: Traffic) -> None:
    assert _contents(traffic.temporary) == {}
    found = _contents(traffic.server.data)
    assert not any(BIRD.decode() in name.lower() for name in found)
    beside = {
        name: content for name, content in found.items() if not name.startswith(("objects/", "index.sqlite"))
    }
    assert [name for name, content in beside.items() if BIRD in content.lower()] == []
    assert [name for name in beside if name.startswith("spool/")] == []


def test_h20_every_line_of_the_log_is_ours(traffic: Traffic) -> None:
    lines = traffic.server.log.splitlines()
    assert all(isinstance(json.loads(line), dict) and "event" in json.loads(line) for line in lines)
    assert not any(line.startswith(FORGED) for line in lines)
    raw = traffic.server.log_path.read_bytes()
    assert not {byte for byte in raw if byte < 0x20} - {0x0A}
    assert b"\x7f" not in raw


def test_h20_what_strangers_are_called_does_not_steer_the_administrators_terminal(traffic: Traffic) -> None:
    """They were refused, or let in from this machine; the list of those who were shows their names as numbers."""
    shown = archive("refusals", "--limit", "200", "--data", str(traffic.server.data))
    assert shown.code == 0
    assert not {character for character in shown.stdout if ord(character) < 0x20} - {"\n", "\t"}
    assert "\x7f" not in shown.stdout
