"""`archive import` of media: what a DICOMDIR names is there, or is told to be missing (dimse.md 1.6 PDI, IHE PDI)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from archive.bootstrap.building import Archive
from archive.cli.importing import Fate, Report, exit_code, summary
from archive.cli.media import AMBIGUOUS, ANOTHER, LEADS_OUT, NOT_THERE
from archive.cli.sources import ENCRYPTED, NO_ZIP
from archive.cli.sources import LEADS_OUT as LINK_LEADS_OUT
from archive.dicom.instance import Scope
from archive_here import fill, imported
from exports import exported, folder, study
from objects import mr, part10, secondary_capture


@pytest.fixture
def medium(archive: Archive, tmp_path: Path) -> Path:
    """A medium of two series, which the archive has forgotten."""
    several = study()
    fill(archive, *several)
    exported(archive, folder(tmp_path / "medium"))
    archive.deletion.delete(Scope((several[0].StudyInstanceUID,)))
    return tmp_path / "medium"


def fates(report: Report) -> dict[Fate, int]:
    """How many of each."""
    return dict(Counter(result.fate for result in report.results))


def told(report: Report, fate: Fate) -> dict[str, str]:
    """Why, by the name of the file."""
    return {result.path.name: result.reason for result in report.results if result.fate is fate}


def renamed(medium: Path, change: Callable[[str], str]) -> None:
    """Every file and folder, from the bottom up."""
    for path in sorted(medium.rglob("*"), reverse=True):
        path.rename(path.with_name(change(path.name)))


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name,
        str.lower,
        lambda name: f"{name};1" if re.match(r"I0|DICOMDIR|README", name) else name,
        lambda name: f"{name.lower()}.;1" if re.match(r"I0|DICOMDIR", name) else name,
    ],
)
def test_names_as_systems_show_those_of_iso_9660(
    archive: Archive, medium: Path, change: Callable[[str], str]
) -> None:
    """In either case, with a version or a dot (ISO 9660 7.5)."""
    renamed(medium, change)
    report = imported(archive, medium)
    assert fates(report) == {Fate.STORED: 5, Fate.NOT_DICOM: 1}
    assert exit_code(report) == 0
    assert "Missing" not in summary(report)


def test_only_what_the_directory_names(archive: Archive, medium: Path) -> None:
    """When the DICOMDIR itself is given."""
    (medium / "DICOM" / "EXTRA").write_bytes(part10(mr()))
    assert fates(imported(archive, medium / "DICOMDIR")) == {Fate.STORED: 5}
    assert fates(imported(archive, medium))[Fate.STORED] == 1


def test_what_is_missing_is_named(archive: Archive, medium: Path) -> None:
    """A CD that was scratched, or copied in part, is no whole study."""
    next(medium.rglob("I0000002")).unlink()
    shutil.rmtree(next(medium.rglob("R00002")))
    for given in (medium, medium / "DICOMDIR"):
        report = imported(archive, given)
        assert told(report, Fate.MISSING) == dict.fromkeys(("I0000002", "I0000004", "I0000005"), NOT_THERE)
        assert exit_code(report) == 1
        assert f"Missing: {NOT_THERE} (3)" in summary(report)
        assert str(medium / "DICOM" / "S00001" / "R00002" / "I0000004") in summary(report)


def test_another_instance_under_the_name(archive: Archive, medium: Path) -> None:
    """It is stored as what it is, and the one that the directory names is missing."""
    path = next(medium.rglob("I0000002"))
    named, other = dcmread(path).SOPInstanceUID, mr()
    path.write_bytes(part10(other))
    report = imported(archive, medium)
    (missing,) = (result for result in report.results if result.fate is Fate.MISSING)
    assert (missing.path, missing.reason, missing.SOPInstanceUID) == (path, ANOTHER, named)
    assert fates(report)[Fate.STORED] == 5
    assert exit_code(report) == 1


def test_instances_that_changed_places_are_not_missing(archive: Archive, medium: Path) -> None:
    one, other = sorted(medium.rglob("I000000[12]"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert exit_code(imported(archive, medium)) == 0


def test_two_files_that_could_be_meant(archive: Archive, medium: Path) -> None:
    path = next(medium.rglob("I0000002"))
    path.with_name("i0000002").write_bytes(path.read_bytes())
    path.rename(path.with_name("I0000002.;1"))
    report = imported(archive, medium)
    assert told(report, Fate.MISSING) == {"I0000002": AMBIGUOUS}
    shutil.copy(path.with_name("i0000002"), path)
    assert exit_code(imported(archive, medium)) == 0, "the name itself is sure"


@pytest.mark.parametrize("file_id", [r"..\..\secret", r"DICOM\..\..\secret", "../../secret"])
def test_a_file_id_that_leads_out(archive: Archive, medium: Path, file_id: str) -> None:
    """CVE-2026-32711: what lies beside the medium is not read, though it is an object."""
    (medium.parent / "secret").write_bytes(part10(mr()))
    (medium.parent.parent / "secret").write_bytes(part10(mr()))
    directory = dcmread(medium / "DICOMDIR")
    record = directory.DirectoryRecordSequence[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record.ReferencedFileID = file_id.split("\\")
        directory.save_as(medium / "DICOMDIR")
    report = imported(archive, medium / "DICOMDIR")
    assert told(report, Fate.MISSING) == {"DICOMDIR": LEADS_OUT}
    assert fates(report)[Fate.STORED] == 4


def test_a_link_that_leads_out(archive: Archive, medium: Path) -> None:
    """A medium comes from strangers; a folder of one's own may have links."""
    secret = medium.parent / "secret"
    secret.write_bytes(part10(mr()))
    path = next(medium.rglob("I0000002"))
    path.unlink()
    path.symlink_to(secret)
    within = medium / "DICOM" / "within"
    within.symlink_to(next(medium.rglob("I0000001")))
    for given in (medium, medium / "DICOMDIR"):
        assert told(imported(archive, given), Fate.REFUSED) == {"I0000002": LINK_LEADS_OUT}
    own = medium.parent / "own"
    own.mkdir()
    (own / "link").symlink_to(secret)
    assert fates(imported(archive, own)) == {Fate.STORED: 1}


