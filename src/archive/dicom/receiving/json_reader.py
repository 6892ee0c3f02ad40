"""DICOM JSON as a client sends it: the data sets of a representation, one after the other (PS3.18 F.2.1).

The array may hold thousands of instances. It is cut into them by their brackets first, so that one at a time is in
memory, and one that is broken does not take the others with it. Of each the size and the number of things in it are
bounded before it is parsed, and a name that comes twice is an error, as two readers would choose differently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from archive.dicom.errors import CannotUnderstand, ObjectTooLarge
from archive.dicom.receiving.received_values import Digits

MAXIMUM_BYTES = 32 << 20
"""Of the text of one data set."""
MAXIMUM_MARKS = 1_500_000
"""Of its brackets and commas, so of the things that it can hold: 100 to 250 for each frame of an enhanced object. At
worst so many take 540 MB."""

_MARK = re.compile(rb'"|[\[\]{}]')
_END_OF_TEXT = re.compile(rb'["\\]')
_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_OUTSIDE = re.compile(rb"[\s,]*", re.ASCII)


def data_sets(pieces: Iterable[bytes]) -> Iterator[object]:
    """What each element of the array is, or the one object that stands alone; a CannotUnderstand or ObjectTooLarge in
    the place of one that cannot be read. Raises CannotUnderstand when the rest of the text cannot be read."""
    for text in _Cutter().cut(pieces):
        try:
            yield parse(text)
        except (CannotUnderstand, ObjectTooLarge) as error:
            yield error


def parse(text: bytes) -> Any:
    """One JSON value. Raises CannotUnderstand, ObjectTooLarge."""
    if sum(map(text.count, (b"{", b"[", b","))) > MAXIMUM_MARKS:
        raise ObjectTooLarge(f"the metadata of an object hold more than {MAXIMUM_MARKS} brackets and commas")
    try:
        return json.loads(
            text.decode("utf_8"),
            parse_float=Digits,
            parse_int=Digits,
            parse_constant=Digits,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise CannotUnderstand("the JSON is nested too deep") from None
    except UnicodeDecodeError:
        raise CannotUnderstand("the JSON is not UTF-8") from None
    except ValueError:
        raise CannotUnderstand("the text is no JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise CannotUnderstand("a name is twice in one object of the JSON")
    return made


class _Cutter:
    """Finds where each object of the array begins and ends, in linear time."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._scanned = 0
        self._depth = 0
        self._in_text = False
        self._array: bool | None = None
        self._ended = False

    def cut(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._held += piece
            yield from self._objects()
        self._finish()

    def _finish(self) -> None:
        if self._depth or self._in_text or (self._array and not self._ended):
            raise CannotUnderstand("the JSON is cut off")
        if self._array is None:
            raise CannotUnderstand("no JSON: an array of data sets is expected")
        if self._held.strip(_BLANK):
            raise CannotUnderstand("something follows the end of the JSON")

    def _objects(self) -> Iterator[bytes]:
        while self._begin():
            end = self._find_end()
            if end is None:
                if len(self._held) > MAXIMUM_BYTES:
                    raise ObjectTooLarge(f"the metadata of an object are longer than {MAXIMUM_BYTES} bytes")
                return
            yield bytes(self._held[:end])
            del self._held[:end]
            self._scanned = 0
            self._ended = self._ended or not self._array

    def _begin(self) -> bool:
        """Go to where an object begins; False when it is not here yet, or the array has ended."""
        if self._depth:
            return True
        if self._array is None and not self._begin_document():
            return False
        if not self._array and self._ended:
            return False
        outside = _OUTSIDE.match(self._held)
        assert outside is not None
        del self._held[: outside.end()]
        if self._held[:1] == b"]" and self._array and not self._ended:
            self._ended = True
            del self._held[:1]
        if not self._held or self._ended:
            return False
        if self._held[:1] != b"{":
            raise CannotUnderstand("an array of data sets is expected in the JSON, or one data set")
        return True

    def _begin_document(self) -> bool:
        head = self._held.lstrip(_BLANK)
        if len(head) < len(_BOM) and (not head or _BOM.startswith(bytes(head))):
            return False
        self._held = head.removeprefix(_BOM).lstrip(_BLANK)
        if not self._held:
            return False
        self._array = self._held[:1] == b"["
        if self._array:
            del self._held[:1]
        return True

    def _find_end(self) -> int | None:
        """Where the object that begins the held bytes ends."""
        position = self._scanned
        while True:
            if self._in_text:
                found = _END_OF_TEXT.search(self._held, position)
                if found is None or (found[0] == b"\\" and found.end() >= len(self._held)):
                    self._scanned = len(self._held) if found is None else found.start()
                    return None
                position = found.end() + (found[0] == b"\\")
                self._in_text = found[0] == b"\\"
                continue
            found = _MARK.search(self._held, position)
            if found is None:
                self._scanned = len(self._held)
                return None
            position = found.end()
            if found[0] == b'"':
                self._in_text = True
            else:
                self._depth += 1 if found[0] in (b"[", b"{") else -1
                if not self._depth:
                    return position
