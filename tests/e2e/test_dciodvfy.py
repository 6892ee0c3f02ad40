"""Every object that we emit after transcoding or coercion passes dciodvfy (Debian's dicom3tools) with no error that the
stored original did not have."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from archive.bootstrap import building
from archive.bootstrap.building import Archive
from archive.config import load
from archive.dicom import part10
from archive.dicom.errors import InstanceConflict, NotAcceptable
from archive.dicom.instance import Scope, Source, StoredInstance
from archive.dicom.patient_key import PatientKey
from dicom_files import every_file, identify
from objects import ct
from objects import part10 as file_of
from refused_files import REFUSED
from suites.sqlite import prepare

FORMS = {
    ExplicitVRLittleEndian: "explicit",
    ImplicitVRLittleEndian: "implicit",
    JPEG2000Lossless: "jpeg2000",
    JPEGLSLossless: "jpegls",
    JPEGLosslessSV1: "jpeg",
    RLELossless: "rle",
}
FILES = [path for path in every_file() if path.name not in REFUSED and path.stat().st_size < 1 << 20]
SENDER = Source("DIMSE", calling_ae_title="SCANNER")


UNREADABLE = "Error - Dicom dataset read failed"
KNOWN = {
    "parametric_map_float.dcm": "in implicit VR without Pixel Representation it cannot tell US from SS, nor go on",
    "parametric_map_double_float.dcm": "the same",
    "examples_ybr_color.dcm": "ultrasound in JPEG with shared chroma, which has no name in those IODs once each pixel "
    "has its own (PS3.3 C.8.5.6.1.2); to convert it to RGB would round",
}
"""What has an error in another form for a reason that lies in that form, and not in how it was made."""


def errors(path: Path) -> set[str] | None:
    """What dciodvfy calls an error; None where it breaks down, as for pixel cells of 32 bits."""
    done = subprocess.run(["dciodvfy", path], capture_output=True, check=False, timeout=60)
    lines = done.stderr.decode("latin-1").splitlines()
    return None if done.returncode < 0 else {line for line in lines if line.startswith("Error")}


def checked(original: Path, emitted: Path) -> set[str]:
    """The errors that are only in what we emitted. Of a deflated original it reads nothing."""
    before, after = errors(original), errors(emitted)
    if before is None or after is None or UNREADABLE in before or original.name in KNOWN:
        return set()
    return after - before


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    """An archive, with the coercion of the test's choice."""
    archives = []

    def begin(**wanted: str) -> Archive:
        overrides = {"data": str(tmp_path / "data"), "storage.minimum_free_bytes": 0, "coercion": wanted}
        settings = load(environment={}, overrides=overrides)
        prepare(settings)
        archives.append(building.build(settings))
        return archives[-1]

    yield begin
    for archive in archives:
        archive.close()


def store(archive: Archive, path: Path) -> StoredInstance:
    """As an import does."""
    with archive.ingest.part10(SENDER) as reception:
        reception.write(path.read_bytes())
        receipt = reception.finish()
    return archive.retrieve.instance(Scope(sop_instance_uids=(receipt.SOPInstanceUID,)))


def emitted(archive: Archive, instance: StoredInstance, uid: str, path: Path) -> Path:
    """The object as it leaves us in this transfer syntax, in a file."""
    with archive.delivery.data_set(instance, uid) as pieces:
        path.write_bytes(
            part10.file_meta(instance.SOPClassUID, instance.SOPInstanceUID, uid) + b"".join(pieces)
        )
    return path


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_no_form_has_an_error_that_the_original_lacks(
    opened: Callable[..., Archive], path: Path, tmp_path: Path, dicom3tools: None
) -> None:
    archive = opened()
    instance = store(archive, path)
    for uid, name in FORMS.items():
        try:
            file = emitted(archive, instance, uid, tmp_path / f"{name}.dcm")
        except NotAcceptable:
            continue  # how many these are is held in test_conversion
        assert checked(path, file) == set(), name


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_no_coerced_object_has_an_error_that_the_original_lacks(
    opened: Callable[..., Archive], path: Path, tmp_path: Path, dicom3tools: None
) -> None:
    """Coerced, and then sent in another form as well. The attributes are of a module that every object has: one of
    another would make all that is mandatory in it due."""
    archive = opened(PatientComments="Coerced", IssuerOfPatientID="HERE")
    instance = store(archive, path)
    assert instance.received_sha256
    for uid in dict.fromkeys((instance.transfer_syntax_uid, ExplicitVRLittleEndian, JPEG2000Lossless)):
        try:
            file = emitted(archive, instance, uid, tmp_path / "coerced.dcm")
        except NotAcceptable:
            continue
        assert checked(path, file) == set(), uid


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what devices have written
def test_no_corrected_object_has_an_error_that_the_original_lacks(
    opened: Callable[..., Archive], tmp_path: Path, dicom3tools: None
) -> None:
    """Every study becomes another patient's; of all that can be corrected nothing else is in what they say of it."""
    archive, files = opened(), dict[str, Path]()
    for path in FILES:
        with suppress(InstanceConflict):  # the same instance in another file
            files[store(archive, path).SOPInstanceUID] = path
    target = PatientKey("CORRECTED", "HERE")
    for uid in {instance.StudyInstanceUID for instance in archive.retrieve.instances(Scope())}:
        archive.corrections.move_study(uid, target, {"PatientName": "Müller^Jörg", "PatientSex": "F"}, "test")
    for _ in archive.corrections.work(archive.corrections.last()[0].id):
        pass
    assert {one.failure for one in archive.corrections.last()} == {""}
    for uid, path in files.items():
        instance = archive.retrieve.instance(Scope(sop_instance_uids=(uid,)))
        with archive.retrieve.open(instance) as blob:
            (tmp_path / "corrected.dcm").write_bytes(blob.read(0, blob.length))
        assert checked(path, tmp_path / "corrected.dcm") == set(), path.name
        before, after = dcmread(path, force=True), dcmread(tmp_path / "corrected.dcm")
        assert (str(after.PatientName), after.PatientID) == ("Müller^Jörg", "CORRECTED"), path.name
        for one in before:
            if one.tag.group != 0x0010 and one.tag not in TOUCHED and one.tag.element:
                assert str(after[one.tag]) == str(one), (path.name, one.tag)


TOUCHED = (0x00080005, 0x00081120, 0x04000561)
"""The character set, what refers to the former patient, and the Original Attributes Sequence."""


def test_dciodvfy_finds_errors(tmp_path: Path, dicom3tools: None) -> None:
    """The tests above would hold if it found none at all."""
    found = {path.name: errors(path) for path in FILES[:40]}
    assert any(found.values())
    broken = ct()
    del broken.RescaleSlope
    (tmp_path / "broken.dcm").write_bytes(file_of(broken))
    assert any("RescaleSlope" in error for error in errors(tmp_path / "broken.dcm") or ())
    assert sum(one is None for one in found.values()) < 10
