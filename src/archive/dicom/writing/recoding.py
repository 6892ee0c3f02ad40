"""A data set in Explicit VR Little Endian, whatever it was encoded in: the form in which PS3.18 8.7.3.4 wants every
data set to be had. Or in Implicit VR Little Endian, which every receiver of PS3.5 10.1 takes; or, with the frames
encapsulated, in the explicit VR of the compressed syntaxes (PS3.5 A.4).

    structure   walks the encoded data set; long values are counted past, not read
    recoding    writes each element again, and notes where the long values are
    segments    literal bytes, copies from the source, and the place of the pixel data

What comes out is a list of segments and not bytes, so its length is known for the price of the header, any part of it
can be read without the rest, and an object of any size takes little memory. Pixel data that was compressed is one
segment too, whose length follows from the size of the frames (`native`); of encapsulated frames nobody knows the length
beforehand, so they have the one segment without.

Group lengths are left out (PS3.5 7.2), and so is what describes an encapsulation that is none any more (PS3.3
C.7.6.3). Sequences get undefined lengths, as theirs are known only at their end. Values of UN stay UN, but in big
endian, where the dictionary's VR says which bytes to turn round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archive.dicom.errors import NotAcceptable
from archive.dicom.identifiers import tag_text
from archive.dicom.pixels.decoder import Decoder
from archive.dicom.reading.clues import Clues
from archive.dicom.reading.elements import WORD_BYTES
from archive.dicom.reading.structure import SMALL, Structure
from archive.dicom.writing.byte_order import Read, turned_round
from archive.dicom.writing.encoder import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, header
from archive.dicom.writing.icons import Icon

READ_AHEAD = 1 << 16
LITERAL = 1 << 12
"""Values up to this length are taken into the literal bytes; longer ones are copied when they are sent."""

_PHOTOMETRIC_INTERPRETATION, _PLANAR_CONFIGURATION = 0x00280004, 0x00280006
_PIXEL_DATA = 0x7FE00010
_OF_ENCAPSULATION = frozenset((0x7FE00001, 0x7FE00002, 0x7FE00003))
_CLUES = frozenset((0x00280103, 0x00283002))
_NOTHING = memoryview(bytes(1 << 20))
_NUL_PADDED = frozenset(("OB", "UI", "UN", *WORD_BYTES))


@dataclass(frozen=True, slots=True)
class Copy:
    """`length` bytes of the source from `offset`, where a value begins, in words that are turned round (1: not)."""

    offset: int
    length: int
    word: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixel data that is other on the way out: its value lies at `offset` in the source and ends at `end`, before a
    delimiter if it is encapsulated there; then it has `length` bytes in cells of `bits_allocated`, or is encapsulated
    where `length` is UNDEFINED. The other two replace what the data set says, as far as it says it."""

    transfer_syntax_uid: str
    offset: int
    end: int
    length: int
    bits_allocated: int
    PhotometricInterpretation: str
    PlanarConfiguration: int | None
    decoder: Decoder
    """Of icons within items."""
    encapsulated: bool = True
    """Whether it is so in the source."""

    @property
    def vr(self) -> str:
        """PS3.5 A.2 and A.4; OW would do for up to eight bits too."""
        return "OW" if self.bits_allocated > 8 and self.length != UNDEFINED else "OB"

    @property
    def after(self) -> int:
        """Where the next element begins in the source."""
        return self.end + 8 if self.encapsulated else self.end


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixel data: the `Picture.length` bytes of native frames, or encapsulated ones with their items, whose number
    of bytes is not known: 0."""

    length: int


Segment = bytes | Copy | Pixels


@dataclass(frozen=True, slots=True)
class Source:
    """An encoded data set of `length` bytes, not deflated. So many bytes has a pixel cell."""

    read: Read
    length: int
    implicit: bool = False
    big_endian: bool = False
    pixel_bytes: int = 2


def segments(source: Source, picture: Picture | None = None, *, implicit: bool = False) -> Iterator[Segment]:
    """The data set in little endian, explicit VR or implicit. Raises CannotUnderstand for what is none, NotAcceptable
    for encapsulated values that cannot be said natively."""
    recoder = _Recoder(source, picture, implicit=implicit)
    if picture is None:
        yield from _walked(source, recoder, 0, source.length)
        return
    yield from _walked(source, recoder, 0, _header_offset(source, picture))
    yield header(_PIXEL_DATA, picture.vr, picture.length, implicit)
    yield Pixels(0 if picture.length == UNDEFINED else picture.length)
    if picture.length == UNDEFINED:
        yield SEQUENCE_END
    yield from _walked(source, recoder, picture.after, source.length)


def segment_length(segment: Segment) -> int:
    """Bytes of it."""
    return len(segment) if isinstance(segment, bytes) else segment.length


def _header_offset(source: Source, picture: Picture) -> int:
    """Where the pixel data's header begins; some senders wrote it in implicit VR."""
    tag = b"\x7f\xe0\x00\x10" if source.big_endian else b"\xe0\x7f\x10\x00"
    explicit = source.read(picture.offset - 12, 12)
    return picture.offset - (12 if explicit.startswith((tag + b"O", tag + b"UN")) else 8)


