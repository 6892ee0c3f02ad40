"""`archive export` (dimse.md 1.6 PDI): what is on the medium when it says that it is complete."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from archive.bootstrap.building import Archive
from archive.cli.export_targets import ZipTarget
from archive.cli.exporting import summary
from archive.dicom.errors import ConfigurationError
from archive.services.media import Form
from archive_here import fill
from exports import exported, files, folder, study
from file_sets import file_set
from objects import mr, part10, secondary_capture


def test_a_folder_is_a_file_set_that_pydicom_reads(archive: Archive, tmp_path: Path) -> None:
    """PS3.10 8, IHE PDI: DICOMDIR and README.TXT at the top, all instances below DICOM."""
    several = [*study(), secondary_capture(PatientID="OTHER")]
    fill(archive, *several)
    result = exported(archive, folder(tmp_path / "medium"), label="DISC 7", contact="General Hospital")
    assert (result.complete, result.files, result.studies, result.patients) == (True, 6, 2, 2)
    assert sorted(path.name for path in (tmp_path / "medium").iterdir()) == [
        "DICOM",
        "DICOMDIR",
        "README.TXT",
    ]
    originals = {one.SOPInstanceUID: one for one in several}
    with file_set(tmp_path / "medium") as found:
        assert found.ID == "DISC 7"
        assert {one.SOPInstanceUID for one in found} == set(originals)
        for one in found:
            assert one.load() == originals[one.SOPInstanceUID]
    text = (tmp_path / "medium" / "README.TXT").read_bytes()
    assert b"General Hospital\r\n" in text
    assert text.isascii()
    assert b"6 instances, 2 studies, 2 patients" in text


def test_names_that_iso_9660_level_1_takes(archive: Archive, tmp_path: Path) -> None:
    """PS3.10 8.5, PS3.12 annex F: eight characters, at most three after a dot, at most eight levels."""
    fill(archive, *study())
    exported(archive, folder(tmp_path / "medium"))
    names = files(tmp_path / "medium")
    assert len(names) == 7
    for name in names:
        *folders, last = name.split("/")
        assert len(folders) < 8
        assert all(re.fullmatch(r"[A-Z0-9_]{1,8}", part) for part in folders)
        assert re.fullmatch(r"[A-Z0-9_]{1,8}(\.[A-Z0-9_]{1,3})?", last)


def test_dcmtk_and_clunie_read_it(archive: Archive, tmp_path: Path) -> None:
    """dcmmkdir +A checks every record and file of the DICOMDIR that it is to change, and without -Nxc that each file is
    as the application profile STD-GEN-CD wants it; dciodvfy finds no fault."""
    fill(archive, *study(), secondary_capture(PatientID="OTHER"))
    exported(archive, folder(tmp_path / "medium"))
    more = tmp_path / "medium" / "MORE"
    directory = (tmp_path / "medium" / "DICOMDIR").read_bytes()
    more.write_bytes(part10(mr()))
    for name, *arguments in (
        ("dcmdump", "DICOMDIR"),
        ("dciodvfy", "DICOMDIR"),
        ("dcmmkdir", "+r", "-nb", "+I", "-Pgp", "+D", "../STRICT", "DICOM"),
        ("dcmmkdir", "+A", "-nb", "+I", "-Nxc", "-Pgp", "+D", "DICOMDIR", "MORE"),
    ):
        tool = shutil.which(name, path="/usr/bin:/usr/local/bin")
        if tool is None:
            pytest.skip(f"{name} is not installed (Debian packages dcmtk, dicom3tools)")
        done = subprocess.run(
            [tool, *arguments], cwd=tmp_path / "medium", capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert not re.findall(r"^(?:[EF]: |Error).*", said, re.MULTILINE), said
    assert len((tmp_path / "medium" / "DICOMDIR").read_bytes()) > len(directory)


def test_a_zip_file_has_the_same(archive: Archive, tmp_path: Path) -> None:
    """PS3.12 annex V; nothing is left beside it."""
    fill(archive, *study())
    exported(archive, folder(tmp_path / "medium"))
    place = tmp_path / "out"
    result = exported(archive, ZipTarget(place / "medium.zip"))
    assert result.complete
    assert [path.name for path in place.iterdir()] == ["medium.zip"]
    with zipfile.ZipFile(place / "medium.zip") as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == files(tmp_path / "medium")
    with pytest.raises(ConfigurationError, match="exists"):
        ZipTarget(place / "medium.zip")


@pytest.mark.parametrize(
    ("form", "native", "compressed"),
    [
        (Form.EXPLICIT, ExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (Form.COMPRESSED, ExplicitVRLittleEndian, JPEG2000Lossless),
        (Form.STORED, ImplicitVRLittleEndian, JPEG2000Lossless),
    ],
)
def test_transfer_syntaxes(
    archive: Archive, tmp_path: Path, shared_data: Path, form: Form, native: str, compressed: str
) -> None:
    """PS3.11 annex D: STD-GEN-CD has Explicit VR Little Endian alone. The directory says what each file has."""
    image, j2k = mr(), (shared_data / "MR2_J2KR.dcm").read_bytes()
    fill(archive, part10(image, ImplicitVRLittleEndian), j2k)
    assert exported(archive, folder(tmp_path / "medium", form), form).complete
    found = {}
    for path in (tmp_path / "medium" / "DICOM").rglob("I*"):
        one = dcmread(path)
        found[one.SOPInstanceUID] = one.file_meta.TransferSyntaxUID
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    (other,) = set(found) - {image.SOPInstanceUID}
    assert (found[image.SOPInstanceUID], found[other]) == (native, compressed)
    records = dcmread(tmp_path / "medium" / "DICOMDIR").DirectoryRecordSequence
    said = {
        one.ReferencedSOPInstanceUIDInFile: one.ReferencedTransferSyntaxUIDInFile
        for one in records
        if "ReferencedFileID" in one
    }
    assert said == found


def test_what_cannot_be_decoded_goes_as_it_is_stored(archive: Archive, tmp_path: Path) -> None:
    """A broken codestream is found when it is decoded, and there is no decoder for video at all. Neither is left out,
    and both are told."""
    broken = mr(PixelData=encapsulate([b"\xff\x4f\xff\x51" + bytes(500)]))
    video = secondary_capture(PixelData=encapsulate([bytes(1000)]))
    fill(archive, part10(broken, JPEG2000Lossless), part10(video, MPEG4HP41), mr())
    target = folder(tmp_path / "medium")
    result = exported(archive, target)
    assert (result.complete, result.files) == (True, 3)
    assert dict(result.as_stored) == {str(JPEG2000Lossless): 1, str(MPEG4HP41): 1}
    assert "As stored, for want of a decoder: 1 in JPEG 2000" in summary(result, target, None)


def test_file_meta_information_that_named_another_instance(archive: Archive, tmp_path: Path) -> None:
    """PS3.10 7.1: as with anonymised files. On a medium it names what the data set is."""
    image = mr()
    file = part10(image)
    stale = file.replace(image.SOPInstanceUID.encode(), image.SOPInstanceUID[:-1].encode() + b"\0", 1)
    assert dcmread(BytesIO(stale)).file_meta.MediaStorageSOPInstanceUID != image.SOPInstanceUID
    fill(archive, stale)
    exported(archive, folder(tmp_path / "medium", Form.STORED), Form.STORED)
    (path,) = (tmp_path / "medium" / "DICOM").rglob("I*")
    assert dcmread(path).file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
