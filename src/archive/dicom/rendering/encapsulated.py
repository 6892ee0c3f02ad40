"""Encapsulated documents and videos as they are stored, and under which media type they may go out (PS3.3 C.24.2,
PS3.5 8.2.5 to 8.2.8, PS3.18 Table 8.7.4-1).

What an object says of its document is a stranger's word: only types of this table go out, never one that a browser
would run as a page of ours. A video goes out as what its first bytes are, as DICOM allows several containers for one
transfer syntax and players trust the media type.
"""

from __future__ import annotations

from archive.dicom.metadata_values import Metadata, integer, text
from archive.dicom.transfer_syntaxes import TransferSyntax

ENCAPSULATED_DOCUMENT, MIME_TYPE, DOCUMENT_LENGTH = "00420011", "00420012", "00420015"

_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_CDA = "1.2.840.10008.5.1.4.1.1.104.2"
_BY_SOP_CLASS = {
    _PDF: "application/pdf",
    _CDA: "text/xml",
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}
_SYNONYMS = {
    "application/xml": "text/xml",
    "application/x-pdf": "application/pdf",
    "application/sla": "model/stl",
}
DOCUMENT_TYPES = {
    "application/pdf": "pdf",
    "text/xml": "xml",
    "model/stl": "stl",
    "model/obj": "obj",
    "model/mtl": "mtl",
}
"""All media types of documents that go out, and how the names of their files end."""

SNIFFED = 4096
"""So many of a video's first bytes decide what it is."""


def document_type(sop_class: str, metadata: Metadata) -> str:
    """The media type of the document in this object; empty when it is none of `DOCUMENT_TYPES`."""
    said = text(metadata, MIME_TYPE).partition(";")[0].strip().lower()
    found = _SYNONYMS.get(said, said)
    if not found:
        return _BY_SOP_CLASS.get(sop_class, "")
    return found if found in DOCUMENT_TYPES else ""


def document_length(metadata: Metadata, stored: int) -> int:
    """Bytes of the document without the padding byte that makes its value even."""
    said = integer(metadata, DOCUMENT_LENGTH, stored)
    return said if stored - 1 <= said <= stored else stored


def video_type(first: bytes, syntax: TransferSyntax) -> str:
    """The media type of a stored video by its first bytes: an MP4 file, an MPEG program, transport or elementary
    stream, or a bare H.264 or H.265 stream."""
    if first[4:8] in (b"ftyp", b"styp", b"moov"):
        return "video/mp4"
    if first[:1] == b"\x47" and first[188:189] in (b"\x47", b""):
        return "video/mp2t"
    if first[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"):
        return "video/mpeg"
    return {"video/mp4": "video/H264"}.get(syntax.media_type, syntax.media_type)
