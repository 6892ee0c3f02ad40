"""One pass over an encoded data set as it arrives: structure checked, index attributes, metadata and frame table
made.

`structure` walks the bytes, `metadata` writes down what is in them, and here stand the rules about the whole: what an
object must have to be given a place in the hierarchy, and how to tell that it was cut off between two elements.

pydicom's `dcmread` would do most of it, but needs the whole object in memory, takes about twenty times as long for a
real header, and accepts a pixel data value of any length. It is the oracle of the tests instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from archive.dicom.attributes import ATTRIBUTES
from archive.dicom.errors import ArchiveError, CannotUnderstand, MissingAttribute, UnsupportedSOPClass
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Element, Instance
from archive.dicom.pixels import frames
from archive.dicom.reading.inflate import Inflater
from archive.dicom.reading.metadata import Metadata
from archive.dicom.reading.structure import Structure
from archive.dicom.sop_classes import MEDIA_STORAGE_DIRECTORY, is_storage, sop_class_name
from archive.dicom.transfer_syntaxes import transfer_syntax

MAXIMUM_ELEMENTS = 4_000_000
"""Elements and items together, each of which takes microseconds. An enhanced multi-frame object has about 60 of them
for each frame, so 60,000 frames have room."""
FREE_ELEMENTS = 1 << 17
DEFLATED_ELEMENTS = 8
"""Of a deflated data set so many, and then for each byte that came. In blank segmentations, which deflate best, each
frame still refers to a source image by UID, which alone takes more bytes than its 60 elements need."""

DOCUMENT_TITLE = 0x0040A043
"""Concept Name Code Sequence, by which a Key Object Selection says what it is for."""
WANTED = frozenset(attribute.tag for attribute in ATTRIBUTES if not attribute.computed) | {DOCUMENT_TITLE}

_IDENTITY = {
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
}
_ROWS, _COLUMNS, _BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100
_SAMPLES_PER_PIXEL, _PHOTOMETRIC_INTERPRETATION, _NUMBER_OF_FRAMES = 0x00280002, 0x00280004, 0x00280008
_PIXEL_DATA_PROVIDER_URL = 0x00287FE0
_FIRST_DIRECTORY_RECORD = 0x00041200
_NEEDED = frozenset(_IDENTITY.values()) | {
    _ROWS,
    _COLUMNS,
    _BITS_ALLOCATED,
    _SAMPLES_PER_PIXEL,
    _PHOTOMETRIC_INTERPRETATION,
    _NUMBER_OF_FRAMES,
    _PIXEL_DATA_PROVIDER_URL,
    _FIRST_DIRECTORY_RECORD,
}


@lru_cache(maxsize=16)
def _watched(wanted: frozenset[int]) -> frozenset[int]:
    """The same one for each object, as `metadata` finds by it what it knows."""
    return wanted | _NEEDED


class DataSetReader:
    """Takes an encoded data set in pieces of any size and learns from it all that the index needs."""

    def __init__(self, transfer_syntax_uid: str, *, wanted: frozenset[int] = WANTED) -> None:
        self._transfer_syntax = transfer_syntax(transfer_syntax_uid)
        self._wanted = wanted
        self._metadata = Metadata(_watched(wanted))
        self._structure = Structure(
            self._metadata,
            implicit=self._transfer_syntax.implicit,
            big_endian=self._transfer_syntax.big_endian,
            memory=self._metadata,
        )
        self._inflater = Inflater() if self._transfer_syntax.deflated else None
        self._length = 0
        self._failure: ArchiveError | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """SOPClassUID and SOPInstanceUID as far as they were read, "" else, unchecked: for reports of failure."""
        return self._first(_IDENTITY["SOPClassUID"]), self._first(_IDENTITY["SOPInstanceUID"])

    def values(self, tag: int) -> tuple[str, ...]:
        """Those of an attribute that is wanted, as far as it was read."""
        element = self._metadata.elements.get(tag)
        return element.values if element is not None else ()

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next piece. Raises CannotUnderstand as soon as it is known that the data set is broken, and again
        for every piece after that."""
        if self._failure is not None:
            raise self._failure
        self._length += len(piece)
        try:
            if self._inflater is None:
                self._structure.feed(piece)
            else:
                for inflated in self._inflater.feed(piece):
                    self._structure.feed(inflated)
                    self._check_effort(FREE_ELEMENTS + DEFLATED_ELEMENTS * self._length)
            self._check_effort(MAXIMUM_ELEMENTS)
        except ArchiveError as failure:
            self._failure = failure
            raise

    def finish(self) -> Instance:
        """Say that the data set ends here. Raises CannotUnderstand if it cannot end here, MissingAttribute, InvalidUID
        and UnsupportedSOPClass."""
        if self._failure is not None:
            raise self._failure
        if self._inflater is not None:
            self._inflater.finish()
        self._structure.finish()
        self._check_sop_class()
        identity = {keyword: self._identifier(keyword, tag) for keyword, tag in _IDENTITY.items()}
        self._check_pixel_data()
        metadata = self._metadata
        elements: Mapping[int, Element] = metadata.elements
        return Instance(
            **identity,
            transfer_syntax_uid=self._transfer_syntax.uid,
            length=self._length,
            attributes={tag: element for tag, element in elements.items() if tag in self._wanted},
            metadata=metadata.finish(),
            bulk_values=tuple(metadata.bulk_values.values()),
            frames=self._frames(),
        )

    def _check_effort(self, most: int) -> None:
        if self._metadata.count > most:
            raise CannotUnderstand(
                f"the {self._length} bytes so far hold more than {most} elements and items"
            )

    def _check_sop_class(self) -> None:
        uid = self._first(_IDENTITY["SOPClassUID"])
        if not uid and _FIRST_DIRECTORY_RECORD in self._metadata.elements:
            uid = MEDIA_STORAGE_DIRECTORY
        if uid and not is_storage(uid):
            reason = f"{sop_class_name(uid)}: not an object of a patient, study and series"
            raise UnsupportedSOPClass(reason, _IDENTITY["SOPClassUID"])

    def _identifier(self, keyword: str, tag: int) -> str:
        value = self._first(tag)
        if not value:
            raise MissingAttribute(f"{keyword} is absent or empty", tag)
        return check_uid(value, tag)

    def _check_pixel_data(self) -> None:
        """Lengths cannot show that an object was cut off between two elements. But whoever says how pixels are stored
        has pixels (PS3.3 C.7.6.3: Pixel Data is absent only if a provider's URL is there), and they come last."""
        told = all(self._first(tag) for tag in (_ROWS, _COLUMNS, _BITS_ALLOCATED))
        if told and self._metadata.pixel_data is None and not self._first(_PIXEL_DATA_PROVIDER_URL):
            raise CannotUnderstand(
                "Rows, Columns and BitsAllocated are there, but no pixel data: the object is cut off"
            )

    def _frames(self) -> bytes:
        """The frame table, packed."""
        pixel_data, fragments = self._metadata.pixel_data, self._metadata.fragments
        if pixel_data is None:
            return b""
        description = frames.PixelDescription(
            Rows=self._number(_ROWS, 0),
            Columns=self._number(_COLUMNS, 0),
            SamplesPerPixel=self._number(_SAMPLES_PER_PIXEL, 1),
            BitsAllocated=self._number(_BITS_ALLOCATED, 0),
            PhotometricInterpretation=self._first(_PHOTOMETRIC_INTERPRETATION),
            NumberOfFrames=self._number(_NUMBER_OF_FRAMES, 1),
            vr=pixel_data.vr,
        )
        big_endian = self._transfer_syntax.big_endian
        if fragments is None:
            return frames.native_table(pixel_data.offset, pixel_data.length, description, big_endian).pack()
        video = self._transfer_syntax.video
        return frames.encapsulated_table(fragments, pixel_data.length, description, video, big_endian).pack()

    def _first(self, tag: int) -> str:
        return next(iter(self.values(tag)), "")

    def _number(self, tag: int, default: int) -> int:
        """An attribute that is a number, if its value is one and no nonsense."""
        value = self._first(tag).removeprefix("+")
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 10 else default
