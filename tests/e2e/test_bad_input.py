"""What is broken, hostile or unknown gets the status that the requirements name, and leaves nothing behind.

All tests share one archive in which nothing may ever be stored; each ends by looking for traces, and by asking
whether the archive goes on. Numbers such as D7 are those of the requirements.
"""

from __future__ import annotations

import socket
import struct
import time
import warnings
from collections.abc import Callable, Iterator

import httpx
import pytest
from pydicom.config import disable_value_validation
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import dicomweb
import scu
from archive_process import ArchiveServer
from objects import data_set_bytes, encoded, new_uid, part10, secondary_capture

SC = (SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
A_ABORT = 0x07
CANNOT_UNDERSTAND = 0xC000
MISMATCH = 0xA900
BAD_UIDS = ["../../etc/passwd", "1.2/3", "1.2/../../3", "1..2", "/tmp/x", ""]


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    """An archive that stays empty."""
    return module_archive()


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(server: ArchiveServer) -> Iterator[None]:
    yield
    traces = [path for name in ("objects", "spool") for path in (server.data / name).rglob("*")]
    assert [path for path in traces if path.is_file()] == []
    assert dicomweb.search(server.dicomweb_url, "studies") == []
    assert dicomweb.search(server.dicomweb_url, "instances") == []
    begin = time.monotonic()
    assert scu.echo(server) == 0x0000
    assert dicomweb.CLIENT.get(f"{server.http_url}/health/ready").status_code == 200
    assert time.monotonic() - begin < 1, "it goes on, but slowly"


def store(server: ArchiveServer, data_set: bytes, sop_instance_uid: str) -> tuple[int, str]:
    """C-STORE of these bytes as Secondary Capture."""
    return scu.store(server, SC, sop_instance_uid, [data_set])


@pytest.mark.parametrize("cut", [1, 32, 64, 90, 200, 1000])
def test_a_truncated_object_by_c_store(server: ArchiveServer, cut: int) -> None:
    whole = secondary_capture(PatientComments="long " * 400)
    status, comment = store(server, encoded(whole)[:-cut], whole.SOPInstanceUID)
    assert status & 0xF000 == CANNOT_UNDERSTAND, comment
    assert comment


@pytest.mark.parametrize("cut", [1, 32, 64, 90, 200, 1000])
def test_a_truncated_object_by_stow(server: ArchiveServer, cut: int) -> None:
    whole = secondary_capture(PatientComments="long " * 400)
    response = dicomweb.store(server.dicomweb_url, part10(whole)[:-cut])
    assert response.status_code == 409
    assert [reason & 0xF000 for reason in failure_reasons(response)] == [CANNOT_UNDERSTAND]


def failure_reasons(response: httpx.Response) -> list[int]:
    """Failure Reason of each instance that a STOW-RS answer lists as failed (PS3.18 10.5.3)."""
    answer = response.json()
    assert "00081199" not in answer, "ReferencedSOPSequence: something was stored"
    sequences = [answer.get(tag, {}).get("Value", []) for tag in ("00081198", "0008119A")]
    return [item["00081197"]["Value"][0] for sequence in sequences for item in sequence]


def test_a_sender_that_vanishes_in_the_middle(server: ArchiveServer) -> None:
    whole = secondary_capture()

    def pieces() -> Iterator[bytes]:
        yield encoded(whole)[:400]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        scu.store(server, SC, whole.SOPInstanceUID, pieces())


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"\x00" * 128,
        b"\x08\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        bytes(range(255, -1, -1)),
        struct.pack(">BxL", 0x01, 0xFFFFFFFF) + bytes(4096),
        struct.pack(">BxL", 0x04, 0xFFFFFFFF) + bytes(4096),
    ],
    ids=["http", "tls", "zeros", "unknown-pdu", "noise", "associate-of-4-GiB", "p-data-of-4-GiB"],
)
def test_garbage_on_the_dicom_port(server: ArchiveServer, garbage: bytes) -> None:
    """D7: A-ABORT or the end of the connection, at once and not when a deadline passes."""
    with socket.create_connection(("127.0.0.1", server.dimse_port), timeout=5) as connection:
        connection.sendall(garbage)
        assert_aborted(connection)


def assert_aborted(connection: socket.socket) -> None:
    """The other side ends it, with A-ABORT or without a word."""
    try:
        answer = connection.recv(16)
    except ConnectionResetError:
        return
    assert answer[:1] in (b"", bytes([A_ABORT]))


def test_a_p_data_pdu_that_claims_4_gib_in_an_association(server: ArchiveServer) -> None:
    """D5: A-ABORT, nothing stored."""
    association = scu.open_to(server, SC)
    connection = association._wire._connection
    connection.settimeout(5)
    connection.sendall(struct.pack(">BxL", 0x04, 0xFFFFFFFF) + bytes(4096))
    assert_aborted(connection)
    association.abort()


