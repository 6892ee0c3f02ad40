"""The PS3.10 file: preamble, prefix and File Meta Information, before the data set.

Read: pieces go in until the group 0002 has ended; what follows belongs to the data set. The end is where the
next six bytes are no longer a group 0002 element in explicit VR: that holds for files whose group length is
absent or wrong, which exist, and for deflated data sets. The preamble is zeroed unless a site wants otherwise, as it
may hold a program (PS3.10 7.5, CVE-2019-11687).

The Transfer Syntax UID goes from here into the index and into header lines of HTTP, so only a UID passes for one.

Written: the same, for objects that came by C-STORE without it.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

from archive.dicom.errors import CannotUnderstand, InvalidUID, NotDicom
from archive.dicom.identifiers import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, check_uid

MAXIMUM_LENGTH = 65536
PREAMBLE_BYTES = 128
_PREFIX = bytes(PREAMBLE_BYTES) + b"DICM"
_LONG_FORM = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010


_CONTENTS = {
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"MZ": "a Windows program",
    b"\x7fELF": "a Linux program",
    b"%PDF": "PDF",
    b"#!": "a script",
}
"""How a preamble begins that makes the file something else as well. TIFF with a plus is BigTIFF."""


def preamble_contents(preamble: bytes) -> str:
    """What a preamble makes of the file, besides DICOM: a value of the table above, `unknown`, or empty for zeros."""
    if not preamble.strip(b"\0"):
        return ""
    return next((what for first, what in _CONTENTS.items() if preamble.startswith(first)), "unknown")


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the File Meta Information says. `header` is all before the data set, with the preamble zeroed, and
    `preamble` what was there; the two Media Storage UIDs are empty when the file does not have them, or something else
    in their place."""

    transfer_syntax_uid: str
    MediaStorageSOPClassUID: str
    MediaStorageSOPInstanceUID: str
    header: bytes
    preamble: bytes = bytes(PREAMBLE_BYTES)

    @property
    def length(self) -> int:
        """Bytes before the data set."""
        return len(self.header)

    def header_under(self, policy: str) -> bytes:
        """All before the data set as a site wants it: one of `settings.PREAMBLES`. Raises CannotUnderstand for what is
        refused."""
        contents = preamble_contents(self.preamble)
        if policy == "reject" and contents:
            raise CannotUnderstand(
                f"the preamble of the file is not zeros ({contents}), which this site refuses"
            )
        if policy == "keep-tiff" and contents == "TIFF":
            return self.preamble + self.header[PREAMBLE_BYTES:]
        return self.header