@pytest.mark.parametrize("content", [b"", b"text", bytes(200), part10(mr())[:400], part10(mr())])
def test_a_directory_that_cannot_be_read(archive: Archive, medium: Path, content: bytes) -> None:
    """Everything is imported, and nobody is told that it was all."""
    (medium / "DICOMDIR").write_bytes(content)
    report = imported(archive, medium)
    assert fates(report)[Fate.STORED] == 5
    assert "nobody can tell whether files are missing" in told(report, Fate.REFUSED)["DICOMDIR"]
    assert exit_code(report) == 1


def test_several_media_in_one_folder(archive: Archive, medium: Path, tmp_path: Path) -> None:
    """Each by its own directory, though their files have the same names."""
    fill(archive, secondary_capture())
    exported(archive, folder(tmp_path / "all" / "other"))
    medium.rename(tmp_path / "all" / "one")
    next((tmp_path / "all" / "other").rglob("I0000001")).unlink()
    report = imported(archive, tmp_path / "all")
    (missing,) = (result.path for result in report.results if result.fate is Fate.MISSING)
    assert missing == tmp_path / "all/other/DICOM/S00001/R00001/I0000001"
    assert fates(report)[Fate.STORED] == 5


# --- zip files ---


def zipped(folder: Path, path: Path) -> Path:
    """A zip file of a folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.rglob("*")):
            out.write(file, file.relative_to(folder))
    return path


def test_a_zip_file(archive: Archive, medium: Path, tmp_path: Path) -> None:
    """Given, or found in a folder; its DICOMDIR counts."""
    next(medium.rglob("I0000003")).unlink()
    (tmp_path / "in").mkdir()
    path = zipped(medium, tmp_path / "in" / "medium.ZIP")
    report = imported(archive, path)
    assert fates(report) == {Fate.STORED: 4, Fate.NOT_DICOM: 1, Fate.MISSING: 1}
    assert str(path / "DICOM/S00001/R00001/I0000003") in summary(report)
    assert fates(imported(archive, tmp_path / "in"))[Fate.ALREADY_THERE] == 4


def test_members_that_are_strange(archive: Archive, tmp_path: Path) -> None:
    """Nothing is unpacked; each is refused by name, and the others are imported."""
    path = tmp_path / "strange.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("../../secret", part10(mr()))
        out.writestr("/good", part10(mr()))
        out.writestr("nested.zip", b"PK\x03\x04" + bytes(200))
        out.writestr("locked", part10(mr()))
        out.writestr("broken", part10(mr()))
        for info in out.infolist():
            info.flag_bits |= info.filename == "locked"
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as found:
        start = found.getinfo("broken").header_offset
    raw[start + 1000] ^= 0xFF
    path.write_bytes(raw)
    report = imported(archive, path)
    refused = told(report, Fate.REFUSED)
    assert refused["secret"] == LINK_LEADS_OUT
    assert refused["locked"] == ENCRYPTED
    assert refused["broken"] == "cannot be read: damaged (BadZipFile)"
    assert told(report, Fate.NOT_DICOM).keys() == {"nested.zip"}
    assert fates(report)[Fate.STORED] == 1
    assert not (tmp_path.parent.parent / "secret").exists()


def test_what_only_looks_like_a_zip_file(archive: Archive, tmp_path: Path) -> None:
    """A preamble may begin as a zip file does (PS3.10 7.1); and a zip file may be cut off."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "object.zip").write_bytes(b"PK\x03\x04" + part10(mr())[4:])
    (tmp_path / "in" / "cut.zip").write_bytes(b"PK\x03\x04" + bytes(500))
    report = imported(archive, tmp_path / "in")
    assert fates(report) == {Fate.STORED: 1, Fate.REFUSED: 1}
    assert told(report, Fate.REFUSED) == {"cut.zip": NO_ZIP}