@pytest.mark.parametrize("body", [b"this is no DICOM at all", b"", bytes(200), b"%PDF-1.7\n" + bytes(4000)])
def test_what_is_not_dicom_by_stow(server: ArchiveServer, body: bytes) -> None:
    response = dicomweb.store(server.dicomweb_url, body)
    assert response.status_code == 409
    assert [reason & 0xF000 for reason in failure_reasons(response)] == [CANNOT_UNDERSTAND]


def test_another_media_type_by_stow(server: ArchiveServer) -> None:
    response = dicomweb.CLIENT.post(
        f"{server.dicomweb_url}/studies", content=b"hello", headers={"Content-Type": "text/plain"}
    )
    assert response.status_code == 415


@pytest.mark.parametrize("content_type", ['multipart/related; type="application/dicom"', "multipart/related"])
def test_a_body_without_boundary(server: ArchiveServer, content_type: str) -> None:
    url = f"{server.dicomweb_url}/studies"
    body = dicomweb.stow_body([part10(secondary_capture())])
    assert dicomweb.CLIENT.post(url, content=body, headers={"Content-Type": content_type}).status_code in (
        400,
        415,
    )


@pytest.mark.parametrize("uid", BAD_UIDS)
def test_uids_that_are_paths_by_c_store(server: ArchiveServer, uid: str) -> None:
    """O6, in the command and the data set, and in the data set alone."""
    status, _ = store(server, data_set_bytes(hostile("SOPInstanceUID", uid)), uid)
    assert status == MISMATCH
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        innocent = new_uid()
        status, _ = store(server, data_set_bytes(hostile(keyword, uid, SOPInstanceUID=innocent)), innocent)
        assert status == MISMATCH, keyword


def hostile(keyword: str, uid: str, **keywords: str) -> bytes:
    """A file with this value in the data set; its File Meta Information is innocent."""
    innocent = secondary_capture(**keywords)
    place = getattr(innocent, keyword)
    with disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of them whatever it is told
        setattr(innocent, keyword, uid)
        return part10(innocent, MediaStorageSOPInstanceUID=place)


@pytest.mark.parametrize("uid", BAD_UIDS)
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_uids_that_are_paths_by_stow(server: ArchiveServer, keyword: str, uid: str) -> None:
    """Reliability: O6."""
    response = dicomweb.store(server.dicomweb_url, hostile(keyword, uid))
    assert response.status_code == 409
    assert [reason & 0xFF00 for reason in failure_reasons(response)] == [MISMATCH]


@pytest.mark.parametrize(
    "path",
    [
        "studies/..%2f..%2fetc%2fpasswd",
        "studies/%2e%2e/%2e%2e/etc/passwd",
        "studies/1.2%2f3/metadata",
        "studies/1.2.3/series/..%2f/instances/1",
        "studies/1.2.3/series/1.2/instances/1.2.3/bulkdata/..%2f..%2findex.sqlite",
        "studies/1.2.3/series/1.2/instances/1.2.3/frames/..%2f1",
    ],
)
def test_urls_that_climb(server: ArchiveServer, path: str) -> None:
    """Reliability: O6."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as connection:
        request = (
            f"GET /dicom-web/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(request.encode())
        status_line = connection.makefile("rb").readline()
    assert int(status_line.split()[1]) in (400, 404)


@pytest.mark.parametrize(
    "below", ["", "/metadata", "/series/1.2.4", "/series/1.2.4/instances/1.2.5/frames/1"]
)
def test_an_unknown_study(server: ArchiveServer, below: str) -> None:
    response = dicomweb.CLIENT.get(f"{server.dicomweb_url}/studies/1.2.3{below}", headers={"Accept": "*/*"})
    assert response.status_code == 404
    assert "1.2.3" not in response.headers.get("location", "")


QUESTIONS = {
    "an unknown attribute to include": ("studies?includefield=NoSuchAttribute", 400, "includefield"),
    "an unknown attribute in a sequence": (
        "series?includefield=RequestAttributesSequence.NoSuchAttribute",
        400,
        "includefield",
    ),
    "a path of a thousand tags": (
        "studies?includefield=" + ".".join(["00400275"] * 1000),
        400,
        "includefield",
    ),
    "a key twice": ("studies?PatientID=a&PatientID=b", 400, "PatientID is given more than once"),
    "a key under two names": ("studies?PatientID=a&00100020=b", 400, "PatientID is given more than once"),
    "a parameter twice": ("studies?limit=1&limit=2", 400, "limit is given more than once"),
    "a range of three dates": ("studies?StudyDate=20240101-20240102-20240103", 400, "range"),
    "a range without an end": ("studies?StudyDate=-", 400, "range"),
    "a range of no dates": ("studies?StudyDate=20240199-20240230", 400, "range"),
    "a range of no times": ("studies?StudyTime=1000-2561", 400, "range"),
    "a range of no moments": ("instances?AcquisitionDateTime=2024-20241301", 400, "range"),
    "a range of numbers": ("instances?InstanceNumber=1-2", 400, "number"),
    "a bad UID as a key": ("studies?StudyInstanceUID=1..2", 400, "UID"),
    "a bad UID in a list": ("studies?StudyInstanceUID=1.2,1.2.x", 400, "UID"),
    "a bad UID in the path": ("studies/1.2.x/series", 400, "UID"),
    "a UID too long": ("studies/" + "1." * 32 + "1/series", 400, "UID"),
    "ten thousand ranges": ("studies?StudyTime=" + ",".join(["00-01"] * 10_000), 400, "range"),
    "ten thousand keys": (
        "studies?" + "&".join(f"x{number:04}" for number in range(10_000)),
        400,
        "parameters",
    ),
    "ten thousand attributes to include": (
        "studies?includefield="
        + ",".join(f"{number:08X}" for number in range(0x00090000, 0x00090000 + 7000)),
        400,
        "includefield=all",
    ),
    "a value of 70,000 characters": ("studies?PatientName=" + "a" * 70_000, 431, "65536 bytes"),
    "no number": ("studies?limit=-1", 400, "limit"),
    "no UTF-8": ("studies?PatientName=%FF", 400, "UTF-8"),
}
"""Path, status, and what the body says."""


@pytest.mark.parametrize(("path", "status", "said"), QUESTIONS.values(), ids=QUESTIONS)
def test_questions_that_cannot_be(server: ArchiveServer, path: str, status: int, said: str) -> None:
    """Q10: refused at once, with a sentence that says what was wrong."""
    found, _, body = asked(server, "GET", path, b"Accept: application/dicom+json\r\n\r\n")
    assert found == status, body
    assert said in body
    assert 10 < len(body) < 400


def asked(server: ArchiveServer, method: str, path: str, rest: bytes) -> tuple[int, str, str]:
    """Status, head and body of the answer to a request that no client library would send."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as connection:
        head = f"{method} /dicom-web/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        connection.sendall(head.encode() + rest)
        answer, _, body = connection.makefile("rb").read().decode().partition("\r\n\r\n")
    assert time.monotonic() - begin < 5
    return int(answer.split()[1]), answer, body


