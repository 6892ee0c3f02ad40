"""A DICOMDIR: the Basic Directory of a file-set (PS3.3 annex F, PS3.10 chapter 8), for what leaves on media or as a
zip file.

Built from the metadata of the instances. Only the encoded keys of each record are kept until the end, a few hundred
bytes, as a record holds the offsets of others; the file comes out in pieces.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID
from archive.dicom.part10 import file_meta
from archive.dicom.sop_classes import MEDIA_STORAGE_DIRECTORY
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from archive.dicom.writing.directory_records import KEYS, PRIVATE, DataSet, element, record_type
from archive.dicom.writing.encoder import encode_element

FILE_NAME = "DICOMDIR"
"""PS3.10 8.6."""

PRIVATE_RECORD_UID = f"{IMPLEMENTATION_CLASS_UID}.1"
"""Of the records of instances whose SOP class has no record type."""

_LEVELS = (("STUDY", "0020000D"), ("SERIES", "0020000E"))
_PATIENT_ID, _ISSUER = "00100020", "00100021"
_NAME, _BIRTH_DATE = "00100010", "00100030"
_UTF_8 = ("ISO_IR 192",)
_IN_USE = 0xFFFF
_FIXED_BYTES = 34
"""The two offsets and the flag, which come before the rest of a record."""


@dataclass(slots=True)
class _Record:
    """A record and those below it; `rest` is what follows the offsets."""

    rest: bytes
    children: dict[str, _Record] = field(default_factory=dict)
    offset: int = 0

    @property
    def length(self) -> int:
        return 8 + _FIXED_BYTES + len(self.rest)


@dataclass(frozen=True, slots=True)
class ReferencedFile:
    """An instance as it lies in the file-set: the components of its File ID, at most eight of at most eight characters
    A-Z, 0-9 and _ (PS3.10 8.2, 8.5), and the transfer syntax that the file has."""

    file_id: tuple[str, ...]
    SOPClassUID: str
    SOPInstanceUID: str
    transfer_syntax_uid: str


class Directory:
    """A file-set's directory while it is being filled."""

    def __init__(self, file_set_id: str = "") -> None:
        self._file_set_id = file_set_id
        self._root = _Record(b"")
        self._patients: dict[str, str] = {}

    @property
    def patients(self) -> int:
        """How many there are."""
        return len(self._root.children)

    def add(self, data_set: DataSet, file: ReferencedFile) -> None:
        """One more instance, with its metadata in the DICOM JSON Model."""
        above = self._below(self._root, "PATIENT", self._patient(data_set), data_set)
        for kind, tag in _LEVELS:
            above = self._below(above, kind, _first(data_set, tag), data_set)
        kind = record_type(data_set, file.SOPClassUID)
        number = len(above.children) + 1
        above.children[file.SOPInstanceUID] = _Record(_rest(kind, data_set, number, file))

    def _patient(self, data_set: DataSet) -> str:
        """Whose study this is: who the first of its instances says, by ID and issuer, as in the archive. Nobody without
        an ID is taken for somebody else of whom no more is known."""
        study = _first(data_set, "0020000D")
        if study not in self._patients:
            tags = (_PATIENT_ID, _ISSUER) if _first(data_set, _PATIENT_ID) else (_NAME, _BIRTH_DATE)
            values = [_first(data_set, tag) for tag in tags]
            self._patients[study] = repr((tags, values if values[0] else study))
        return self._patients[study]

    @staticmethod
    def _below(above: _Record, kind: str, name: str, data_set: DataSet) -> _Record:
        if name not in above.children:
            above.children[name] = _Record(_rest(kind, data_set, len(above.children) + 1))
        return above.children[name]

    def encoded(self) -> tuple[int, Iterator[bytes]]:
        """The PS3.10 file: its length, and its pieces."""
        digest = hashlib.sha256()
        for record in _all(self._root):
            digest.update(record.rest)
        uid = f"2.25.{int.from_bytes(digest.digest()[:16], 'big')}"
        meta = file_meta(MEDIA_STORAGE_DIRECTORY, uid, EXPLICIT_VR_LITTLE_ENDIAN)
        first = len(meta) + len(self._file_set(0, 0, 0))
        end = first
        for record in _all(self._root):
            record.offset = end
            end += record.length
        offsets = [record.offset for record in self._root.children.values()] or [0]
        return end, self._pieces(meta + self._file_set(offsets[0], offsets[-1], end - first))

    def _file_set(self, first: int, last: int, length: int) -> bytes:
        """What stands before the records, which take `length` bytes."""
        elements: Mapping[int, Mapping[str, Any]] = {
            0x00041130: {"vr": "CS", "Value": [self._file_set_id] if self._file_set_id else []},
            0x00041200: {"vr": "UL", "Value": [first]},
            0x00041202: {"vr": "UL", "Value": [last]},
            0x00041212: {"vr": "US", "Value": [0]},
        }
        before = b"".join(_encode(tag, value) for tag, value in elements.items())
        return before + struct.pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, length)

    def _pieces(self, head: bytes) -> Iterator[bytes]:
        yield head
        for siblings in _generations(self._root):
            following = [record.offset for record in siblings[1:]] + [0]
            for record, next_offset in zip(siblings, following, strict=True):
                yield _encoded_record(record, next_offset)


