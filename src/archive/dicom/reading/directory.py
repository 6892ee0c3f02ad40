"""What a DICOMDIR says is on its medium: the files that its records refer to (PS3.3 F.3).

Read record by record in the order in which they stand, whatever their offsets say: those are wrong on media that were
copied or edited, and each record that refers to a file tells what the file is. Records that are not in use are passed
over. Nothing but the names and UIDs is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from archive.dicom.dictionary import PLAIN
from archive.dicom.errors import CannotUnderstand, NotDicom
from archive.dicom.part10 import FileMetaReader
from archive.dicom.reading.listener import Nobody
from archive.dicom.reading.structure import Structure
from archive.dicom.sop_classes import MEDIA_STORAGE_DIRECTORY
from archive.dicom.transfer_syntaxes import transfer_syntax

MOST_FILES = 2_000_000
"""A larger directory is no medium's."""

_RECORDS = 0x00041220
_IN_USE, _FILE_ID, _CLASS, _INSTANCE = 0x00041410, 0x00041500, 0x00041510, 0x00041511
_KEPT = frozenset((_IN_USE, _FILE_ID, _CLASS, _INSTANCE))
_NOT_IN_USE = b"\0\0"
_VERSION = re.compile(r";[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that a directory names, by the components of its File ID; its UIDs are empty where they are not said."""

    file_id: tuple[str, ...]
    SOPClassUID: str
    SOPInstanceUID: str

    @property
    def leads_out(self) -> bool:
        """Whether its File ID is a way out of the medium. None can be: nobody means well with that."""
        return ".." in self.file_id


def plain_name(name: str) -> str:
    """A name of a file or folder as media are compared by: file systems of CDs show names in either case, with a
    version (`IM1;1`) or a dot at the end (ISO 9660 7.5), or without."""
    return _VERSION.sub("", name).rstrip(".").upper()


def is_directory_name(name: str) -> bool:
    """Whether a file of this name is to be the directory of a file-set (PS3.10 8.6)."""
    return plain_name(name) == "DICOMDIR"


class DirectoryReader:
    """Takes a DICOMDIR in pieces of any size."""

    def __init__(self) -> None:
        self._meta: FileMetaReader | None = FileMetaReader()
        self._records = _Records()
        self._structure: Structure | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece. Raises NotDicom, and CannotUnderstand for what is DICOM and no directory."""
        if self._meta is not None:
            if not self._meta.feed(piece):
                return
            piece = self._begin(self._meta)
        assert self._structure is not None
        self._structure.feed(piece)

    def finish(self) -> list[Listed]:
        """The files that it names. Raises as `feed` does."""
        if self._structure is None:
            raise NotDicom("no DICOMDIR: it ends before its first record")
        self._structure.finish()
        if not self._records.seen:
            raise CannotUnderstand("no DICOMDIR: it has no Directory Record Sequence")
        return self._records.listed

    def _begin(self, reader: FileMetaReader) -> bytes:
        meta, rest = reader.meta, reader.rest
        self._meta = None
        if meta.MediaStorageSOPClassUID not in ("", MEDIA_STORAGE_DIRECTORY):
            raise CannotUnderstand("no DICOMDIR: an object of another SOP class")
        syntax = transfer_syntax(meta.transfer_syntax_uid)
        if syntax.deflated:
            raise CannotUnderstand("a DICOMDIR that is deflated, which PS3.10 8.6 does not allow")
        self._structure = Structure(self._records, implicit=syntax.implicit, big_endian=syntax.big_endian)
        return rest


class _Records(Nobody):
    """Hears the records, which are the items of the one sequence; sequences within them say nothing of files."""

    def __init__(self) -> None:
        self.listed: list[Listed] = []
        self.seen = False
        self._sequences: list[int] = []
        self._record: dict[int, bytes] = {}

    def resolve(self, tag: int, vr: str, /) -> str:
        return "SQ" if tag == _RECORDS else vr or PLAIN.get(tag, "UN")

    @property
    def _at_record(self) -> bool:
        return self._sequences == [_RECORDS]

    def element(self, tag: int, _vr: str, raw: bytes, _big_endian: bool) -> None:
        if tag in _KEPT and self._at_record:
            self._record[tag] = raw

    def begin_sequence(self, tag: int) -> None:
        self._sequences.append(tag)
        self.seen |= self._sequences == [_RECORDS]

    def end_sequence(self) -> None:
        self._sequences.pop()

    def begin_item(self) -> None:
        if self._at_record:
            self._record = {}

    def end_item(self) -> None:
        if not self._at_record or self._record.get(_IN_USE) == _NOT_IN_USE:
            return
        parts = (part.strip(" ") for part in re.split(r"[\\/]", self._text(_FILE_ID)))
        names = tuple(part for part in parts if part not in ("", "."))
        if not names:
            return
        if len(self.listed) == MOST_FILES:
            raise CannotUnderstand(
                f"a DICOMDIR of more than {MOST_FILES} files: import the folders one by one"
            )
        self.listed.append(Listed(names, self._text(_CLASS), self._text(_INSTANCE)))

    def _text(self, tag: int) -> str:
        return self._record.get(tag, b"").decode("latin-1").strip("\0 ")
