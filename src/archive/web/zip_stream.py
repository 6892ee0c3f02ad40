"""Zip files made while they are sent: nothing is kept of a member but its line in the directory at the end.

Members are not compressed, as most pixel data gains little for much time, but they are written as deflate blocks
without compression rather than as stored: their checksums are known only after their bytes, and readers that take a
zip file as it comes can do without only for deflated members. So every length is known before the first byte.

The format is that of PKWARE's APPNOTE, with its Zip64 extensions for 4 GiB and 65,535 members where they are needed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

_BLOCK = 0xFFFF
"""Bytes of a deflate block without compression, at most; its head has five more."""
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF
_DESCRIPTOR_FOLLOWS = 1 << 3
_DEFLATED = 8
_VERSION, _VERSION_ZIP64 = 20, 45
_TIME, _DATE = 0, 1 << 5 | 1
"""Midnight of 1 January 1980, so that the same instances make the same file."""

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_END_64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the zip: its name in ASCII, and `length` bytes in the pieces that `open` gives."""

    name: str
    length: int
    open: Callable[[], Iterator[bytes]]

    @property
    def packed(self) -> int:
        """Its bytes with the heads of the blocks."""
        return self.length + 5 * max(1, -(-self.length // _BLOCK))

    @property
    def zip64(self) -> bool:
        """Whether its lengths need eight bytes."""
        return self.packed >= _MOST_32


class WrongLengthError(Exception):
    """A member had other bytes than announced: what was sent of the zip is worth nothing."""


def length_of(members: Iterable[Member]) -> int:
    """Bytes of the whole zip file."""
    offset, directory, count = 0, 0, 0
    for member in members:
        directory += _CENTRAL.size + len(member.name) + len(_extra(member, offset))
        offset += _LOCAL.size + len(member.name) + (20 if member.zip64 else 0)
        offset += member.packed + (24 if member.zip64 else 16)
        count += 1
    return offset + directory + len(_end(count, directory, offset))


def zipped(members: Sequence[Member]) -> Iterator[bytes]:
    """The zip file. Raises WrongLengthError in the middle of it."""
    offset = 0
    lines: list[bytes] = []
    for member in members:
        head = _local(member)
        yield head
        checksum = yield from _blocks(member)
        descriptor = struct.pack(
            "<IIQQ" if member.zip64 else "<IIII", 0x08074B50, checksum, member.packed, member.length
        )
        yield descriptor
        lines.append(_line(member, checksum, offset))
        offset += len(head) + member.packed + len(descriptor)
    directory = b"".join(lines)
    yield directory + _end(len(lines), len(directory), offset)


def _blocks(member: Member) -> Generator[bytes, None, int]:
    """Deflate blocks (RFC 1951 3.2.4); returns the checksum of what is in them."""
    checksum, left, waiting = 0, member.length, b""
    for piece in member.open():
        checksum = zlib.crc32(piece, checksum)
        waiting += piece
        whole = len(waiting) // _BLOCK * _BLOCK
        if 0 < whole < left:
            yield _framed(waiting[:whole], last=False)
            left -= whole
            waiting = waiting[whole:]
        if len(waiting) > left:
            break
    if len(waiting) != left:
        raise WrongLengthError(member.name)
    yield _framed(waiting, last=True)
    return checksum


def _framed(data: bytes, *, last: bool) -> bytes:
    """As blocks of which all but the last are full."""
    framed: list[bytes | memoryview] = []
    for start in range(0, max(1, len(data)), _BLOCK):
        block = memoryview(data)[start : start + _BLOCK]
        final = last and start + _BLOCK >= len(data)
        framed += (struct.pack("<BHH", final, len(block), len(block) ^ _MOST_16), block)
    return b"".join(framed)


def _local(member: Member) -> bytes:
    """What stands before a member. Lengths and checksum follow it (APPNOTE 4.4.4, bit 3)."""
    name = member.name.encode("ascii")
    size = _MOST_32 if member.zip64 else 0
    extra = struct.pack("<HHQQ", 1, 16, 0, 0) if member.zip64 else b""
    version = _VERSION_ZIP64 if member.zip64 else _VERSION
    head = _LOCAL.pack(
        0x04034B50,
        version,
        _DESCRIPTOR_FOLLOWS,
        _DEFLATED,
        _TIME,
        _DATE,
        0,
        size,
        size,
        len(name),
        len(extra),
    )
    return head + name + extra


def _extra(member: Member, offset: int) -> bytes:
    """What does not fit into four bytes (APPNOTE 4.5.3)."""
    numbers = [number for number in (member.length, member.packed) if member.zip64]
    numbers += [offset] if offset >= _MOST_32 else []
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""


def _line(member: Member, checksum: int, offset: int) -> bytes:
    """The member's line in the central directory."""
    name, extra = member.name.encode("ascii"), _extra(member, offset)
    version = _VERSION_ZIP64 if extra else _VERSION
    packed, length = (_MOST_32, _MOST_32) if member.zip64 else (member.packed, member.length)
    first = (
        0x02014B50,
        version,
        version,
        _DESCRIPTOR_FOLLOWS,
        _DEFLATED,
        _TIME,
        _DATE,
        checksum,
        packed,
        length,
    )
    place = (len(name), len(extra), 0, 0, 0, 0, min(offset, _MOST_32))
    return _CENTRAL.pack(*first, *place) + name + extra


def _end(count: int, directory: int, offset: int) -> bytes:
    """The end of the central directory, twice if the old one has no room."""
    end = b""
    if count >= _MOST_16 or directory >= _MOST_32 or offset >= _MOST_32:
        end = _END_64.pack(
            0x06064B50,
            _END_64.size - 12,
            _VERSION_ZIP64,
            _VERSION_ZIP64,
            0,
            0,
            count,
            count,
            directory,
            offset,
        )
        end += _LOCATOR.pack(0x07064B50, 0, offset + directory, 1)
    few = min(count, _MOST_16)
    return end + _END.pack(0x06054B50, 0, 0, few, few, min(directory, _MOST_32), min(offset, _MOST_32), 0)
