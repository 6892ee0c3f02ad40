"""A data set written again so that it says nothing of whose it is, as a stream: memory does not grow with the object.

    structure   walks the data set, in Explicit VR Little Endian; long values are counted past, not read
    actions     what becomes of each attribute, at whatever depth
    rewriting   the header as literal bytes, pixel data and other long values as copies of the source

Encapsulated pixel data passes as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from archive.dicom.deidentifying import replacing
from archive.dicom.deidentifying.actions import Act, Options, act, basic
from archive.dicom.deidentifying.replacing import Replacements
from archive.dicom.errors import NotAcceptable
from archive.dicom.identifiers import tag_text
from archive.dicom.reading.clues import Clues
from archive.dicom.reading.elements import WORD_BYTES
from archive.dicom.reading.structure import Structure
from archive.dicom.writing.byte_order import Read
from archive.dicom.writing.encoder import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, header
from archive.dicom.writing.recoding import LITERAL, READ_AHEAD, Copy

_PIXEL_DATA = 0x7FE00010
_NOTHING = memoryview(bytes(1 << 20))
_CODE_SEQUENCES = frozenset((0x00401101,))
"""Of codes, with an item (Person Identification Code Sequence)."""
_SHORT_TEXTS = frozenset(("AS", "CS", "LO", "SH"))
_NUL_PADDED = frozenset(("OB", "UI", "UN", *WORD_BYTES))


def deidentified(
    read: Read, length: int, replacements: Replacements, patient: str, options: Options
) -> Iterator[bytes | Copy]:
    """The `length` bytes of a data set in Explicit VR Little Endian, or encapsulated, without whose it is; the patient
    is called `patient`. Raises CannotUnderstand, NotAcceptable."""
    rewriter = _Rewriter(replacements, patient, options)
    structure = Structure(rewriter, implicit=False, big_endian=False)
    position = 0
    while position < length:
        if position < rewriter.passed:
            step = min(rewriter.passed - position, len(_NOTHING), length - position)
            structure.feed(_NOTHING[:step])
        else:
            step = min(READ_AHEAD, length - position)
            structure.feed(read(position, step))
        position += step
        yield from rewriter.taken()
    structure.finish()
    rewriter.finish()
    yield from rewriter.taken()


class _Rewriter:
    """Listens to a `structure.Structure`. `passed` is the end of the last value that need not be read."""

    def __init__(self, replacements: Replacements, patient: str, options: Options) -> None:
        self.whole = LITERAL
        self.passed = 0
        self._replacements = replacements
        self._options = options
        self._due = sorted(replacing.inserted(patient, options).items())
        self._clues = [Clues()]
        self._depth = 0
        self._silent_from = 0
        self._fragments = 0
        self._literal = bytearray()
        self._segments: list[bytes | Copy] = []

    def taken(self) -> list[bytes | Copy]:
        """The segments since the last time."""
        self._cut()
        segments, self._segments = self._segments, []
        return segments

    def finish(self) -> None:
        """There are no more elements."""
        self._insert_before(1 << 32)

    # --- what the structure tells ---

    def resolve(self, tag: int, _vr: str, /) -> str:
        return self._clues[-1].vr(tag)

    def element(self, tag: int, vr: str, raw: bytes, _big_endian: bool) -> None:
        self._clues[-1].note(tag, raw, False)
        wanted = self._wanted(tag, vr)
        if wanted is Act.MOVE:
            moved = self._replacements.moved(vr, raw)
            wanted, raw = (Act.KEEP, moved) if moved is not None else (basic(tag), raw)
        if wanted is Act.KEEP:
            self._write(tag, vr, raw)
        elif wanted is Act.UID:
            self._write(tag, vr, self._replacements.uids(raw))
        elif wanted is Act.EMPTY or (wanted is Act.DUMMY and not raw):
            self._write(tag, vr, b"")
        elif wanted is Act.DUMMY:
            self._write(tag, vr, self._dummy(vr, raw))

    def passes(self, _tag: int, _vr: str, length: int) -> bool:
        return length > LITERAL

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None:
        self.passed = offset + length
        wanted = self._wanted(tag, vr)
        if wanted in (Act.EMPTY, Act.DUMMY):
            self._write(tag, vr, b"" if wanted is Act.EMPTY else replacing.dummy(vr))
        elif wanted is Act.KEEP and vr not in _SHORT_TEXTS:
            self._literal += header(tag, vr, length + length % 2, False)
            self._copy(offset, length)
            self._literal += _padding(vr, length)

    def begin_sequence(self, tag: int) -> None:
        wanted = self._wanted(tag, "SQ")
        if wanted is Act.KEEP:
            self._literal += header(tag, "SQ", UNDEFINED, False)
        elif wanted is Act.DUMMY and tag in _CODE_SEQUENCES:
            self._literal += replacing.dummy_code(tag)
        elif wanted in (Act.DUMMY, Act.EMPTY):
            self._literal += header(tag, "SQ", 0, False)
        self._depth += 1
        if wanted is not Act.KEEP and not self._silent_from:
            self._silent_from = self._depth

    def begin_item(self) -> None:
        self._clues.append(self._clues[-1].inside())
        self._say(ITEM)

    def end_item(self) -> None:
        self._clues.pop()
        self._say(ITEM_END)

    def end_sequence(self) -> None:
        self._say(SEQUENCE_END)
        if self._silent_from == self._depth:
            self._silent_from = 0
        self._depth -= 1

    def begin_fragments(self, tag: int, _vr: str, offset: int) -> None:
        if self._silent_from:
            return
        if tag != _PIXEL_DATA or self._depth:
            raise NotAcceptable(f"{tag_text(tag)} is encapsulated, and is not the pixel data")
        self._insert_before(tag)
        self._literal += header(tag, "OB", UNDEFINED, False)
        self._fragments = offset

    def offset_table(self, _raw: bytes, end: int) -> None:
        self.passed = end

    def fragment(self, offset: int, length: int, _head: bytes) -> None:
        self.passed = offset + 8 + length

    def end_fragments(self, end: int) -> None:
        if not self._silent_from:
            self._copy(self._fragments, end - self._fragments)
            self._literal += SEQUENCE_END

    # --- what is written ---

    def _wanted(self, tag: int, vr: str) -> Act:
        if not self._depth:
            self._insert_before(tag)
            if tag in (0x00100010, 0x00100020):
                return Act.REMOVE
        return Act.REMOVE if self._silent_from else act(tag, vr, self._options)

    def _insert_before(self, tag: int) -> None:
        while not self._depth and self._due and self._due[0][0] <= tag:
            self._literal += self._due.pop(0)[1]

    def _dummy(self, vr: str, raw: bytes) -> bytes:
        return self._replacements.uids(raw) if vr == "UI" else replacing.dummy(vr)

    def _say(self, delimiter: bytes) -> None:
        if not self._silent_from:
            self._literal += delimiter

    def _write(self, tag: int, vr: str, raw: bytes) -> None:
        self._literal += header(tag, vr, len(raw) + len(raw) % 2, False) + raw + _padding(vr, len(raw))

    def _copy(self, offset: int, length: int) -> None:
        self._cut()
        self._segments.append(Copy(offset, length))

    def _cut(self) -> None:
        if self._literal:
            self._segments.append(bytes(self._literal))
            self._literal.clear()


def _padding(vr: str, length: int) -> bytes:
    return (b"\0" if vr in _NUL_PADDED else b" ") if length % 2 else b""
