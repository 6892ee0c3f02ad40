"""DCMTK's tools, unchanged: store, find, move and get; every way back gives the bytes that came in.

storescu re-encodes what it sends (group and sequence lengths), so what the archive received is known from
a stock storescp that got the same files from the same command. Files that storescu cannot send are stored by
a client that sends raw bytes in test_every_file.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    ParametricMapStorage,
    RLELossless,
)

import dcmtk
import dicomweb
from archive_process import ArchiveServer
from files import File, compatible, files, rarest_first
from holdings import add_ae_title
from objects import data_set_bytes, mr, part10

pytestmark = pytest.mark.usefixtures("dcmtk_tools")

# getscu proposes one transfer syntax first, the uncompressed ones after it, and needs this option to do so.
# Objects in implicit VR are out of its reach: its option for them, +xi, proposes explicit VR (3.6.7), and
# beside the others it is the last choice.
GETSCU_OPTIONS = {
    ExplicitVRLittleEndian: "+xe",
    ExplicitVRBigEndian: "+xb",
    JPEGBaseline8Bit: "+xy",
    JPEGExtended12Bit: "+xx",
    JPEGLosslessSV1: "+xs",
    JPEG2000Lossless: "+xv",
    JPEG2000: "+xw",
    JPEGLSLossless: "+xt",
    RLELossless: "+xr",
}
GETSCU_LACKS = {ParametricMapStorage: "not among the SOP classes that getscu proposes"}


@dataclass(frozen=True)
class Stored:
    """The archive, what went in, and the bytes that storescu sent for each SOP Instance UID."""

    server: ArchiveServer
    files: list[File]
    sent: dict[str, bytes]

    def url(self, file: File) -> str:
        """The WADO-RS resource of an instance."""
        root = f"{self.server.dicomweb_url}/studies/{file.StudyInstanceUID}"
        return f"{root}/series/{file.SeriesInstanceUID}/instances/{file.SOPInstanceUID}"


@pytest.fixture(scope="module")
def stored(
    shared_data: Path,
    module_archive: Callable[..., ArchiveServer],
    tmp_path_factory: pytest.TempPathFactory,
    dcmtk_tools: None,
) -> Stored:
    """storescu has sent all files to the archive, and the same to a stock storescp."""
    sending = [
        file for file in compatible(rarest_first(files(shared_data))) if file.path.name not in dcmtk.NOT_SENT
    ]
    folder = tmp_path_factory.mktemp("reference")
    pairs = ((file.SOPClassUID, file.transfer_syntax_uid) for file in sending)
    profile = dcmtk.association_profile(folder / "storescu.cfg", pairs)
    paths = [file.path for file in sending]
    (folder / "received").mkdir()
    with dcmtk.storescp(folder / "received") as port:
        assert dcmtk.run("storescu", *profile, "127.0.0.1", port, *paths).code == 0
    server = module_archive()
    sent = dcmtk.run("storescu", "-v", *profile, *dcmtk.peer(server), *paths)
    assert sent.code == 0, sent.output
    assert sent.output.count("Received Store Response (Success)") == len(paths)
    return Stored(server, sending, dict(_data_sets(folder / "received")))


def _data_sets(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in files(folder):
        yield file.SOPInstanceUID, file.data_set


def test_most_of_the_collection_takes_part(stored: Stored) -> None:
    assert len(stored.files) > 35
    assert {file.transfer_syntax_uid for file in stored.files} >= {
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        JPEGLosslessSV1,
        JPEG2000,
        JPEG2000Lossless,
        JPEGLSLossless,
        RLELossless,
    }


def test_wado_gives_the_bytes_that_came_in(stored: Stored) -> None:
    for file in stored.files:
        (whole,) = dicomweb.retrieve(stored.url(file))
        assert data_set_bytes(whole) == stored.sent[file.SOPInstanceUID], file.path.name


def test_movescu_gives_the_bytes_that_came_in(stored: Stored, received: Path) -> None:
    with dcmtk.storescp(received, "MOVED") as port:
        add_ae_title(stored.server, "MOVED", port)
        for study in {file.StudyInstanceUID for file in stored.files}:
            keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}"]
            moved = dcmtk.run("movescu", "-v", "-S", "-aem", "MOVED", *keys, *dcmtk.peer(stored.server))
            assert moved.code == 0, moved.output
    assert dict(_data_sets(received)) == stored.sent


@pytest.mark.parametrize("transfer_syntax_uid", GETSCU_OPTIONS, ids=GETSCU_OPTIONS.values())
def test_getscu_gives_the_bytes_that_came_in(
    stored: Stored, received: Path, transfer_syntax_uid: str
) -> None:
    fitting = [file for file in stored.files if file.transfer_syntax_uid == transfer_syntax_uid]
    wanted = [file for file in fitting if file.SOPClassUID not in GETSCU_LACKS]
    option = GETSCU_OPTIONS[transfer_syntax_uid]
    for file in wanted:
        keys = ["-k", "QueryRetrieveLevel=IMAGE"]
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            keys += ["-k", f"{keyword}={getattr(file, keyword)}"]
        got = dcmtk.run("getscu", "-S", "+B", option, "-od", received, *keys, *dcmtk.peer(stored.server))
        assert got.code == 0, got.output
    expected = {file.SOPInstanceUID: stored.sent[file.SOPInstanceUID] for file in wanted}
    assert dict(_data_sets(received)) == expected


def find(server: ArchiveServer, model: str, level: str, **keys: str) -> list[dict[str, str]]:
    """findscu's answers: keyword to value, as it prints them."""
    options = ["-k", f"QueryRetrieveLevel={level}"]
    for keyword, value in keys.items():
        options += ["-k", f"{keyword}={value}" if value else keyword]
    found = dcmtk.run("findscu", "-v", model, *options, *dcmtk.peer(server))
    assert found.code == 0, found.output
    assert "Received Final Find Response (Success)" in found.output, found.output
    answers = found.output.split("Find Response: ")[1:]
    return [_printed(answer) for answer in answers if "(Pending)" in answer.partition("\n")[0]]