# --- what others wrote ---


def test_media_of_pydicom(archive: Archive, pydicom_data: Path, tmp_path: Path) -> None:
    """Its test media: two of one folder, in several encodings of the directory."""
    source = pydicom_data / "test_files" / "dicomdirtests"
    for kind, missing in (("DICOMDIR", 0), ("DICOMDIR-bigEnd", 0), ("DICOMDIR-implicit", 0)):
        place = tmp_path / kind
        shutil.copytree(source, place, ignore=shutil.ignore_patterns("DICOMDIR*", "TINY_ALPHA"))
        shutil.copy(source / kind, place / "DICOMDIR")
        report = imported(archive, place / "DICOMDIR")
        expected = {
            tuple(record.ReferencedFileID)
            for record in dcmread(place / "DICOMDIR").DirectoryRecordSequence
            if "ReferencedFileID" in record
        }
        assert len(report.results) == len(expected) == 31
        assert sum(result.fate is Fate.MISSING for result in report.results) == missing


def test_a_medium_of_dcmtk(archive: Archive, tmp_path: Path) -> None:
    """dcmmkdir makes the directory, with icons in its records; ours reads it."""
    tool = shutil.which("dcmmkdir", path="/usr/bin:/usr/local/bin")
    if tool is None:
        pytest.skip("dcmmkdir is not installed (Debian package dcmtk)")
    several: list[Dataset] = [*study(), secondary_capture(PatientID="OTHER")]
    (tmp_path / "cd" / "IMAGES").mkdir(parents=True)
    for number, one in enumerate(several):
        (tmp_path / "cd" / "IMAGES" / f"IM{number}").write_bytes(part10(one))
    arguments = ("+r", "-Nxc", "-Pgp", "+X", "+D", "DICOMDIR", "IMAGES")
    subprocess.run([tool, *arguments], cwd=tmp_path / "cd", check=True, capture_output=True)
    (tmp_path / "cd" / "IMAGES" / "IM3").unlink()
    report = imported(archive, tmp_path / "cd")
    assert fates(report) == {Fate.STORED: 5, Fate.MISSING: 1}


def test_export_and_import_again(archive: Archive, medium: Path) -> None:
    """What comes back is what went out."""
    before = {dcmread(path).SOPInstanceUID: dcmread(path) for path in medium.rglob("I0*")}
    imported(archive, medium)
    for stored in archive.retrieve.instances(Scope()):
        with archive.retrieve.open(stored) as blob:
            raw = b"".join(blob.pieces(0, stored.blob_length))
        path = medium.parent / "again"
        path.write_bytes(raw)
        assert dcmread(path) == before[stored.SOPInstanceUID]
    assert os.listdir(archive.settings.data / "spool") == []
