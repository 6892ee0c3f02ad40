"""The transfer syntaxes, one row each (PS3.6 table A-1, PS3.5 annex A).

Negotiation, the reader, WADO-RS media types and the conformance statement are derived from this table. A
transfer syntax that is not in it can be stored and passed on all the same: its data set is read as explicit
VR little endian, as PS3.5 A.4 requires of every encapsulated one.
"""

from __future__ import annotations

from dataclasses import dataclass

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax. `media_type` is that of its frames in DICOMweb (PS3.18 8.7.3.3.2); native frames
    are application/octet-stream. `lossy` says that encoding may lose something, not that it did."""

    uid: str
    name: str
    implicit: bool = False
    big_endian: bool = False
    encapsulated: bool = False
    deflated: bool = False
    media_type: str = "application/octet-stream"
    lossy: bool = False

    @property
    def video(self) -> bool:
        """One stream holds all frames; fragments do not divide them (PS3.5 A.4.5 and following)."""
        return self.media_type.startswith("video/")


def _encapsulated(uid: str, name: str, media_type: str, *, lossy: bool = False) -> TransferSyntax:
    return TransferSyntax(uid, name, encapsulated=True, media_type=media_type, lossy=lossy)


_JPEG, _JLS, _JP2, _JPX = "image/jpeg", "image/jls", "image/jp2", "image/jpx"
_JPHC, _JXL, _RLE = "image/jphc", "image/jxl", "image/dicom-rle"
_MPEG, _MP4, _H265, _OCTETS = "video/mpeg", "video/mp4", "video/H265", "application/octet-stream"
_J = "1.2.840.10008.1.2.4."

_NATIVE = (
    TransferSyntax(IMPLICIT_VR_LITTLE_ENDIAN, "Implicit VR Little Endian", implicit=True),
    TransferSyntax(EXPLICIT_VR_LITTLE_ENDIAN, "Explicit VR Little Endian"),
    TransferSyntax(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "Deflated Explicit VR Little Endian", deflated=True),
    TransferSyntax(EXPLICIT_VR_BIG_ENDIAN, "Explicit VR Big Endian", big_endian=True),
    TransferSyntax("1.2.840.113619.5.2", "GE Private Implicit VR Little Endian", implicit=True),
    TransferSyntax(_J + "94", "JPIP Referenced"),
    TransferSyntax(_J + "95", "JPIP Referenced Deflate", deflated=True),
    TransferSyntax(_J + "204", "JPIP HTJ2K Referenced"),
    TransferSyntax(_J + "205", "JPIP HTJ2K Referenced Deflate", deflated=True),
)

_IMAGES = (
    _encapsulated("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", _OCTETS),
    _encapsulated(_J + "50", "JPEG Baseline (Process 1)", _JPEG, lossy=True),
    _encapsulated(_J + "51", "JPEG Extended (Process 2 and 4)", _JPEG, lossy=True),
    _encapsulated(_J + "57", "JPEG Lossless, Non-Hierarchical (Process 14)", _JPEG),
    _encapsulated(_J + "70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction", _JPEG),
    _encapsulated(_J + "80", "JPEG-LS Lossless", _JLS),
    _encapsulated(_J + "81", "JPEG-LS Lossy (Near-Lossless)", _JLS, lossy=True),
    _encapsulated(_J + "90", "JPEG 2000 (Lossless Only)", _JP2),
    _encapsulated(_J + "91", "JPEG 2000", _JP2, lossy=True),
    _encapsulated(_J + "92", "JPEG 2000 Part 2 Multi-component (Lossless Only)", _JPX),
    _encapsulated(_J + "93", "JPEG 2000 Part 2 Multi-component", _JPX, lossy=True),
    _encapsulated(_J + "110", "JPEG XL Lossless", _JXL),
    _encapsulated(_J + "111", "JPEG XL JPEG Recompression", _JXL, lossy=True),
    _encapsulated(_J + "112", "JPEG XL", _JXL, lossy=True),
    _encapsulated(_J + "201", "High-Throughput JPEG 2000 (Lossless Only)", _JPHC),
    _encapsulated(_J + "202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", _JPHC),
    _encapsulated(_J + "203", "High-Throughput JPEG 2000", _JPHC, lossy=True),
    _encapsulated("1.2.840.10008.1.2.5", "RLE Lossless", _RLE),
    _encapsulated("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", _OCTETS),
)

_VIDEO = (
    _encapsulated(_J + "100", "MPEG2 Main Profile / Main Level", _MPEG, lossy=True),
    _encapsulated(_J + "100.1", "Fragmentable MPEG2 Main Profile / Main Level", _MPEG, lossy=True),
    _encapsulated(_J + "101", "MPEG2 Main Profile / High Level", _MPEG, lossy=True),
    _encapsulated(_J + "101.1", "Fragmentable MPEG2 Main Profile / High Level", _MPEG, lossy=True),
    _encapsulated(_J + "102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", _MP4, lossy=True),
    _encapsulated(_J + "102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", _MP4, lossy=True),
    _encapsulated(_J + "103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", _MP4, lossy=True),
    _encapsulated(
        _J + "103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", _MP4, lossy=True
    ),
    _encapsulated(_J + "104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", _MP4, lossy=True),
    _encapsulated(
        _J + "104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", _MP4, lossy=True
    ),
    _encapsulated(_J + "105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", _MP4, lossy=True),
    _encapsulated(
        _J + "105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", _MP4, lossy=True
    ),
    _encapsulated(_J + "106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", _MP4, lossy=True),
    _encapsulated(
        _J + "106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", _MP4, lossy=True
    ),
    _encapsulated(_J + "107", "HEVC/H.265 Main Profile / Level 5.1", _H265, lossy=True),
    _encapsulated(_J + "108", "HEVC/H.265 Main 10 Profile / Level 5.1", _H265, lossy=True),
)

_RETIRED = (
    _encapsulated(_J + "52", "JPEG Extended (Process 3 and 5)", _JPEG, lossy=True),
    _encapsulated(
        _J + "53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", _JPEG, lossy=True
    ),
    _encapsulated(
        _J + "54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)", _JPEG, lossy=True
    ),
    _encapsulated(
        _J + "55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", _JPEG, lossy=True
    ),
    _encapsulated(
        _J + "56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)", _JPEG, lossy=True
    ),
    _encapsulated(_J + "58", "JPEG Lossless, Non-Hierarchical (Process 15)", _JPEG),
    _encapsulated(_J + "59", "JPEG Extended, Hierarchical (Process 16 and 18)", _JPEG, lossy=True),
    _encapsulated(_J + "60", "JPEG Extended, Hierarchical (Process 17 and 19)", _JPEG, lossy=True),
    _encapsulated(_J + "61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)", _JPEG, lossy=True),
    _encapsulated(_J + "62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)", _JPEG, lossy=True),
    _encapsulated(_J + "63", "JPEG Full Progression, Hierarchical (Process 24 and 26)", _JPEG, lossy=True),
    _encapsulated(_J + "64", "JPEG Full Progression, Hierarchical (Process 25 and 27)", _JPEG, lossy=True),
    _encapsulated(_J + "65", "JPEG Lossless, Hierarchical (Process 28)", _JPEG),
    _encapsulated(_J + "66", "JPEG Lossless, Hierarchical (Process 29)", _JPEG),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {
    row.uid: row for row in (*_NATIVE, *_IMAGES, *_VIDEO, *_RETIRED)
}

DEFAULT_OF_MEDIA_TYPE: dict[str, frozenset[str]] = {
    _JPEG: frozenset((_J + "70",)),
    _JLS: frozenset((_J + "80",)),
    _JP2: frozenset((_J + "90",)),
    _JPX: frozenset((_J + "92",)),
    _JPHC: frozenset((_J + "201",)),
    _JXL: frozenset((_J + "110",)),
    _RLE: frozenset(("1.2.840.10008.1.2.5",)),
    _MPEG: frozenset((_J + "101",)),
    _MP4: frozenset((_J + "102", _J + "102.1")),
    _H265: frozenset((_J + "107",)),
}
"""What a media type of compressed bulk data means without a transfer syntax (PS3.18 Table 8.7.3-5)."""


def transfer_syntax(uid: str) -> TransferSyntax:
    """The row of `uid`; for a UID that is not in the table, what can be assumed of it: explicit VR little
    endian, where the reader takes encapsulated or native pixel data as it finds them."""
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(uid, "not in the table", encapsulated=True)
