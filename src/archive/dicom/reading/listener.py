"""Who listens to the structure of a data set as it goes by.

A port with two implementations: `metadata.Metadata`, which writes down what it hears, and `Nobody`, for finding out
whether bytes are well formed at all.
"""

from __future__ import annotations

from typing import Protocol

from archive.dicom.dictionary import PLAIN


class Listener(Protocol):
    """All offsets count from the first byte of the data set."""

    whole: int
    """The longest value that is taken as a whole without asking `passes`."""

    def resolve(self, tag: int, vr: str, /) -> str:
        """The VR of an attribute that came without one (`vr` empty) or with UN."""

    def element(self, tag: int, vr: str, raw: bytes, big_endian: bool) -> None:
        """A whole value."""

    def passes(self, tag: int, vr: str, length: int) -> bool:
        """Whether a value of at most SMALL bytes shall be counted past."""

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None:
        """A value that is counted past."""

    def begin_sequence(self, tag: int) -> None: ...

    def begin_item(self) -> None: ...

    def end_item(self) -> None: ...

    def end_sequence(self) -> None: ...

    def begin_fragments(self, tag: int, vr: str, offset: int) -> None:
        """Encapsulated pixel data, whose first item tag is at `offset`."""

    def offset_table(self, raw: bytes, end: int) -> None:
        """The Basic Offset Table; the first fragment's item tag is at `end`."""

    def fragment(self, offset: int, length: int, head: bytes) -> None:
        """One fragment and its first bytes."""

    def end_fragments(self, end: int) -> None:
        """The sequence delimiter of the fragments is at `end`."""


class Memory(Protocol):
    """What a listener knows already: elements with a short value, in little endian, told by how they stand there."""

    def recall(self, buffer: bytes, position: int, end: int, implicit: bool) -> int:
        """Hear as many known elements as come one after the other from `position` on; where they end."""

    def remember(self, encoded: bytes, implicit: bool) -> None:
        """So stands the element that was heard last."""


class Nobody:
    """Keeps nothing. What is UN stays unread."""

    whole = 1 << 16

    def resolve(self, tag: int, vr: str, /) -> str:
        return vr or PLAIN.get(tag, "UN")

    def element(self, tag: int, vr: str, raw: bytes, big_endian: bool) -> None: ...

    def passes(self, *_: object) -> bool:
        return False

    def skipped(self, tag: int, vr: str, offset: int, length: int) -> None: ...

    def begin_sequence(self, tag: int) -> None: ...

    def begin_item(self) -> None: ...

    def end_item(self) -> None: ...

    def end_sequence(self) -> None: ...

    def begin_fragments(self, tag: int, vr: str, offset: int) -> None: ...

    def offset_table(self, raw: bytes, end: int) -> None: ...

    def fragment(self, offset: int, length: int, head: bytes) -> None: ...

    def end_fragments(self, end: int) -> None: ...