XML, JSON = "application/dicom+xml", "application/dicom+json"
BODIES = {
    "a DOCTYPE": (XML, b"<!DOCTYPE x><NativeDicomModel/>", True, "DOCTYPE"),
    "an entity of entities": (
        XML,
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><NativeDicomModel>&b;</NativeDicomModel>',
        True,
        "DOCTYPE",
    ),
    "XML nested 3,000 deep": (
        XML,
        b"<NativeDicomModel>"
        + b'<DicomAttribute tag="00081140" vr="SQ"><Item number="1">' * 3000
        + b"</Item></DicomAttribute>" * 3000
        + b"</NativeDicomModel>",
        True,
        "deep",
    ),
    "JSON nested 3,000 deep": (
        JSON,
        b'[{"00081140":{"vr":"SQ","Value":' * 3000 + b"[]" + b"}}]" * 3000,
        True,
        "deep",
    ),
    "lists nested 3,000 deep": (JSON, b"[" * 3000 + b"]" * 3000, True, "an array of data sets"),
    "a body without its end": (JSON, b"[]", False, "end"),
    "a body that ends in a head": ("a" * 30, b"", False, "end"),
}
"""Content-Type of a part, its content, whether the body has its end, and what the answer says."""


@pytest.mark.parametrize(("content_type", "content", "ends", "said"), BODIES.values(), ids=BODIES)
def test_bodies_that_cannot_be(
    server: ArchiveServer, content_type: str, content: bytes, ends: bool, said: str
) -> None:
    """O2. S7: 4xx at once, and the answer says what was wrong."""
    body = dicomweb.part_head(content_type) + content + b"\r\n" + (dicomweb.closing() if ends else b"")
    begin = time.monotonic()
    response = dicomweb.CLIENT.post(
        f"{server.dicomweb_url}/studies",
        content=body,
        headers={"Content-Type": dicomweb.STOW_TYPE, "Accept": "application/dicom+json"},
    )
    assert time.monotonic() - begin < 5
    assert response.status_code in (400, 409)
    assert said in response.text + response.headers.get("warning", "")


def test_an_unknown_move_destination(server: ArchiveServer) -> None:
    """D12: A801, whether the study is known or not."""
    final = scu.move(server, "NOWHERE", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
    assert final.Status == 0xA801
    assert final.ErrorComment


def test_no_log_line_holds_the_patient(server: ArchiveServer) -> None:
    whole = secondary_capture(PatientName="Canary^Bird", PatientID="CANARY-7")
    store(server, encoded(whole)[:-1], whole.SOPInstanceUID)
    dicomweb.store(server.dicomweb_url, part10(whole)[:-1])
    assert "canary" not in server.log.lower()
