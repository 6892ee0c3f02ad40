"""Disks whose power can be cut: an ext4 image, mounted through a loop device, and copied as it is at one moment.

What the copy holds is what a disk would hold if the power failed then: all that the file system had handed to its
device. What was only in the system's memory (pages nobody has synced, the journal's open transaction) is missing, and
the journal is replayed when the copy is mounted. Nothing here calls `sync`, which would write just that.

Who writes is stopped before (SIGSTOP). The kernel writes by itself, every 5 and 30 seconds; so that no copy is of two
moments, it is made until it is like the image from beginning to end. The disk is one without a cache of its own: what
it has been given survives. `lossy_disk` supposes less.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

MIB = 1 << 20
_PIECE = 4 * MIB
_ATTEMPTS = 50
_LET_GO_SECONDS = 10.0


class CannotMount(Exception):
    """This machine lets us mount nothing; the reason begins with "this machine cannot"."""


class Disk:
    """An image, mounted at `folder` as long as the context that made it lasts, or until `unmount`."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image = image
        self.folder = folder

    def copy_to(self, image: Path) -> int:
        """What a power cut now would leave; how many copies it took. Whoever writes to the disk must have been
        stopped."""
        for attempt in range(1, _ATTEMPTS + 1):
            extents = _copy(self.image, image)
            if _extents(self.image) == extents and _is_like(self.image, image, extents):
                return attempt
        raise CannotMount("this machine cannot keep a disk still for the time of a copy")

    def unmount(self) -> None:
        """Safe to call twice. Whoever used it must have ended; the system may take a moment to notice."""
        deadline = time.monotonic() + _LET_GO_SECONDS
        while os.path.ismount(self.folder):
            try:
                _run("umount", str(self.folder))
            except CannotMount:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def make(image: Path, size: int) -> Path:
    """An empty ext4 file system. All of it is written now: nothing is left for the kernel to do later."""
    with image.open("wb") as file:
        file.truncate(size)
    options = ["-N", "32768", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"]
    _run("mkfs.ext4", "-q", "-F", *options, str(image))
    return image


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Disk]:
    """Mount an image; the journal of one that was in use is replayed. Raises CannotMount."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "ext4", "-o", "loop", str(image), str(folder))
    disk = Disk(image, folder)
    try:
        yield disk
    finally:
        disk.unmount()


def check(image: Path) -> str:
    """What e2fsck has to say against a file system once its journal is replayed; nothing if all is well. It may still
    be mounted: another process's mount namespace can keep it when ours has let go."""
    copy = image.with_suffix(".check")
    try:
        Disk(image, image.parent).copy_to(copy)
        for options in (("-y", "-E", "journal_only"), ("-f", "-n")):
            command = ["e2fsck", *options, str(copy)]
            done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
        return "" if done.returncode == 0 else done.stdout + done.stderr
    finally:
        copy.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> list[tuple[int, int]]:
    """A sparse copy; the extents that have data."""
    target.unlink(missing_ok=True)
    extents = _extents(source)
    with source.open("rb") as reading, target.open("wb") as writing:
        os.ftruncate(writing.fileno(), source.stat().st_size)
        for begin, end in extents:
            at = begin
            while at < end:
                at += os.copy_file_range(reading.fileno(), writing.fileno(), end - at, at, at)
    return extents


def _extents(image: Path) -> list[tuple[int, int]]:
    found, at = [], 0
    with image.open("rb") as file, contextlib.suppress(OSError):  # ENXIO: no data from there on
        while True:
            begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            found.append((begin, at))
    return found


def _is_like(image: Path, copy: Path, extents: list[tuple[int, int]]) -> bool:
    with image.open("rb", buffering=0) as first, copy.open("rb", buffering=0) as second:
        return all(
            os.pread(first.fileno(), min(_PIECE, end - at), at)
            == os.pread(second.fileno(), min(_PIECE, end - at), at)
            for begin, end in extents
            for at in range(begin, end, _PIECE)
        )


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    except FileNotFoundError:
        raise CannotMount(f"this machine cannot do without {command[0]}") from None
    if done.returncode:
        raise CannotMount(f"this machine cannot {command[0]}: {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    """mkfs is not in every user's path."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