def _printed(answer: str) -> dict[str, str]:
    values = {}
    for line in answer.splitlines():
        _, bracket, rest = line.partition(" [")
        if bracket:
            values[rest.rpartition(" ")[2]] = rest.partition("]")[0].strip(" \0")
    return values


def test_findscu_at_patient_level(stored: Stored) -> None:
    expected = {file.PatientID for file in stored.files}
    answers = find(stored.server, "-P", "PATIENT", PatientID="", PatientName="")
    assert {answer.get("PatientID", "") for answer in answers} == expected


@pytest.mark.parametrize("model", ["-P", "-S"])
def test_findscu_at_study_series_and_image_level(stored: Stored, model: str) -> None:
    by_study = defaultdict(list)
    for file in stored.files:
        by_study[file.StudyInstanceUID].append(file)
    study, inside = max(by_study.items(), key=lambda item: len(item[1]))
    patient = {"PatientID": inside[0].PatientID} if model == "-P" else {}

    studies = find(stored.server, model, "STUDY", **patient, StudyInstanceUID="")
    expected = set(by_study) if model == "-S" else {study}
    assert {answer["StudyInstanceUID"] for answer in studies} >= expected

    keys = {**patient, "StudyInstanceUID": study}
    series = find(stored.server, model, "SERIES", **keys, SeriesInstanceUID="", Modality="")
    assert {answer["SeriesInstanceUID"] for answer in series} == {file.SeriesInstanceUID for file in inside}

    chosen = inside[0].SeriesInstanceUID
    keys["SeriesInstanceUID"] = chosen
    images = find(stored.server, model, "IMAGE", **keys, SOPInstanceUID="", InstanceNumber="")
    expected = {file.SOPInstanceUID for file in inside if file.SeriesInstanceUID == chosen}
    assert {answer["SOPInstanceUID"] for answer in images} == expected


def test_findscu_and_qido_find_the_same_studies(stored: Stored) -> None:
    by_dimse = find(stored.server, "-S", "STUDY", StudyInstanceUID="", ModalitiesInStudy="")
    by_web = dicomweb.search(stored.server.dicomweb_url, "studies")
    assert {answer["StudyInstanceUID"] for answer in by_dimse} == {
        str(dicomweb.value(match, "0020000D")) for match in by_web
    }


def test_the_same_object_again_is_a_success(stored: Stored, tmp_path: Path) -> None:
    file = next(file for file in stored.files if file.transfer_syntax_uid == ExplicitVRLittleEndian)
    pair = [(file.SOPClassUID, file.transfer_syntax_uid)]
    profile = dcmtk.association_profile(tmp_path / "storescu.cfg", pair)
    again = dcmtk.run("storescu", "-v", *profile, *dcmtk.peer(stored.server), file.path)
    assert "Received Store Response (Success)" in again.output


def test_other_content_under_a_known_uid_is_kept_out(archive_server: ArchiveServer, tmp_path: Path) -> None:
    first = mr()
    (tmp_path / "first.dcm").write_bytes(part10(first))
    first.PatientComments = "changed"
    (tmp_path / "second.dcm").write_bytes(part10(first))
    kept = dcmtk.run("storescu", "-v", "-xe", *dcmtk.peer(archive_server), tmp_path / "first.dcm")
    assert "Received Store Response (Success)" in kept.output, kept.output
    refused = dcmtk.run("storescu", "-v", "-xe", *dcmtk.peer(archive_server), tmp_path / "second.dcm")
    assert "Received Store Response (Success)" not in refused.output
    assert "0x111" in refused.output, "Duplicate SOP Instance (PS3.7 C.4.1.3); DCMTK has no word for it"
    url = f"{archive_server.dicomweb_url}/studies/{first.StudyInstanceUID}"
    (whole,) = dicomweb.retrieve(url)
    assert b"changed" not in whole
