"""Which transfer syntax a compressed frame belongs to, and what it says of its pixels, from its first bytes.

A store request may leave out the Image Pixel Description Macro, and names no transfer syntax but in the part's header,
where clients often name none (PS3.18 10.5.2). The default of table 8.7.3-5 does not help: what arrives as image/jpeg
is nearly always baseline, not lossless. The bytes know. Sources: those of `codestreams`, ITU-T T.81 B.2.3 (SOS),
T.800 A.6.1 (COD), T.814 A.2 (Rsiz), ISO/IEC 18181-1 D.3 (ImageMetadata).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archive.dicom.pixels import codestreams
from archive.dicom.pixels.codestreams import Codestream
from archive.dicom.receiving.assembly import Bulk

HEAD_BYTES = 1 << 20
"""Headers end within: ICC profiles and Exif stand in front of some."""

LONGEST_SIDE = 0xFFFF
"""What Rows and Columns can say."""

_J = "1.2.840.10008.1.2.4."
_SOF = {0xC0: "50", 0xC1: "51", 0xC2: "55"}
_LOSSLESS_JPEG, _JPEG_LS, _SOS = 0xC3, 0xF7, 0xDA
_COD = 0x52
_BOXES = 1 << 16
_RSIZ_PART_2, _RSIZ_HT = 0x8000, 0x4000
_GREY, _RGB, _YBR = "MONOCHROME2", "RGB", "YBR_FULL"


@dataclass(frozen=True, slots=True)
class Kind:
    """A compressed frame. `codestream`: what of the part is to be stored. `PhotometricInterpretation` is empty for a
    number of samples that has no plain one. `lossy`: something was lost, surely."""

    transfer_syntax_uid: str
    codestream: Bulk
    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool
    PhotometricInterpretation: str
    lossy: bool


def recognise(frame: Bulk) -> Kind:
    """What a frame is. Raises ValueError when it is none of JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XL."""
    head = frame.head(HEAD_BYTES)
    for start, read in _STARTS:
        if head.startswith(start):
            return read(frame, head)
    raise ValueError("no codestream of JPEG, JPEG-LS, JPEG 2000 or JPEG XL")


def _jpeg(frame: Bulk, head: bytes) -> Kind:
    header = codestreams.read_jpeg(head)
    marker, sampling, scan = _jpeg_scan(head)
    uid, lossy = _jpeg_syntax(marker, scan)
    colour = _jpeg_colour(header, sampling, lossy and marker != _JPEG_LS)
    return _kind(uid, frame, header, colour, lossy)


def _jpeg_scan(head: bytes) -> tuple[int, bytes, bytes]:
    """The marker of the frame header, the sampling factors in it, and the scan header."""
    offset, marker, sampling = 2, 0, b""
    while True:
        found, segment, offset = codestreams.segment(head, offset)
        if found in codestreams.FRAME_HEADERS:
            marker, sampling = found, segment[7::3]
        if found == _SOS:
            return marker, sampling, segment


def _jpeg_syntax(marker: int, scan: bytes) -> tuple[str, bool]:
    """The third last byte of the scan header is the predictor of lossless JPEG, and NEAR of JPEG-LS."""
    if len(scan) < 3:
        raise ValueError("scan header too short")
    if marker == _LOSSLESS_JPEG:
        return _J + ("70" if scan[-3] == 1 else "57"), False
    if marker == _JPEG_LS:
        return _J + ("81" if scan[-3] else "80"), bool(scan[-3])
    if marker not in _SOF:
        raise ValueError("a process of JPEG that no transfer syntax has")
    return _J + _SOF[marker], True


def _jpeg_colour(header: Codestream, sampling: bytes, lossy: bool) -> str:
    if header.samples == 1:
        return _GREY
    if header.samples != 3:
        return ""
    if header.colour == _RGB or (not lossy and header.colour != _YBR):
        return _RGB
    return "YBR_FULL_422" if sampling[:1] != b"\x11" else _YBR


def _jpeg_2000(frame: Bulk, head: bytes) -> Kind:
    start, length = _codestream_box(frame, head)
    codestream = frame.part(start, length)
    inner = codestream.head(HEAD_BYTES)
    header = codestreams.read_jpeg_2000(inner)
    transformed, reversible = _coding_style(inner)
    capabilities = int.from_bytes(inner[6:8], "big")
    if capabilities & _RSIZ_HT:
        number = "201" if reversible else "203"
    elif capabilities & _RSIZ_PART_2:
        number = "92" if reversible else "93"
    else:
        number = "90" if reversible else "91"
    colour = _RGB
    if transformed:
        colour = "YBR_RCT" if reversible else "YBR_ICT"
    colour = {1: _GREY, 3: colour}.get(header.samples, "")
    return _kind(_J + number, codestream, header, colour, not reversible)


def _codestream_box(frame: Bulk, head: bytes) -> tuple[int, int]:
    """Where the codestream lies in its boxes, which PS3.5 A.4.4 keeps out of the pixel data."""
    if not head.startswith(b"\0\0\0\x0cjP"):
        return 0, frame.length
    offset = 0
    while offset + 16 <= len(head):
        length, start = int.from_bytes(head[offset : offset + 4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(head[offset + 8 : offset + 16], "big"), 16
        end = offset + length if length else frame.length
        if end < offset + start or end > frame.length:
            break
        if head[offset + 4 : offset + 8] == b"jp2c":
            return offset + start, end - offset - start
        offset = end
    raise ValueError("no codestream in the boxes")


def _coding_style(codestream: bytes) -> tuple[bool, bool]:
    """From the COD marker segment: whether components are transformed, and reversibly."""
    offset = 2
    while codestream[offset + 1 : offset + 2] != b"\x93":
        marker, segment, offset = codestreams.segment(codestream, offset)
        if marker == _COD and len(segment) >= 10:
            return bool(segment[4]), segment[9] == 1
    raise ValueError("no COD marker")


def _jpeg_xl(frame: Bulk, head: bytes) -> Kind:
    """What comes out of the decoder is RGB, however it was stored."""
    header, xyb = codestreams.read_jpeg_xl_metadata(head)
    recompressed = head[4:8] == b"JXL " and b"jbrd" in head[:_BOXES]
    number = "111" if recompressed else "112" if xyb else "110"
    colour = {1: _GREY, 3: _RGB}.get(header.samples, "")
    return _kind(_J + number, frame, header, colour, recompressed or xyb)


def _kind(uid: str, codestream: Bulk, header: Codestream, colour: str, lossy: bool) -> Kind:
    if not (0 < header.rows <= LONGEST_SIDE and 0 < header.columns <= LONGEST_SIDE):
        raise ValueError("a size that Rows and Columns cannot say")
    return Kind(
        uid,
        codestream,
        header.rows,
        header.columns,
        header.samples,
        header.precision,
        header.signed,
        colour,
        lossy,
    )


_STARTS: tuple[tuple[bytes, Callable[[Bulk, bytes], Kind]], ...] = (
    (b"\xff\xd8", _jpeg),
    (b"\xff\x4f\xff\x51", _jpeg_2000),
    (b"\0\0\0\x0cjP", _jpeg_2000),
    (b"\xff\x0a", _jpeg_xl),
    (b"\0\0\0\x0cJXL ", _jpeg_xl),
)

COMPATIBLE = {
    "50": ("50", "51"),
    "51": ("51",),
    "55": ("55",),
    "57": ("57",),
    "70": ("70", "57"),
    "80": ("80",),
    "81": ("81",),
    "90": ("90", "91", "92", "93"),
    "91": ("91", "93"),
    "92": ("92", "93"),
    "93": ("93",),
    "110": ("110", "112"),
    "111": ("111", "112"),
    "112": ("112", "111"),
    "201": ("201", "202", "203"),
    "203": ("203",),
}
"""Which transfer syntaxes a client may name for a codestream of this kind, by their last number: those whose decoders
read it. JPEG 2000 that is reversible may have been cut off all the same, and be lossy then."""


def chosen_syntax(kind: Kind, named: str) -> str:
    """The transfer syntax to store it under. Raises ValueError when the one that the client named is not for it."""
    allowed = [_J + number for number in COMPATIBLE[kind.transfer_syntax_uid.removeprefix(_J)]]
    if named and named not in allowed:
        raise ValueError(f"the bytes are of transfer syntax {kind.transfer_syntax_uid}")
    return named or kind.transfer_syntax_uid
