"""A merge on a running archive (dimse.md 1.5): whoever asks by whatever protocol sees the study as it was until it is
what is right, and then only that."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

import dcmtk
import dicomweb
import scu
from archive_process import ArchiveServer
from holdings import add_ae_title, save
from objects import encoded, new_uid, secondary_capture, series

pytestmark = pytest.mark.usefixtures("dcmtk_tools")

WRONG, RIGHT = "Emergency^Unknown", "Roe^Jane"
PAIR = (str(SecondaryCaptureImageStorage), str(ExplicitVRLittleEndian))
SECONDS = 120


@pytest.fixture(scope="module")
def server(module_archive: Callable[..., ArchiveServer]) -> ArchiveServer:
    return module_archive()


@pytest.fixture(scope="module")
def study(server: ArchiveServer, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """One study of sixty instances, which is more than is done while its correction is asked for."""
    shared = {"PatientID": "T99", "PatientName": WRONG, "StudyInstanceUID": new_uid()}
    found = series(secondary_capture, 60, **shared)
    other = secondary_capture(PatientID="4711", PatientName=RIGHT, PatientBirthDate="19700131")
    paths = save(tmp_path_factory.mktemp("study"), *found, other)
    assert dcmtk.run("storescu", *dcmtk.peer(server), *paths).code == 0
    return found


def names(server: ArchiveServer, uid: str) -> tuple[str, ...]:
    """What the instances of a study say of their patient, in one answer."""
    metadata = httpx.get(f"{server.dicomweb_url}/studies/{uid}/metadata", timeout=60)
    return tuple(sorted({one["00100010"]["Value"][0]["Alphabetic"] for one in metadata.json()}))


def in_search(server: ArchiveServer, uid: str) -> str:
    (match,) = dicomweb.search(server.dicomweb_url, "studies", StudyInstanceUID=uid)
    return str(match["00100010"]["Value"][0]["Alphabetic"])  # type: ignore[index]


@pytest.fixture(scope="module")
def seen(server: ArchiveServer, study: list[Dataset]) -> list[tuple[str, tuple[str, ...]]]:
    """What a search and then the metadata said, again and again while the study was corrected."""
    uid = study[0].StudyInstanceUID
    wanted = {"kind": "merge", "patient": {"PatientID": "T99"}, "to": {"PatientID": "4711"}}
    found = [(in_search(server, uid), names(server, uid))]
    answer = httpx.post(f"{server.http_url}/api/corrections", json=wanted, timeout=60)
    assert answer.status_code == 202
    deadline = time.monotonic() + SECONDS
    while found[-1][0] != RIGHT and time.monotonic() < deadline:
        found.append((in_search(server, uid), names(server, uid)))
    return found


def test_a_study_changes_over_in_one_moment(
    server: ArchiveServer, seen: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert {said for _, said in seen} == {(WRONG,), (RIGHT,)}
    assert seen[0] == (WRONG, (WRONG,))
    assert seen[-1] == (RIGHT, (RIGHT,))
    assert (RIGHT, (WRONG,)) not in seen
    assert WRONG not in server.log
    assert "Roe" not in server.log


@pytest.mark.usefixtures("seen")
def test_every_way_of_asking_says_the_same(
    server: ArchiveServer, study: list[Dataset], received: Path
) -> None:
    uid = study[0].StudyInstanceUID
    assert dicomweb.search(server.dicomweb_url, "studies", PatientID="T99") == []
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=4711", "-k", "PatientName"]
    found = dcmtk.run("findscu", "-S", *dcmtk.peer(server), *keys, "-k", f"StudyInstanceUID={uid}")
    assert RIGHT in found.output
    none = dcmtk.run(
        "findscu", "-P", *dcmtk.peer(server), "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=T99"
    )
    assert "Pending" not in none.output
    got = scu.get(server, [PAIR], QueryRetrieveLevel="STUDY", StudyInstanceUID=uid)
    assert len(got) == 60
    assert all(RIGHT.encode() in data_set for data_set in got.values())
    whole = [dcmread(BytesIO(one)) for one in dicomweb.retrieve(f"{server.dicomweb_url}/studies/{uid}")]
    assert {(str(one.PatientName), one.PatientID, one.PatientBirthDate) for one in whole} == {
        (RIGHT, "4711", "19700131")
    }
    first = whole[0]
    instance = f"series/{first.SeriesInstanceUID}/instances/{first.SOPInstanceUID}"
    rendered = httpx.get(f"{server.dicomweb_url}/studies/{uid}/{instance}/rendered", timeout=60)
    assert rendered.status_code == 200
    zipped = httpx.get(
        f"{server.dicomweb_url}/studies/{uid}", headers={"Accept": "application/zip"}, timeout=60
    )
    assert WRONG.encode() in zipped.content  # in the Original Attributes Sequence only
    with dcmtk.storescp(received) as port:
        add_ae_title(server, "STORESCP", port)
        final = scu.move(server, "STORESCP", QueryRetrieveLevel="STUDY", StudyInstanceUID=uid)
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 60)
    moved = [dcmread(path) for path in received.iterdir()]
    assert {str(one.PatientName) for one in moved} == {RIGHT}


@pytest.mark.usefixtures("seen")
def test_what_a_scanner_sends_on_is_corrected_and_it_is_told(
    server: ArchiveServer, study: list[Dataset]
) -> None:
    late = secondary_capture(PatientID="T99", PatientName=WRONG)
    uid = late.StudyInstanceUID
    data_set = encoded(late)
    status, comment = scu.store(server, PAIR, late.SOPInstanceUID, [data_set])
    assert (status, "OriginalAttributesSequence" in comment) == (0xB000, True)
    assert names(server, uid) == (RIGHT,)
    assert scu.store(server, PAIR, late.SOPInstanceUID, [data_set])[0] in (0x0000, 0xB000)
    again = scu.store(server, PAIR, study[0].SOPInstanceUID, [encoded(study[0])])
    assert again[0] in (0x0000, 0xB000)
    assert len(dicomweb.search(server.dicomweb_url, f"studies/{study[0].StudyInstanceUID}/instances")) == 60
    assert len(dicomweb.search(server.dicomweb_url, f"studies/{uid}/instances")) == 1
