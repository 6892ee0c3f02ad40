"""Media: what a DICOMDIR names, found among the files that are there (PS3.10 8)."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Generic, TypeVar

from archive.dicom.errors import ArchiveError
from archive.dicom.reading.directory import DirectoryReader, Listed, is_directory_name, plain_name

UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What reading a file raises, or a damaged or strange member of a zip file."""
LARGEST = 1 << 28
"""Bytes of a DICOMDIR; a few hundred for each file."""
_PIECE = 1 << 20

NOT_THERE = "named by the DICOMDIR, and not on the medium"
LEADS_OUT = "named by the DICOMDIR with a name that leads out of the medium"
AMBIGUOUS = "named by the DICOMDIR, and two files have this name"
ANOTHER = "the DICOMDIR names another instance here, which is nowhere on the medium"

T = TypeVar("T")
Parts = tuple[str, ...]


class Container(Generic[T]):
    """The files of a folder or zip file, by their paths within it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files: dict[Parts, T] = {}
        self._plain: dict[Parts, list[Parts]] = {}

    def add(self, parts: Parts, file: T) -> None:
        """One more file."""
        self._files[parts] = file
        self._plain.setdefault(_plain(parts), []).append(parts)

    def files(self) -> Collection[T]:
        """All of them, in the order in which they came."""
        return self._files.values()

    def directories(self) -> Iterator[tuple[Parts, T]]:
        """Those that are called like the directory of a file-set."""
        for parts, file in self._files.items():
            if parts and is_directory_name(parts[-1]):
                yield parts, file

    def find(self, above: Parts, file_id: Parts) -> list[T]:
        """What a File ID may mean, relative to the folder of its directory: one file is sure."""
        exact = self._files.get((*above, *file_id))
        if exact is not None:
            return [exact]
        return [self._files[parts] for parts in self._plain.get(_plain((*above, *file_id)), ())]


def _plain(parts: Parts) -> Parts:
    return tuple(map(plain_name, parts))


@dataclass(slots=True)
class Medium(Generic[T]):
    """A file-set with its directory at `path`. `fault` says why the directory cannot be read."""

    path: Path
    fault: str = ""
    listed: list[tuple[Listed, T]] = field(default_factory=list)
    missing: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The folder that the File IDs are relative to."""
        return self.path.parent

    @property
    def files(self) -> Iterator[T]:
        """What the directory names, as far as it is there."""
        return (file for _, file in self.listed)

    @property
    def named(self) -> int:
        """How many files the directory names."""
        return len(self.listed) + len(self.missing)


def media_of(container: Container[T], opened: Callable[[T], IO[bytes]]) -> list[Medium[T]]:
    """The media of a folder: one for each DICOMDIR in it."""
    media = []
    for parts, file in container.directories():
        medium: Medium[T] = Medium(container.root.joinpath(*parts))
        try:
            listed = _read(opened(file))
        except ArchiveError as error:
            medium.fault = error.reason
        except UNREADABLE as error:
            medium.fault = f"it is damaged or too long ({type(error).__name__})"
        else:
            _look_up(medium, container, parts[:-1], listed)
        media.append(medium)
    return media


def _read(file: IO[bytes]) -> list[Listed]:
    reader, length = DirectoryReader(), 0
    with closing(file):
        while piece := file.read(_PIECE):
            length += len(piece)
            if length > LARGEST:
                raise ValueError("too long")
            reader.feed(piece)
    return reader.finish()


def _look_up(medium: Medium[T], container: Container[T], above: Parts, listed: Iterable[Listed]) -> None:
    for one in listed:
        if one.leads_out:
            medium.missing.append((medium.path, LEADS_OUT))
            continue
        found = container.find(above, one.file_id)
        if len(found) == 1:
            medium.listed.append((one, found[0]))
        else:
            place = medium.root.joinpath(*one.file_id)
            medium.missing.append((place, AMBIGUOUS if found else NOT_THERE))
