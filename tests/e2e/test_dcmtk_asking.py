"""findscu, movescu and getscu, option by option: models, levels, transfer syntaxes, --cancel, +P, --repeat, --abort."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

import dcmtk
from archive_process import ArchiveServer
from device_headers import new_uid
from holdings import add_ae_title, save, uids
from objects import secondary_capture, series

pytestmark = pytest.mark.usefixtures("dcmtk_tools")

MODELS = ["-P", "-S", "-O"]
HAS_LEVELS = {"-P": {"PATIENT", "SERIES", "IMAGE"}, "-S": {"SERIES", "IMAGE"}, "-O": {"PATIENT"}}
UNCOMPRESSED = ["-x=", "-xe", "-xb", "-xi", "-xd"]
FOUND = "Received Final Find Response (Success)"


@pytest.fixture(scope="module")
def patient(archive_server: ArchiveServer, tmp_path_factory: pytest.TempPathFactory) -> list[Dataset]:
    """One patient with a study of two series of three instances, stored by storescu."""
    shared = {"PatientID": new_uid()[-12:], "StudyInstanceUID": new_uid(), "PatientName": "Matrix^Mary"}
    everything = [*series(secondary_capture, 3, **shared), *series(secondary_capture, 3, **shared)]
    paths = save(tmp_path_factory.mktemp("patient"), *everything)
    sent = dcmtk.run("storescu", *dcmtk.peer(archive_server), *paths)
    assert sent.code == 0, sent.output
    return everything


@pytest.fixture(scope="module")
def large_study(archive_server: ArchiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A study of six hundred instances that storescu made up; its Study Instance UID."""
    paths = save(tmp_path_factory.mktemp("large"), secondary_capture())
    options = ["--repeat", 600, "+II", "+IR", 9999, "+IS", 9999, "+IP", 9999]
    sent = dcmtk.run("storescu", "-v", *options, *dcmtk.peer(archive_server), *paths)
    assert sent.output.count("Received Store Response (Success)") == 600, sent.output[-2000:]
    (study,) = set(re.findall(r"StudyInstanceUID=(\S+)", sent.output))
    return study


def keys(level: str, **values: str) -> list[str]:
    """Options for an Identifier."""
    options = ["-k", f"QueryRetrieveLevel={level}"]
    for keyword, value in values.items():
        options += ["-k", f"{keyword}={value}" if value else keyword]
    return options


def find(server: ArchiveServer, *options: object) -> tuple[int, dcmtk.Run]:
    """How many answers findscu got, and all that it said."""
    done = dcmtk.run("findscu", "-v", *options, *dcmtk.peer(server))
    return len(re.findall(r"Find Response: \d+ \(Pending\)", done.output)), done


@pytest.mark.parametrize("transfer_syntax", UNCOMPRESSED)
@pytest.mark.parametrize("model", MODELS)
def test_findscu_on_every_model_in_every_transfer_syntax(
    archive_server: ArchiveServer, patient: list[Dataset], model: str, transfer_syntax: str
) -> None:
    """Patient Root, Study Root, and the retired Patient/Study Only (PS3.4 C.6)."""
    asked = keys("STUDY", PatientID=patient[0].PatientID, PatientName="", StudyInstanceUID="")
    answers, done = find(archive_server, model, transfer_syntax, *asked)
    assert answers == 1, done.output
    assert FOUND in done.output
    assert patient[0].StudyInstanceUID in done.output
    assert "Matrix^Mary" in done.output


@pytest.mark.parametrize(("level", "answers"), [("PATIENT", 1), ("SERIES", 2), ("IMAGE", 6)])
@pytest.mark.parametrize("model", MODELS)
def test_findscu_at_the_other_levels(
    archive_server: ArchiveServer, patient: list[Dataset], model: str, level: str, answers: int
) -> None:
    """A model refuses a level that it does not have: A900 (PS3.4 C.6.2, C.6.3)."""
    above = {} if level == "PATIENT" else {"StudyInstanceUID": patient[0].StudyInstanceUID}
    asked = keys(level, PatientID=patient[0].PatientID, **above)
    came, done = find(archive_server, model, *asked)
    if level in HAS_LEVELS[model]:
        assert (came, FOUND in done.output) == (answers, True), done.output
    else:
        assert came == 0, done.output
        assert "DataSetDoesNotMatchSOPClass" in done.output


def test_findscu_repeats_and_aborts(archive_server: ArchiveServer, patient: list[Dataset]) -> None:
    """An abort between two messages harms nobody."""
    asked = keys("PATIENT", PatientID=patient[0].PatientID)
    answers, done = find(archive_server, "-P", "--repeat", 3, "--abort", *asked)
    assert answers == 3, done.output
    assert dcmtk.run("echoscu", *dcmtk.peer(archive_server)).code == 0