def _all(root: _Record) -> Iterator[_Record]:
    for siblings in _generations(root):
        yield from siblings


def _generations(root: _Record) -> Iterator[list[_Record]]:
    """Sibling by sibling, each entity as a whole: no record lies between two that are next to each other."""
    above = [root]
    while above:
        below: list[_Record] = []
        for record in above:
            if record.children:
                siblings = list(record.children.values())
                yield siblings
                below += siblings
        above = below


def _encoded_record(record: _Record, next_offset: int) -> bytes:
    lower = next(iter(record.children.values())).offset if record.children else 0
    item = struct.pack("<HHI", 0xFFFE, 0xE000, record.length - 8)
    offsets = (
        struct.pack("<HH2sHI", 0x0004, 0x1400, b"UL", 4, next_offset),
        struct.pack("<HH2sHH", 0x0004, 0x1410, b"US", 2, _IN_USE),
        struct.pack("<HH2sHI", 0x0004, 0x1420, b"UL", 4, lower),
    )
    return item + b"".join(offsets) + record.rest


def _rest(kind: str, data_set: DataSet, number: int, file: ReferencedFile | None = None) -> bytes:
    elements: dict[int, Mapping[str, Any]] = {0x00041430: {"vr": "CS", "Value": [kind]}}
    if kind == PRIVATE:
        elements[0x00041432] = {"vr": "UI", "Value": [PRIVATE_RECORD_UID]}
    if file is not None:
        elements[0x00041500] = {"vr": "CS", "Value": list(file.file_id)}
        elements[0x00041510] = {"vr": "UI", "Value": [file.SOPClassUID]}
        elements[0x00041511] = {"vr": "UI", "Value": [file.SOPInstanceUID]}
        elements[0x00041512] = {"vr": "UI", "Value": [file.transfer_syntax_uid]}
    before = b"".join(_encode(tag, value) for tag, value in elements.items())
    found = ((key.tag, element(data_set, key, number)) for key in KEYS[kind])
    keys = b"".join(_encode(tag, value) for tag, value in found if value is not None)
    charset = b"" if keys.isascii() else _encode(0x00080005, {"vr": "CS", "Value": list(_UTF_8)})
    return before + charset + keys


def _encode(tag: int, value: Mapping[str, Any]) -> bytes:
    return encode_element(tag, value, implicit=False, specific_character_set=_UTF_8)


def _first(data_set: DataSet, tag: str) -> str:
    values: Iterable[Any] = data_set.get(tag, {}).get("Value") or ()
    return str(next(iter(values), ""))
