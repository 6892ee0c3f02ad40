"""Blobs as local files, on their way out: read, or passed on by the system to a connection without being read.

What is passed on is fetched before: the system then finds it in memory, and a disk that cannot read it has said so
while the error can still become a status.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from archive.dicom.errors import NotFound, OutOfResources

PIECE_SIZE = 256 * 1024
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalBlob:
    """A published blob; `os.pread` has no position, so threads need no lock."""

    def __init__(self, file: _File, length: int) -> None:
        self._file: _File | None = file
        self._descriptor = file.descriptor
        self._length = length

    @property
    def length(self) -> int:
        return self._length

    def read(self, offset: int, length: int) -> bytes:
        self._check(offset, length)
        with reading("a blob cannot be read"):
            first = os.pread(self._descriptor, length, offset)
            return first if len(first) == length else b"".join(self._read_on(first, offset, length))

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        end = offset + length
        for start in range(offset, end, PIECE_SIZE):
            yield self.read(start, min(PIECE_SIZE, end - start))

    def stretch(self, offset: int, length: int) -> LocalStretch:
        self._check(offset, length)
        assert self._file is not None, "open"
        return LocalStretch(LocalBlob(self._file, self._length), offset, length)

    def close(self) -> None:
        self._descriptor = -1
        self._file = None

    def __enter__(self) -> LocalBlob:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self._length:
            raise NotFound("the blob is shorter than that")

    def _read_on(self, piece: bytes, offset: int, length: int) -> Iterator[bytes]:
        while length > 0:
            if not piece:
                raise NotFound("the blob is shorter than it was when it was opened")
            yield piece
            offset += len(piece)
            length -= len(piece)
            piece = os.pread(self._descriptor, length, offset)


class LocalStretch:
    """A part of a file, which stays open for it when the blob is closed."""

    def __init__(self, blob: LocalBlob, offset: int, length: int) -> None:
        self._blob = blob
        self.offset = offset
        self.length = length

    @property
    def descriptor(self) -> int:
        return self._blob._descriptor

    def fetch(self) -> bool:
        try:
            if self._is_fetched():
                return True
        except (OSError, AttributeError):
            pass  # there are file systems, and systems, that cannot
        self.read()
        return False

    def read(self) -> bytes:
        return self._blob.read(self.offset, self.length)

    def close(self) -> None:
        self._blob.close()

    def _is_fetched(self) -> bool:
        """To pass it on to nowhere brings it into memory and copies nothing."""
        nowhere, position, left = _nowhere(), self.offset, self.length
        while left > 0 and (passed := os.sendfile(nowhere, self.descriptor, position, left)):
            position += passed
            left -= passed
        return left == 0


class _File:
    """Closed when nobody holds it any more: the blob, or a stretch that is being sent."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


@functools.cache
def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def opened(path: Path | str) -> LocalBlob:
    """Raises NotFound, OutOfResources."""
    with reading("a blob cannot be opened"):
        file = _File(os.open(path, OPEN_FILE))
        return LocalBlob(file, os.fstat(file.descriptor).st_size)


def length(path: str) -> int:
    """-1 where that cannot be told."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return -1


def examined(path: Path | str) -> Iterator[bytes]:
    """All bytes, as the disk has them: what the system has in memory is dropped before, and what is read here does not
    displace what others need. Raises NotFound, OutOfResources."""
    with opened(path) as blob:
        _forget(blob)
        yield from blob.pieces(0, blob.length)
        _forget(blob)


def _forget(blob: LocalBlob) -> None:
    with contextlib.suppress(OSError):  # it is advice, which not every file system takes
        os.posix_fadvise(blob._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def reading(reason: str) -> Iterator[None]:
    """The operating system's errors become ours, the path stays out of the sentence; a file that is missing is news
    about that file."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{reason}: {error.strerror}") from error
    except OSError as error:
        raise OutOfResources(f"{reason}: {error.strerror}") from error
