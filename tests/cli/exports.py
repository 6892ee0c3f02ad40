"""Exports of a test's own, of everything that an archive has."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset

from archive.bootstrap.building import Archive
from archive.cli.export import Selection, purpose, selected
from archive.cli.export_targets import FolderTarget, Target
from archive.cli.exporting import Export, Exported, Wanted
from archive.dicom.instance import Scope
from archive.services.media import Form, Media
from archive_here import fill
from objects import ct, mr, series

ALL = Selection(everything=True)


def exported(archive: Archive, target: Target, form: Form = Form.EXPLICIT, **options: object) -> Exported:
    """Everything, to there."""
    wanted = Wanted(selected(archive, ALL), form, **options)  # type: ignore[arg-type]
    return Export(archive.retrieve, Media(archive.retrieve, archive.delivery), target, wanted).run()


def folder(path: Path, form: Form = Form.EXPLICIT) -> FolderTarget:
    """A folder for everything."""
    return FolderTarget(path, purpose(ALL, form))


def study() -> list[Dataset]:
    """Two series of a patient."""
    slices = series(mr, 3)
    return slices + series(ct, 2, StudyInstanceUID=slices[0].StudyInstanceUID)


def files(medium: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {
        path.relative_to(medium).as_posix(): path.read_bytes() for path in medium.rglob("*") if path.is_file()
    }


def blob_of(archive: Archive, uid: str) -> Path:
    """Where an instance is stored."""
    stored = archive.retrieve.instance(Scope(sop_instance_uids=(uid,)))
    path = archive.settings.data / "objects" / stored.blob_key
    path.chmod(0o600)
    return path


def damaged(archive: Archive) -> tuple[list[Dataset], Path]:
    """A study with an instance in which a bit has turned over."""
    several = study()
    fill(archive, *several)
    blob = blob_of(archive, several[-1].SOPInstanceUID)
    raw = bytearray(blob.read_bytes())
    raw[-1] ^= 1
    blob.write_bytes(raw)
    return several, blob
