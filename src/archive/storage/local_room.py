"""Whether there is room for one more blob: on the disk of the store, and on that of the index where it is another one.

Looked at before a disk is full, so that the index can still write what it has to: a deletion, the end of a job. Without
any room left a file of it that has grown in memory alone could not even be kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from archive.dicom.errors import OutOfResources

ROOM_CHECK_INTERVAL = 4 * 1024 * 1024
"""So much comes in until the room is looked at again: a hundred senders at a time stay within a reserve of 1 GiB."""

MINIMUM_FREE_FILES = 16
"""So many more files the disk must bear, as the index is opened with files beside it."""


class Room:
    """Of the disk of `folder`, and of that of `index_folder` where there is one and it is another."""

    def __init__(self, minimum_free_bytes: int, folder: Path, index_folder: Path | None) -> None:
        self._minimum_free_bytes = minimum_free_bytes
        self._disks = {"store": str(folder)}
        if index_folder is not None and _device(index_folder) != _device(folder):
            self._disks["index"] = str(index_folder)

    def check(self) -> None:
        """Raises OutOfResources unless there is enough of it."""
        for name, folder in self._disks.items():
            with writing(f"the free space of the {name} is unknown"):
                room = os.statvfs(folder)
            if room.f_flag & os.ST_RDONLY:
                raise OutOfResources(f"the disk of the {name} is read-only: see the system's log")
            if room.f_bavail * room.f_frsize < self._minimum_free_bytes:
                raise OutOfResources(f"the {name} is below its minimum of free space")
            if room.f_files and room.f_favail < MINIMUM_FREE_FILES:
                raise OutOfResources(f"the disk of the {name} can hold no more files")


def why_no_links(spool: Path, *folders: Path) -> str:
    """Why a file of the spool cannot get a second name in one of these, or nothing: as a mount of its own there, or a
    file system without such names, would let every store fail. Tried, as two mounts of one disk look the same."""
    probe = spool / f"{secrets.token_hex(16)}.part"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError:
        return ""  # whoever stores hears of that
    try:
        return next(filter(None, (_why_no_link(probe, folder) for folder in folders)), "")
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _why_no_link(probe: Path, folder: Path) -> str:
    try:
        os.link(probe, folder / probe.name)
        os.unlink(folder / probe.name)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return (
                f"{folder} is a file system of its own, beside {probe.parent}: "
                "mount the data folder as a whole, so that files can go from one to the other"
            )
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            return f"the file system of {folder} knows no hard links: move the data folder to one that does"
    return ""


@contextlib.contextmanager
def writing(reason: str) -> Iterator[None]:
    """The operating system's errors become ours; the path stays out of the sentence."""
    try:
        yield
    except OSError as error:
        raise OutOfResources(f"{reason}: {error.strerror}") from error


def _device(folder: Path) -> int:
    """The disk that a folder is on; 0 of one that is not there."""
    try:
        return folder.stat().st_dev
    except OSError:
        return 0
