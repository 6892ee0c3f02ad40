"""Files that a client sends, and what the archive has of them afterwards."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

import dicomweb
from archive_process import ArchiveServer
from in_process import in_folder
from objects import part10


def save(folder: Path, *data_sets: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> list[Path]:
    """PS3.10 files of these objects, named by their SOP Instance UIDs."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{data_set.SOPInstanceUID}.dcm" for data_set in data_sets]
    for path, data_set in zip(paths, data_sets, strict=True):
        path.write_bytes(part10(data_set, transfer_syntax_uid))
    return paths


def kept(server: ArchiveServer, data_set: Dataset) -> Dataset:
    """What the archive keeps of this object, as it is stored."""
    series = f"studies/{data_set.StudyInstanceUID}/series/{data_set.SeriesInstanceUID}"
    (whole,) = dicomweb.retrieve(f"{server.dicomweb_url}/{series}/instances/{data_set.SOPInstanceUID}")
    return dcmread(BytesIO(whole))


def instances_of(server: ArchiveServer, study: str) -> set[str]:
    """The SOP Instance UIDs of a study."""
    found = dicomweb.search(server.dicomweb_url, f"studies/{study}/instances", limit=5000)
    return {str(dicomweb.value(match, "00080018")) for match in found}


def uids(data_sets: list[Dataset]) -> set[str]:
    """Their SOP Instance UIDs."""
    return {str(data_set.SOPInstanceUID) for data_set in data_sets}


def add_ae_title(server: ArchiveServer, title: str, port: int, *options: str) -> None:
    """Make a destination known to a running archive."""
    added = in_folder(server.data, "ae", "add", title, "127.0.0.1", str(port), *options)
    assert added.code == 0, added.stderr
