"""What `archive import` is given: files, folders, zip files and media, as files that can be read one by one.

Nothing is unpacked and no name is ever made a path: a zip file's members are read where they are, and what a DICOMDIR
names is looked for among the files that were found. So neither can lead anywhere else.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from archive.cli.media import UNREADABLE, Container, Medium, media_of
from archive.dicom.errors import ConfigurationError
from archive.dicom.reading.directory import is_directory_name

LEADS_OUT = "a link or a name that leads out of the medium"
ENCRYPTED = "is encrypted: unpack it with its password, and import the folder"
NO_ZIP = "cannot be read as a zip file: copy it anew"
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"


@dataclass(frozen=True, slots=True)
class File:
    """One file; `path` is what it is called to people. `refused` says why it is not read."""

    path: Path
    open: Callable[[], IO[bytes]]
    refused: str = ""


@dataclass(slots=True)
class Gathered:
    """The files to import, and the media that they are on."""

    files: list[File] = field(default_factory=list)
    media: list[Medium[File]] = field(default_factory=list)


def gather(paths: Iterable[Path], opened: ExitStack) -> Gathered:
    """The files meant: each path, all regular files below it, all that is in it as a zip file, or all that it names as
    a DICOMDIR. Zip files stay open in `opened`. Raises ConfigurationError."""
    found = Gathered()
    for path in paths:
        if path.is_dir():
            _add(found, path, opened)
        elif not path.exists():
            raise ConfigurationError(f"{path}: no such file or folder")
        elif is_directory_name(path.name):
            _add_named(found, path)
        elif _is_zip(path):
            _add_zip(found, path, opened)
        else:
            found.files.append(_file(path))
    return found


def _add(found: Gathered, root: Path, opened: ExitStack) -> None:
    """A folder: what its media's directories name is compared with what is there."""
    container: Container[File] = Container(root)
    zips = []
    for path in _below(root):
        if path.suffix.lower() == ".zip" and _is_zip(path):
            zips.append(path)
        else:
            container.add(path.relative_to(root).parts, _file(path))
    media = media_of(container, lambda file: file.open())
    roots = [medium.root.resolve() for medium in media]
    found.files += [_within(roots, file) for file in _but_directories(container, media)]
    found.media += media
    for path in zips:
        _add_zip(found, path, opened)


def _add_named(found: Gathered, path: Path) -> None:
    """A DICOMDIR: just the files that it names."""
    container: Container[File] = Container(path.parent)
    for below in _below(path.parent):
        container.add(below.relative_to(path.parent).parts, _file(below))
    media = [medium for medium in media_of(container, lambda file: file.open()) if medium.path == path]
    found.media += media
    roots = [path.parent.resolve()]
    named = {file.path: file for medium in media for file in medium.files}
    found.files += [_within(roots, file) for file in named.values()]


def _add_zip(found: Gathered, path: Path, opened: ExitStack) -> None:
    try:
        archive = opened.enter_context(zipfile.ZipFile(path))
    except UNREADABLE:
        found.files.append(_file(path, NO_ZIP))
        return
    container: Container[File] = Container(path)
    for info in archive.infolist():
        if not info.is_dir():
            parts = tuple(part for part in info.filename.split("/") if part not in ("", "."))
            container.add(parts, _member(archive, info, path.joinpath(*parts), ".." in parts))
    media = media_of(container, lambda file: file.open())
    found.files += _but_directories(container, media)
    found.media += media


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, leads_out: bool) -> File:
    refused = LEADS_OUT if leads_out else ENCRYPTED if info.flag_bits & 1 else ""
    return File(path, partial(archive.open, info), refused)


def _but_directories(container: Container[File], media: Iterable[Medium[File]]) -> list[File]:
    """A directory is no object to be stored."""
    directories = {medium.path for medium in media}
    return [file for file in container.files() if file.path not in directories]


def _within(roots: Iterable[Path], file: File) -> File:
    """A medium comes from strangers: a link on it may point to anything that this machine can read."""
    if not file.path.is_symlink():
        return file
    place = file.path.resolve()
    if any(
        file.path.parent.resolve().is_relative_to(root) and not place.is_relative_to(root) for root in roots
    ):
        return File(file.path, file.open, LEADS_OUT)
    return file


def _file(path: Path, refused: str = "") -> File:
    return File(path, lambda: path.open("rb"), refused)


def files(paths: Iterable[Path]) -> list[Path]:
    """Each path, or all regular files below it. Raises ConfigurationError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += _below(path)
        elif path.exists():
            found.append(path)
        else:
            raise ConfigurationError(f"{path}: no such file or folder")
    return found


def _below(folder: Path) -> list[Path]:
    """Every file; and each folder that cannot be read, which is then named in the summary."""
    unreadable: list[Path] = []
    found = []
    for parent, _, names in os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename))):
        found += [path for name in names if (path := Path(parent, name)).is_file()]
    return sorted(found + unreadable)


def _is_zip(path: Path) -> bool:
    """By its first bytes; those of a DICOM file may be anything (PS3.10 7.1)."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    return head[:4] in (_ZIP, _EMPTY_ZIP) and head[128:] != b"DICM"
