"""Real DICOM files as the tests need them: who they are, and which can be stored beside each other."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from objects import data_set_bytes

IDENTITY = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"]


@dataclass(frozen=True)
class File:
    """A PS3.10 file that names its object."""

    path: Path
    SOPClassUID: str
    SOPInstanceUID: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    PatientID: str
    transfer_syntax_uid: str

    @property
    def data_set(self) -> bytes:
        """The encoded data set, byte for byte."""
        return data_set_bytes(self.path.read_bytes())


def files(folder: Path) -> list[File]:
    """Every file below `folder` that pydicom can name, in the order of their names."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [file for path in paths if (file := _file(path)) is not None]


def _file(path: Path) -> File | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data_set = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=IDENTITY)
        except (InvalidDicomError, EOFError, OSError):
            return None
        transfer_syntax_uid = data_set.file_meta.get("TransferSyntaxUID")
        values = {keyword: str(data_set.get(keyword) or "") for keyword in IDENTITY}
    if transfer_syntax_uid is None or not all(values[keyword] for keyword in IDENTITY[:4]):
        return None
    return File(path, **values, transfer_syntax_uid=str(transfer_syntax_uid))


def rarest_first(several: Sequence[File]) -> list[File]:
    """Those whose transfer syntax is rare among them before the others, so that `compatible` keeps them."""
    times = Counter(file.transfer_syntax_uid for file in several)
    return sorted(several, key=lambda file: (times[file.transfer_syntax_uid], file.path))


def compatible(several: Iterable[File]) -> Iterator[File]:
    """Leaves out a file that contradicts one before it: a SOP Instance UID again, a series in two studies, a
    study of two patients. An archive must refuse those, which has tests of its own."""
    taken: dict[tuple[str, str], str] = {}
    for file in several:
        claims = {
            ("instance", file.SOPInstanceUID): str(file.path),
            ("series", file.SeriesInstanceUID): file.StudyInstanceUID,
            ("study", file.StudyInstanceUID): file.PatientID,
        }
        if all(taken.get(key, value) == value for key, value in claims.items()):
            taken.update(claims)
            yield file
