"""Zip files that are made while they are sent, read by others: Python's zipfile, Info-ZIP, and a reader that only goes
forward."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive.web import zip_stream
from archive.web.zip_stream import Member, WrongLengthError, length_of, zipped


def member(name: str, content: bytes, piece: int = 1 << 20) -> Member:
    """A member whose content comes in pieces."""
    starts = range(0, len(content), piece)
    return Member(name, len(content), lambda: (content[start : start + piece] for start in starts))


@given(
    contents=st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 70_000)), max_size=4),
    fill=st.binary(min_size=1, max_size=7),
)
def test_any_content_in_any_pieces_comes_back(contents: list[tuple[int, int]], fill: bytes) -> None:
    members = [
        member(f"M{number:07d}", (fill * length)[:length], piece)
        for number, (length, piece) in enumerate(contents)
    ]
    file = b"".join(zipped(members))
    assert len(file) == length_of(members)
    with zipfile.ZipFile(io.BytesIO(file)) as read:
        assert read.testzip() is None
        assert read.namelist() == [each.name for each in members]
        for each in members:
            assert read.read(each.name) == b"".join(each.open())


@pytest.mark.parametrize("length", [0, 1, 65534, 65535, 65536, 131070, 131071])
def test_a_reader_that_goes_forward_needs_no_directory(length: int) -> None:
    """As Java's ZipInputStream: the end of a member is known from its deflate stream."""
    content = bytes(number % 251 for number in range(length))
    file = b"".join(zipped([member("DICOMDIR", content), member("DICOM/X", b"after")]))
    for expected in (content, b"after"):
        signature, _, flags, method, *_, name, extra = struct.unpack_from("<IHHHHHIIIHH", file)
        assert (signature, flags, method) == (0x04034B50, 8, 8)
        inflater = zlib.decompressobj(-15)
        assert inflater.decompress(file[30 + name + extra :]) == expected
        assert inflater.eof
        rest = inflater.unused_data
        assert struct.unpack_from("<IIII", rest) == (
            0x08074B50,
            zlib.crc32(expected),
            len(file) - 30 - name - extra - len(rest),
            len(expected),
        )
        file = rest[16:]


def test_the_same_members_make_the_same_file() -> None:
    members = [member("A", b"1"), member("B", b"2")]
    assert b"".join(zipped(members)) == b"".join(zipped(members))


@pytest.mark.parametrize("announced", [2, 4, 65535, 200_000])
def test_a_member_of_another_length_ends_the_zip(announced: int) -> None:
    with pytest.raises(WrongLengthError):
        b"".join(zipped([Member("A", announced, lambda: iter([b"123"]))]))


def test_a_member_that_does_not_end_ends_the_zip() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(65535)

    with pytest.raises(WrongLengthError):
        b"".join(zipped([Member("A", 65535 * 3, endless)]))


def test_more_members_than_sixteen_bits_count() -> None:
    members = [member(f"DICOM/I{number:07d}", b"%d" % number) for number in range(65_540)]
    file = b"".join(zipped(members))
    assert len(file) == length_of(members)
    assert b"PK\x06\x06" in file[-200:], "Zip64 end of central directory"
    with zipfile.ZipFile(io.BytesIO(file)) as read:
        assert len(read.namelist()) == 65_540
        assert read.read("DICOM/I0065539") == b"65539"


@pytest.mark.parametrize("count", [65_534, 65_535])
def test_the_old_end_is_enough_below_that(count: int) -> None:
    members = [member(f"I{number:07d}", b"") for number in range(count)]
    file = b"".join(zipped(members))
    assert (b"PK\x06\x06" in file[-200:]) == (count == 65_535)
    with zipfile.ZipFile(io.BytesIO(file)) as read:
        assert len(read.namelist()) == count


class Sparse(io.RawIOBase):
    """What a zip of gigabytes is read from: pieces that are all zeros are not kept."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, bytes]] = []
        self._length = 0
        self._place = 0

    def take(self, piece: bytes) -> None:
        """The next piece of the file."""
        if len(piece) < 1000 or piece.count(0) < len(piece) * 0.99:
            self._kept.append((self._length, piece))
        self._length += len(piece)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = (0, self._place, self._length)[whence] + offset
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        end = min(self._place + len(buffer), self._length)
        for start, piece in self._kept:
            if start <= self._place < start + len(piece):
                end = min(end, start + len(piece))
                taken = piece[self._place - start : end - start]
                buffer[: len(taken)] = taken
                self._place += len(taken)
                return len(taken)
        assert self._place == self._length, "nobody should read the zeros"
        return 0


def test_more_than_four_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member of over 4 GiB and one behind it, in constant memory. Checksums are left out, as they take long."""
    monkeypatch.setattr(zip_stream.zlib, "crc32", lambda data, start=0: 7)
    block, blocks = bytes(65535 * 256), 300
    members = [
        Member("DICOM/LARGE", len(block) * blocks, lambda: (block for _ in range(blocks))),
        member("DICOM/SMALL", b"behind"),
    ]
    file = Sparse()
    tracemalloc.start()
    try:
        for piece in zipped(members):
            file.take(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20
    assert file.seek(0, 2) == length_of(members) > 1 << 32
    with zipfile.ZipFile(file) as read:  # type: ignore[arg-type]
        large, small = read.infolist()
        assert large.file_size == len(block) * blocks
        assert small.header_offset > 1 << 32
        with file_at(file, small.header_offset) as head:
            assert head.read(4) == b"PK\x03\x04"


def file_at(file: Sparse, offset: int) -> io.BufferedReader:
    """The file from this place."""
    file.seek(offset)
    return io.BufferedReader(file)
