"""De-identified copies of stored objects in every encoding: the same pixels, no patient, and no less conformant."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from archive.bootstrap.building import Archive, build
from archive.config import load
from archive.dicom.deidentifying.actions import Options
from archive.dicom.instance import Scope, Source
from archive.security.shares import Deidentified
from objects import ct, mr, part10
from suites.sqlite import prepare

CANARY = "CANARY"
EVERY = Options(modified_dates=True, patient_characteristics=True, device_identity=True)
SYNTAXES = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
)  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    overrides = {"data": str(tmp_path / "data"), "storage.minimum_free_bytes": 0}
    settings = load(environment={}, overrides=overrides)
    prepare(settings)
    opened = build(settings)
    yield opened
    opened.close()


def copied(
    archive: Archive, data_set: Dataset, syntax: str, options: Options, tmp_path: Path
) -> tuple[Path, Path]:
    """The original and its copy, as files."""
    original = tmp_path / "original.dcm"
    if syntax == RLELossless:
        plain = pydicom.dcmread(io.BytesIO(part10(data_set)))
        plain.compress(RLELossless, generate_instance_uid=False)
        plain.save_as(original)
    else:
        original.write_bytes(part10(data_set, syntax))
    with archive.ingest.part10(Source("IMPORT")) as reception:
        reception.write(original.read_bytes())
        reception.finish()
    how = Deidentified.new(options)
    studies = (str(data_set.StudyInstanceUID),)
    assert archive.rooms.make(archive.retrieve, studies, how) == []
    room = archive.rooms.room(how, studies, archive.retrieve)
    with room.database.read() as connection:
        from archive.index import instances

        (one,) = instances.instances(connection, Scope())
    copy = tmp_path / "copy.dcm"
    with room.store.open(one.blob_key) as blob:
        copy.write_bytes(blob.read(0, blob.length))
    return original, copy


def errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", path], capture_output=True, check=False, timeout=60)
    return {line for line in done.stderr.decode("latin-1").splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name.replace(" ", ""))
@pytest.mark.parametrize("options", [Options(), EVERY], ids=["basic", "all options"])
@pytest.mark.parametrize("make", [ct, mr])
def test_every_encoding(
    archive: Archive, tmp_path: Path, make: object, options: Options, syntax: str
) -> None:
    """Compressed frames are byte for byte the same, native pixels are the same numbers, and dciodvfy finds nothing that
    it did not find in the original."""
    data_set = make(  # type: ignore[operator]
        PatientID=f"{CANARY}1", PatientName=f"{CANARY}^X", PatientBirthDate="19870615", StudyID="1",
        StudyDate="20200615", StudyTime="061504", InstitutionName=CANARY, PatientSex="O", PatientAge="033Y",
    )  # fmt: skip
    original, copy = copied(archive, data_set, syntax, options, tmp_path)
    raw = copy.read_bytes()
    for said in (CANARY, "19870615", "20200615", data_set.SOPInstanceUID, data_set.SeriesInstanceUID):
        assert str(said).encode() not in raw
    was, now = pydicom.dcmread(original), pydicom.dcmread(copy)
    assert np.array_equal(was.pixel_array, now.pixel_array)
    if syntax == RLELossless:
        assert was.PixelData == now.PixelData
        assert now.file_meta.TransferSyntaxUID == RLELossless
    else:
        assert now.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert now.get("PatientAge", "") == ("033Y" if options.patient_characteristics else "")
    assert bool(now.StudyDate) is options.modified_dates
    if syntax != DeflatedExplicitVRLittleEndian:
        assert not errors(copy) - errors(original)