@pytest.mark.parametrize("model", ["-P", "-S"])
def test_findscu_cancels(archive_server: ArchiveServer, large_study: str, model: str) -> None:
    """C-CANCEL-RQ ends it with FE00, long before all answers are sent (PS3.4 C.4.1.3.2)."""
    asked = keys("IMAGE", StudyInstanceUID=large_study, SOPInstanceUID="", InstanceNumber="")
    answers, done = find(archive_server, model, "--cancel", 3, *asked)
    assert "Cancel: MatchingTerminatedDueToCancelRequest" in done.output, done.output[-1500:]
    assert 3 <= answers < 600


def test_findscu_finds_all_of_them_when_it_does_not_cancel(
    archive_server: ArchiveServer, large_study: str
) -> None:
    answers, done = find(archive_server, "-S", *keys("IMAGE", StudyInstanceUID=large_study))
    assert (answers, FOUND in done.output) == (600, True), done.output[-1500:]


@pytest.fixture(scope="module")
def listens_at(archive_server: ArchiveServer) -> int:
    """The port at which the archive expects movescu to listen."""
    port = dcmtk.free_port()
    add_ae_title(archive_server, "MOVEITSELF", port)
    return port


def move(server: ArchiveServer, port: int, folder: Path, *options: object) -> dcmtk.Run:
    """movescu that is its own destination and writes to `folder` (but to where it is started with +B, 3.6.7)."""
    own = ["-aet", "MOVEITSELF", "-aem", "MOVEITSELF", "+P", port, "+xa", "-od", folder]
    return dcmtk.run("movescu", "-d", *own, *options, *dcmtk.peer(server))


def received_uids(folder: Path) -> set[str]:
    """The SOP Instance UIDs of what came."""
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("model", "level"),
    [("-P", "PATIENT"), ("-P", "STUDY"), ("-S", "STUDY"), ("-S", "SERIES"), ("-S", "IMAGE"), ("-O", "STUDY")],
)
def test_movescu_is_its_own_destination(
    archive_server: ArchiveServer,
    patient: list[Dataset],
    listens_at: int,
    received: Path,
    model: str,
    level: str,
) -> None:
    """+P: the C-STORE sub-operations come on an association of their own while C-MOVE goes on."""
    wanted = {"PATIENT": patient, "STUDY": patient, "SERIES": patient[:3], "IMAGE": patient[:1]}[level]
    moved = move(archive_server, listens_at, received, model, *hierarchy(wanted[0], model, level))
    assert moved.code == 0, moved.output
    last = moved.output.rpartition("C-MOVE RSP")[2]
    assert re.search(rf"Completed Suboperations +: {len(wanted)}\n", last), last
    assert re.search(r"DIMSE Status +: 0x0000", last), last
    assert received_uids(received) == uids(wanted)


def hierarchy(data_set: Dataset, model: str, level: str) -> list[str]:
    """The unique keys of a level and of those above it (PS3.4 C.4.2.2.1)."""
    named = {"StudyInstanceUID": "STUDY", "SeriesInstanceUID": "SERIES", "SOPInstanceUID": "IMAGE"}
    levels = ["PATIENT", "STUDY", "SERIES", "IMAGE"]
    above = [keyword for keyword, of in named.items() if levels.index(of) <= levels.index(level)]
    patient = {} if model == "-S" else {"PatientID": data_set.PatientID}
    return keys(level, **patient, **{keyword: getattr(data_set, keyword) for keyword in above})


def test_movescu_cancels(
    archive_server: ArchiveServer, large_study: str, listens_at: int, received: Path
) -> None:
    """After its first pending response: FE00 with counts that add up, and not everything was sent (PS3.4 C.4.2.3.1)."""
    asked = keys("STUDY", StudyInstanceUID=large_study)
    moved = move(archive_server, listens_at, received, "-S", "--cancel", 1, *asked)
    last = moved.output.rpartition("C-MOVE RSP")[2]
    assert re.search(r"DIMSE Status +: 0xfe00", last), last
    counts = re.findall(r"(?:Remaining|Completed|Failed|Warning) Suboperations +: (\d+)", last)
    assert sum(map(int, counts)) == 600, last
    assert len(list(received.iterdir())) < 600


@pytest.mark.parametrize("model", MODELS)
def test_getscu_on_every_model(
    archive_server: ArchiveServer, patient: list[Dataset], received: Path, model: str
) -> None:
    asked = hierarchy(patient[0], model, "STUDY")
    got = dcmtk.run("getscu", "-v", "+B", "+xe", model, "-od", received, *asked, *dcmtk.peer(archive_server))
    assert got.code == 0, got.output
    assert received_uids(received) == uids(patient)


def test_getscu_repeats_and_aborts(
    archive_server: ArchiveServer, patient: list[Dataset], received: Path
) -> None:
    asked = hierarchy(patient[0], "-S", "SERIES")
    options = ["-S", "--repeat", 2, "--abort", "+B", "+xe", "-od", received]
    got = dcmtk.run("getscu", "-v", *options, *asked, *dcmtk.peer(archive_server))
    assert got.output.count("Received C-STORE Request") == 6, got.output
    assert received_uids(received) == uids(patient[:3])
    assert dcmtk.run("echoscu", *dcmtk.peer(archive_server)).code == 0