class FileMetaReader:
    """Takes the beginning of a PS3.10 file in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = len(_PREFIX)
        self._uids: dict[int, str] = {}
        self._meta: FileMeta | None = None

    def feed(self, piece: bytes | bytearray | memoryview) -> bool:
        """Take the next piece; True once the File Meta Information is complete. Then `meta` is it, `rest` the
        bytes after it, and nothing more is to be fed. Raises NotDicom and CannotUnderstand as soon as that is
        known."""
        self._buffer += piece
        self._check_prefix()
        while self._meta is None and self._position + 6 <= len(self._buffer):
            if not self._at_group_2():
                self._meta = self._complete()
            elif not self._take_element():
                break
        if self._meta is None and len(self._buffer) > MAXIMUM_LENGTH:
            raise CannotUnderstand(f"the File Meta Information does not end within {MAXIMUM_LENGTH} bytes")
        return self._meta is not None

    @property
    def meta(self) -> FileMeta:
        """Raises NotDicom or CannotUnderstand if the file ended before its File Meta Information did."""
        if self._meta is None:
            if len(self._buffer) < len(_PREFIX):
                raise NotDicom("too short for a PS3.10 file: no prefix DICM at byte 128")
            raise CannotUnderstand("the file ends within the File Meta Information")
        return self._meta

    @property
    def rest(self) -> bytes:
        """The first bytes of the data set, as far as they were fed."""
        return bytes(self._buffer[self._position :])

    def _check_prefix(self) -> None:
        prefix = self._buffer[128:132]
        if prefix != b"DICM"[: len(prefix)]:
            raise NotDicom("no PS3.10 file: the prefix DICM is missing at byte 128")

    def _at_group_2(self) -> bool:
        start = self._position
        vr = self._buffer[start + 4 : start + 6]
        return self._buffer[start : start + 2] == b"\x02\x00" and vr.isalpha() and vr.isupper()

    def _take_element(self) -> bool:
        start, buffer = self._position, self._buffer
        header = 12 if bytes(buffer[start + 4 : start + 6]) in _LONG_FORM else 8
        if start + header > len(buffer):
            return False
        number = struct.unpack_from("<H", buffer, start + 2)[0]
        length = struct.unpack_from(
            "<I" if header == 12 else "<H", buffer, start + (8 if header == 12 else 6)
        )[0]
        end = start + header + length
        if end > MAXIMUM_LENGTH:
            raise CannotUnderstand(
                f"(0002,{number:04X}) declares {length} bytes: too long for File Meta Information"
            )
        if end > len(buffer):
            return False
        if number in (_CLASS, _INSTANCE, _SYNTAX):
            self._uids[number] = buffer[start + header : end].decode("latin-1").strip("\0 ")
        self._position = end
        return True

    def _complete(self) -> FileMeta:
        if not self._uids.get(_SYNTAX):
            raise CannotUnderstand("the File Meta Information names no Transfer Syntax UID (0002,0010)")
        transfer_syntax_uid = self._uid(_SYNTAX)
        if not transfer_syntax_uid:
            raise CannotUnderstand("the Transfer Syntax UID (0002,0010) of the file is no UID (PS3.5 9.1)")
        header = _PREFIX + bytes(self._buffer[len(_PREFIX) : self._position])
        preamble = bytes(self._buffer[:PREAMBLE_BYTES])
        return FileMeta(transfer_syntax_uid, self._uid(_CLASS), self._uid(_INSTANCE), header, preamble)

    def _uid(self, number: int) -> str:
        """The UID that the file gives, or nothing."""
        try:
            return check_uid(self._uids.get(number, ""), 0x00020000 | number)
        except InvalidUID:
            return ""


def file_meta(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    calling_ae_title: str = "",
    called_ae_title: str = "",
) -> bytes:
    """Preamble, prefix and File Meta Information (PS3.10 7.1) for a data set that came without them."""
    before, after = _unchanging(sop_class_uid, transfer_syntax_uid, calling_ae_title, called_ae_title)
    elements = before + _uid(_INSTANCE, sop_instance_uid) + after
    return _PREFIX + _element(0x0000, b"UL", struct.pack("<I", len(elements))) + elements


@functools.lru_cache(maxsize=64)
def _unchanging(
    sop_class_uid: str, transfer_syntax_uid: str, calling: str, called: str
) -> tuple[bytes, bytes]:
    """What stands before and after the SOP Instance UID: the same for all that one sender sends of one kind."""
    before = _element(0x0001, b"OB", b"\x00\x01") + _uid(_CLASS, sop_class_uid)
    after = (
        _uid(_SYNTAX, transfer_syntax_uid),
        _uid(0x0012, IMPLEMENTATION_CLASS_UID),
        _title(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
        _title(0x0016, b"AE", calling),
        _title(0x0018, b"AE", called),
    )
    return before, b"".join(after)


def _uid(number: int, value: str) -> bytes:
    raw = value.encode("ascii")
    return _element(number, b"UI", raw + b"\0" * (len(raw) % 2))


def _title(number: int, vr: bytes, value: str) -> bytes:
    raw = value.encode("ascii", "replace")
    return _element(number, vr, raw + b" " * (len(raw) % 2)) if raw else b""


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG_FORM:
        return struct.pack("<HH2sHI", 2, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value
