"""Objects from which inputs are made: synthetic, small, and the same in every run."""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
MPEG_2 = "1.2.840.10008.1.2.4.100"
SYNTAXES = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, JPEG_BASELINE, RLE, MPEG_2)
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_META_LENGTH = 140


def least() -> Dataset:
    """The least that the archive takes."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.4", "1.2.5"
    made.PatientID, made.PatientName, made.Modality = "1", "Plover", "OT"
    return made


def image(frames: int = 1) -> Dataset:
    """The same with 4x4 pixels of 8 bits."""
    made = least()
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.Rows = made.Columns = 4
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelData = 7, bytes(16 * frames)
    if frames > 1:
        made.NumberOfFrames = frames
    made["PixelData"].VR = "OB"
    return made


def nested() -> Dataset:
    """Sequences inside each other, a private block, values of many VRs, and another character set."""
    made = least()
    made.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    made.PatientName = "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "113001", "Rejected"
    outer.ConceptNameCodeSequence = [inner, Dataset()]
    outer.TextValue = "text"
    made.ContentSequence = [outer, outer]
    made.RequestAttributesSequence = []
    block = made.private_block(0x0029, "PLOVER", create=True)
    block.add_new(0x01, "LO", "private")
    block.add_new(0x02, "SQ", [inner])
    made.add_new(0x00189087, "FD", 1.5)
    made.add_new(0x00280009, "AT", [0x00181063])
    made.add_new(0x00720026, "AT", [0x00181063, 0x00181064])
    made.add_new(0x00281052, "DS", ["-1024", "1.5e3"])
    made.add_new(0x00420011, "OB", b"%PDF-1.4")
    return made


def compressed() -> Dataset:
    """Two frames, encapsulated behind a Basic Offset Table."""
    made = image(2)
    made.PixelData = encapsulate([b"\xff\xd8one\xff\xd9", b"\xff\xd8two!\xff\xd9"], has_bot=True)
    made["PixelData"].is_undefined_length = True
    return made


def objects() -> list[tuple[Dataset, str]]:
    """Each with a transfer syntax that it can be encoded in."""
    native = [(made, uid) for made in (least(), image(), image(3), nested()) for uid in NATIVE]
    return [*native, *((compressed(), uid) for uid in (JPEG_BASELINE, RLE, MPEG_2))]


def file(data_set: Dataset, transfer_syntax_uid: str) -> bytes:
    """A PS3.10 file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(data_set.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(data_set.SOPInstanceUID)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID("1.2.6")
    out = BytesIO()
    whole = FileDataset(out, data_set, preamble=bytes(128), file_meta=meta)
    dcmwrite(out, whole, enforce_file_format=True)
    return out.getvalue()


def encoded(data_set: Dataset, transfer_syntax_uid: str) -> bytes:
    """The data set alone."""
    whole = file(data_set, transfer_syntax_uid)
    (length,) = struct.unpack_from("<I", whole, _META_LENGTH)
    return whole[_META_LENGTH + 4 + length :]


WORDS = (
    *(
        struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010)
    ),
    *(struct.pack(">HH", tag >> 16, tag & 0xFFFF) for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD)),
    *(b"SQ", b"UN", b"OB", b"OW", b"UT", b"PN", b"DS", b"IS", b"AT", b"US", b"UI", b"OV", b"SV"),
    b"\xff\xff\xff\xff",
    b"\xfe\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"ISO_IR 192",
    b"ISO 2022 IR 87",
    b"GB18030",
    b'"Value":[',
    b'"InlineBinary":"',
    b'"BulkDataURI":"',
    b"--b\r\n",
    b"\r\n--b--",
    b"<!DOCTYPE",
    b"<Item number=",
    b"&#0;",
)
"""What a search for new paths would take long to find by itself."""


def dictionary() -> str:
    """The same in libFuzzer's form."""
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS)
    return "".join(f'"{word}"\n' for word in escaped)
