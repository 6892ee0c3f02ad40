"""An encoded object with open places: filling them in takes microseconds, where encoding it took milliseconds.

A million different objects are wanted, each with a header as long as a scanner writes. pydicom encodes it once;
the attributes that differ (slots) stay open. They are top level elements of Explicit VR Little Endian, so each can
have its own length and nothing else has to change.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

IMPLEMENTATION_CLASS_UID = "2.25.208821474912054"
_LONG = {"OB", "OW", "SQ", "UN", "UT"}


@dataclass(frozen=True, slots=True)
class Slot:
    """An open place: the attribute that belongs there."""

    keyword: str


@dataclass(frozen=True, slots=True)
class Template:
    """Encoded pieces and open places, in the order of their tags; the pixel data come last."""

    SOPClassUID: str
    pieces: tuple[bytes | Slot, ...]

    def data_set(self, values: Mapping[str, str], pixels: bytes) -> bytes:
        """The encoded data set with these values and pixels."""
        header = [
            piece if isinstance(piece, bytes) else element(piece.keyword, values[piece.keyword])
            for piece in self.pieces
        ]
        return b"".join([*header, pixel_element(len(pixels)), pixels])

    def file(self, values: Mapping[str, str], pixels: bytes) -> bytes:
        """The same as a PS3.10 file."""
        return file_head(self.SOPClassUID, values["SOPInstanceUID"]) + self.data_set(values, pixels)


def template(data_set: Dataset, slots: Sequence[str]) -> Template:
    """A template of what the data set holds, without pixel data, and with these attributes open."""
    open_places = {tag_for_keyword(keyword): keyword for keyword in slots}
    pieces: list[bytes | Slot] = []
    run = Dataset()
    for tag in sorted({*data_set.keys(), *open_places}):
        if tag in open_places:
            pieces += [_encoded(run), Slot(open_places[tag])]
            run = Dataset()
        else:
            run.add(data_set[tag])
    return Template(str(data_set.SOPClassUID), tuple(piece for piece in [*pieces, _encoded(run)] if piece))


def _encoded(data_set: Dataset) -> bytes:
    buffer = BytesIO()
    writer = DicomIO(buffer)
    writer.is_little_endian, writer.is_implicit_VR = True, False
    write_dataset(writer, data_set)
    return bytes(buffer.getvalue())


def element(keyword: str, value: str) -> bytes:
    """One element with a text as value (PS3.5 7.1.2)."""
    vr = str(dictionary_VR(keyword))
    assert vr not in _LONG, keyword
    encoded = value.encode("latin-1")
    encoded += (b"\0" if vr == "UI" else b" ") * (len(encoded) % 2)
    return _tag(keyword) + vr.encode() + struct.pack("<H", len(encoded)) + encoded


def pixel_element(length: int) -> bytes:
    """The head of native Pixel Data of this many bytes."""
    return _tag("PixelData") + b"OW\0\0" + struct.pack("<I", length)


def _tag(keyword: str) -> bytes:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def file_head(SOPClassUID: str, SOPInstanceUID: str) -> bytes:
    """Preamble, prefix and File Meta Information (PS3.10 7.1)."""
    elements = [
        _tag("FileMetaInformationVersion") + b"OB\0\0" + struct.pack("<I", 2) + b"\0\1",
        element("MediaStorageSOPClassUID", SOPClassUID),
        element("MediaStorageSOPInstanceUID", SOPInstanceUID),
        element("TransferSyntaxUID", str(ExplicitVRLittleEndian)),
        element("ImplementationClassUID", IMPLEMENTATION_CLASS_UID),
    ]
    meta = b"".join(elements)
    group_length = _tag("FileMetaInformationGroupLength") + b"UL" + struct.pack("<HI", 4, len(meta))
    return bytes(128) + b"DICM" + group_length + meta
