"""echoscu, storescu and dcmsend, option by option: how they propose, repeat, abort and invent.

The bytes are held against real files in test_dcmtk.py; here are small objects in every transfer syntax that storescu
can propose (dimse.md 1.2, the rows of transfer syntaxes), and what the tools do besides sending.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID

import dcmtk
import encoded_objects
from archive_process import ArchiveServer
from holdings import instances_of, kept, save, uids
from objects import mr, secondary_capture, series

pytestmark = pytest.mark.usefixtures("dcmtk_tools")

STORED = "Received Store Response (Success)"


@pytest.mark.parametrize(
    "options",
    [["--repeat", 5], ["-pts", 38], ["-ppc", 128], ["--abort"], ["-pdu", 4096], ["-pdu", 131072]],
    ids=lambda options: " ".join(map(str, options)),
)
def test_echoscu(archive_server: ArchiveServer, options: list[object]) -> None:
    done = dcmtk.run("echoscu", "-v", *options, *dcmtk.peer(archive_server))
    assert done.code == 0, done.output
    assert done.output.count("Received Echo Response (Success)") == (5 if "--repeat" in options else 1)


def test_echoscu_under_another_called_ae_title_is_told_so(archive_server: ArchiveServer) -> None:
    """PS3.8 Table 9-21: result 1, source 1, reason 7, in DCMTK's words."""
    done = dcmtk.run("echoscu", "-aec", "NOBODY", "127.0.0.1", archive_server.dimse_port)
    assert done.code != 0
    assert "Result: Rejected Permanent, Source: Service User" in done.output, done.output
    assert "Reason: Called AE Title Not Recognized" in done.output


@pytest.mark.parametrize("option", encoded_objects.STORESCU_OPTIONS)
def test_storescu_in_every_transfer_syntax(
    archive_server: ArchiveServer, tmp_path: Path, option: str
) -> None:
    syntax = encoded_objects.STORESCU_OPTIONS[option]
    data_set = encoded_objects.encoded_in(syntax)
    (path,) = save(tmp_path, data_set, transfer_syntax_uid=syntax)
    sent = dcmtk.run("storescu", "-v", option, *dcmtk.peer(archive_server), path)
    assert sent.output.count(STORED) == 1, sent.output
    found = kept(archive_server, data_set)
    assert found.file_meta.TransferSyntaxUID == syntax
    assert found.PixelData == dcmread(path).PixelData


@pytest.mark.parametrize("way", [[], ["+C"], ["-R"]], ids=["separate", "combined", "required"])
@pytest.mark.parametrize("option", ["-x=", "-xb", "-xi"])
def test_storescu_proposes_uncompressed_syntaxes_in_any_way(
    archive_server: ArchiveServer, tmp_path: Path, option: str, way: list[str]
) -> None:
    """Whatever storescu makes of an object in explicit VR, the picture stays."""
    data_set = secondary_capture()
    paths = save(tmp_path, data_set)
    sent = dcmtk.run("storescu", "-v", option, *way, *dcmtk.peer(archive_server), *paths)
    assert STORED in sent.output, sent.output
    assert kept(archive_server, data_set).PixelData == data_set.PixelData


def test_storescu_repeats(archive_server: ArchiveServer, tmp_path: Path) -> None:
    """The same objects again and again are a success, and there once."""
    several = series(secondary_capture, 3)
    paths = save(tmp_path, *several)
    sent = dcmtk.run("storescu", "-v", "--repeat", 4, *dcmtk.peer(archive_server), *paths)
    assert sent.code == 0, sent.output
    assert sent.output.count(STORED) == 12
    assert instances_of(archive_server, several[0].StudyInstanceUID) == uids(several)


def test_storescu_aborts_after_the_last_success(archive_server: ArchiveServer, tmp_path: Path) -> None:
    """What was answered with Success stays, however the association ends (PS3.8 7.3)."""
    several = series(secondary_capture, 3)
    paths = save(tmp_path, *several)
    sent = dcmtk.run("storescu", "-v", "--abort", *dcmtk.peer(archive_server), *paths)
    assert sent.output.count(STORED) == 3, sent.output
    assert instances_of(archive_server, several[0].StudyInstanceUID) == uids(several)
    assert dcmtk.run("echoscu", *dcmtk.peer(archive_server)).code == 0


def test_storescu_invents_patients_studies_and_series(archive_server: ArchiveServer, tmp_path: Path) -> None:
    """Sixteen objects, two to a series, two series to a study, two studies to a patient."""
    options = ["+II", "+IR", 2, "+IS", 2, "+IP", 2, "--repeat", 16]
    paths = save(tmp_path, secondary_capture())
    sent = dcmtk.run("storescu", "-v", *options, *dcmtk.peer(archive_server), *paths)
    assert sent.output.count(STORED) == 16, sent.output
    wanted: dict[str, set[str]] = {}
    names = re.findall(r"(Patient|StudyInstance|SOPInstance)U?ID=(\S+)", sent.output)
    studies = [uid for kind, uid in names if kind == "StudyInstance"]
    instances = [uid for kind, uid in names if kind == "SOPInstance"]
    assert len({uid for kind, uid in names if kind == "Patient"}) == 2
    for study, instance in zip(studies, instances, strict=True):
        wanted.setdefault(study, set()).add(instance)
    assert len(wanted) == 4
    assert {study: instances_of(archive_server, study) for study in wanted} == wanted


@pytest.mark.parametrize("size", [4096, 131072])
def test_storescu_with_pdus_of_any_size(archive_server: ArchiveServer, tmp_path: Path, size: int) -> None:
    data_set = mr()
    options = ["-pdu", size, "--max-send-pdu", size]
    sent = dcmtk.run("storescu", "-v", *options, *dcmtk.peer(archive_server), *save(tmp_path, data_set))
    assert STORED in sent.output, sent.output
    assert kept(archive_server, data_set).PixelData == data_set.PixelData


def test_dcmsend_sends_a_folder_of_everything(archive_server: ArchiveServer, tmp_path: Path) -> None:
    """Every transfer syntax in one go, what is compressed undecoded; dcmsend's report says what each came to."""
    sending = {
        syntax: encoded_objects.encoded_in(syntax) for syntax in encoded_objects.STORESCU_OPTIONS.values()
    }
    for syntax, data_set in sending.items():
        save(tmp_path / "files", data_set, transfer_syntax_uid=syntax)
    report = tmp_path / "report.txt"
    options = ["-v", "-dn", "+sd", "+crf", report]
    sent = dcmtk.run("dcmsend", *options, *dcmtk.peer(archive_server), tmp_path / "files")
    assert sent.code == 0, sent.output
    assert f"with status SUCCESS  : {len(sending)}" in report.read_text(errors="replace")
    for syntax, data_set in sending.items():
        found = kept(archive_server, data_set)
        assert found.PixelData == data_set.PixelData
        assert found.file_meta.TransferSyntaxUID == syntax or not UID(syntax).is_compressed
