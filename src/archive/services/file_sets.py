"""Instances as a file-set of PS3.10, for media and zip files: what each file is called, and the directory of them.

Names that every file system takes (PS3.10 8.2: components of at most eight capitals and digits, which ISO 9660 level 1
has as well): study, series and instance by number, in the order of the archive's answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from archive.dicom.instance import StoredInstance
from archive.dicom.writing.dicomdir import Directory, ReferencedFile
from archive.services.retrieve import Retrieve

FOLDER = "DICOM"
"""In which all instances of a file-set lie."""

FileID = tuple[str, ...]


class FileIDs:
    """Gives each instance its File ID, and none twice. Instances whose names are `known` from before keep them; others
    get the first names that are free, so that files which were written and not remembered are written over."""

    def __init__(self, known: Iterable[tuple[StoredInstance, FileID]] = ()) -> None:
        self._studies: dict[str, str] = {}
        self._series: dict[str, str] = {}
        self._known: dict[str, FileID] = {}
        self._last = dict.fromkeys("SRI", 0)
        self._taken: set[str] = set()
        for instance, file_id in known:
            _, study, series, name = file_id
            self._studies[instance.StudyInstanceUID] = study
            self._series[instance.SeriesInstanceUID] = series
            self._known[instance.SOPInstanceUID] = file_id
            self._taken |= {study, series, name}

    def of(self, instance: StoredInstance) -> FileID:
        """The File ID of an instance."""
        known = self._known.get(instance.SOPInstanceUID)
        if known is not None:
            return known
        study = self._folder(self._studies, instance.StudyInstanceUID, "S")
        series = self._folder(self._series, instance.SeriesInstanceUID, "R")
        return FOLDER, study, series, self._next("I", 7)

    def _folder(self, names: dict[str, str], uid: str, letter: str) -> str:
        if uid not in names:
            names[uid] = self._next(letter, 5)
        return names[uid]

    def _next(self, letter: str, digits: int) -> str:
        while True:
            self._last[letter] += 1
            name = f"{letter}{self._last[letter]:0{digits}d}"
            if name not in self._taken:
                return name


def directory(
    retrieve: Retrieve,
    stored: Sequence[StoredInstance],
    files: Iterable[ReferencedFile],
    file_set_id: str = "",
) -> Directory:
    """The directory of these instances, each with its file. Raises NotFound when one of them has gone meanwhile."""
    made = Directory(file_set_id)
    for text, file in zip(retrieve.metadata_of(stored, lambda _: ""), files, strict=True):
        made.add(orjson.loads(text), file)
    return made