def _walked(source: Source, recoder: _Recoder, begin: int, end: int) -> Iterator[Segment]:
    """The elements between two places at the top level."""
    structure = Structure(recoder, implicit=source.implicit, big_endian=source.big_endian)
    recoder.base, position = begin, begin
    while position < end:
        if position < recoder.passed:
            step = min(recoder.passed - position, len(_NOTHING), end - position)
            structure.feed(_NOTHING[:step])
        else:
            step = min(READ_AHEAD, end - position)
            structure.feed(source.read(position, step))
        position += step
        yield from recoder.taken()
    structure.finish()
    yield from recoder.taken()


class _Recoder:
    """Listens to a `structure.Structure`, whose first byte is at `base` of the source. `passed` is the end of the last
    value that need not be read."""

    def __init__(self, source: Source, picture: Picture | None, *, implicit: bool) -> None:
        self.whole = LITERAL
        self.base = 0
        self.passed = 0
        self._source = source
        self._picture = picture
        self._implicit = implicit
        self._planar_due = picture is not None and picture.PlanarConfiguration is not None
        self._clues = Clues()
        self._icon = Icon()
        self._levels = [(self._clues, self._icon)]
        self._literal = bytearray()
        self._segments: list[Segment] = []

    def taken(self) -> list[Segment]:
        """The segments since the last time."""
        self._cut()
        segments, self._segments = self._segments, []
        return segments

    # --- what the structure tells ---

    def resolve(self, tag: int, vr: str, /) -> str:
        """UN stays UN, but not where everybody will take it for a sequence: in implicit VR no VR says otherwise, and
        some senders have explicit VR in it."""
        if not vr or self._source.big_endian:
            return self._clues.vr(tag)
        return "SQ" if self._implicit and self._clues.vr(tag) == "SQ" else vr

    def element(self, tag: int, vr: str, raw: bytes, big_endian: bool) -> None:
        if not tag & 0xFFFF:
            return
        if raw:
            self._check_meaning(tag, vr)
        if tag & 0x10000 or tag in _CLUES:
            self._clues.note(tag, raw, big_endian)
        if big_endian:
            raw = turned_round(raw, self._word(tag, vr))
        if self._picture is not None:
            self._beside_picture(tag, vr, raw)
        else:
            self._write(tag, vr, raw)

    def passes(self, tag: int, vr: str, length: int) -> bool:
        return length > LITERAL and (not self._source.big_endian or self._word(tag, vr) == 1)

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None:
        if not tag & 0xFFFF:
            return
        if vr != "UN" or length <= SMALL:
            self._check_meaning(tag, vr)
        offset += self.base
        self.passed = offset + length
        word, vr = self._word(tag, vr), _fitting(vr, length)
        self._literal += header(tag, vr, length + length % 2, self._implicit)
        self._cut()
        self._segments.append(Copy(offset, length, word if self._source.big_endian else 1))
        self._literal += _padding(vr, length)

    def begin_sequence(self, tag: int) -> None:
        self._planar_before(tag)
        self._literal += header(tag, "SQ", UNDEFINED, self._implicit)

    def begin_item(self) -> None:
        self._literal += ITEM
        self._clues, self._icon = self._clues.inside(), Icon()
        self._levels.append((self._clues, self._icon))

    def end_item(self) -> None:
        self._literal += ITEM_END
        self._levels.pop()
        self._clues, self._icon = self._levels[-1]

    def end_sequence(self) -> None:
        self._literal += SEQUENCE_END

    def begin_fragments(self, tag: int, _vr: str, _offset: int) -> None:
        if self._picture is None or tag != _PIXEL_DATA or len(self._levels) == 1:
            raise NotAcceptable(
                f"{tag_text(tag)} is encapsulated, which Explicit VR Little Endian cannot be: "
                "ask for transfer-syntax=*"
            )

    def offset_table(self, _raw: bytes, _end: int) -> None: ...

    def fragment(self, offset: int, length: int, _head: bytes) -> None:
        self._icon.fragments.append((self.base + offset + 8, length))

    def end_fragments(self, _end: int) -> None:
        assert self._picture is not None
        picture = self._picture
        vr, value = self._icon.decoded(self._source.read, picture.decoder, picture.transfer_syntax_uid)
        self._write(_PIXEL_DATA, vr, value)

    def _check_meaning(self, tag: int, vr: str) -> None:
        """A value that is no sequence would be taken for one without its VR; UN has been looked into, if not long. A
        number would be taken for a UID."""
        if not self._implicit or tag & 0x10000:
            return
        meant = self._clues.vr(tag)
        if vr != "SQ" and meant == "SQ":
            raise NotAcceptable(
                f"{tag_text(tag)} is stored as {vr} and is no sequence, which implicit VR cannot say"
            )
        if vr in WORD_BYTES and meant == "UI":
            raise NotAcceptable(
                f"{tag_text(tag)} is stored as {vr} and is no UID, which implicit VR cannot say"
            )

    # --- what is written ---

    def _beside_picture(self, tag: int, vr: str, raw: bytes) -> None:
        """An element of an object whose pixel data is decoded."""
        assert self._picture is not None
        if len(self._levels) > 1:
            raw = self._icon.note(tag, raw) if self._picture.encapsulated else raw
        elif tag in _OF_ENCAPSULATION:
            return
        elif tag == _PHOTOMETRIC_INTERPRETATION:
            raw = self._picture.PhotometricInterpretation.encode("ascii", "replace")
        elif tag == _PLANAR_CONFIGURATION and self._picture.PlanarConfiguration is not None:
            self._planar_before(tag)
            return
        else:
            self._planar_before(tag)
        self._write(tag, vr, raw)

    def _planar_before(self, tag: int) -> None:
        """PlanarConfiguration in its place, whether it was there or not."""
        if self._planar_due and len(self._levels) == 1 and tag >= _PLANAR_CONFIGURATION:
            assert self._picture is not None
            self._planar_due = False
            value = (self._picture.PlanarConfiguration or 0).to_bytes(2, "little")
            self._write(_PLANAR_CONFIGURATION, "US", value)

    def _write(self, tag: int, vr: str, raw: bytes) -> None:
        vr = _fitting(vr, len(raw))
        self._literal += header(tag, vr, len(raw) + len(raw) % 2, self._implicit)
        self._literal += raw
        self._literal += _padding(vr, len(raw))

    def _word(self, tag: int, vr: str) -> int:
        """Pixel cells may be larger than the words of their VR, and are turned round whole (PS3.5 8.1.1)."""
        if tag == _PIXEL_DATA and len(self._levels) == 1 and vr == "OW":
            return max(self._source.pixel_bytes, 2)
        return WORD_BYTES.get(vr, 1)

    def _cut(self) -> None:
        if self._literal:
            self._segments.append(bytes(self._literal))
            self._literal.clear()


def _fitting(vr: str, length: int) -> str:
    """A value whose length does not go with its VR is given as UN, as in the metadata; but OW, which may hold bytes,
    is filled up, lest pixel data of an odd number of bytes be none any more."""
    return "UN" if vr != "OW" and length % WORD_BYTES.get(vr, 1) else vr


def _padding(vr: str, length: int) -> bytes:
    return (b"\0" if vr in _NUL_PADDED else b" ") if length % 2 else b""
