"""Whether the disk takes anything more, and where workers share their metrics when it does not.

A disk that is full, or mounted read-only, is no reason to keep images from those who need them: the archive then starts
all the same, to be read only, and looks every while whether it can be written again.

Metrics are shared in files that are mapped into memory. On a full disk the system ends who writes to a part of such a
file that has no place on the disk yet (SIGBUS), so each worker's files get theirs before it begins.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from archive import config
from archive.dicom.errors import ConfigurationError
from archive.services.throughput import FILE_BYTES, PREFIX

WANTED_BYTES = 1 << 20
"""The index needs a little to be opened at all."""
WANTED_FILES = 16
"""So do those beside it, and the metrics of each worker."""
KINDS = ("counter", "histogram", "gauge_mostrecent")
METRICS_BYTES = 1 << 18
"""Of one kind in one process; what is used now takes a third."""

_TAKES_NOTHING = (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO)
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
_METRICS = "archive-metrics-"
_NEW = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC

log = structlog.get_logger()


def why_not(folders: Iterable[Path]) -> str:
    """Why nothing can be written to one of these folders; empty when all can be written. Raises ConfigurationError for
    what does not pass by itself."""
    for folder in folders:
        try:
            _try(folder)
        except FileNotFoundError:
            continue  # it will be made
        except OSError as error:
            if error.errno in _TAKES_NOTHING:
                return error.strerror or "it fails"
            raise ConfigurationError(
                f"folder {folder} cannot be written: {error.strerror}; choose another data folder with --data"
            ) from None
    return ""


def _try(folder: Path) -> None:
    files = os.statvfs(folder)
    if files.f_files and files.f_favail < WANTED_FILES:
        raise OSError(errno.ENOSPC, "it can hold no more files")
    path = folder / f"room-{os.getpid()}"
    descriptor = os.open(path, _NEW, 0o600)
    try:
        _take(descriptor, WANTED_BYTES)
    finally:
        os.close(descriptor)
        path.unlink()


def memory_folder() -> Path:
    """A new folder for metrics that needs no disk, where there is such a thing: whoever counts on a disk that hangs
    waits for it, and what counts is the loop that answers everybody."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix=_METRICS, dir=place))


@contextlib.contextmanager
def metrics_folder(link: Path) -> Iterator[Path]:
    """One for as long as it is used. `link` leads to it, by which the next run finds what one that was killed has
    left, and removes it: an earlier run would be counted again."""
    if link.is_symlink():
        with contextlib.suppress(OSError):
            before = link.readlink()
            if before.name.startswith(_METRICS) and before.lstat().st_uid == os.getuid():
                shutil.rmtree(before)
    else:
        shutil.rmtree(link, ignore_errors=True)  # of an earlier version
    made = memory_folder()
    try:
        with contextlib.suppress(OSError):  # then a run that is killed leaves it
            link.unlink(missing_ok=True)
            link.symlink_to(made)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def share_metrics(folder: Path) -> None:
    """Let this process share its metrics with others, or keep them to itself where that has no room. Before it counts
    anything."""
    try:
        for kind in KINDS:
            _keep_room(folder / f"{kind}_{os.getpid()}.db")
    except OSError as error:
        log.warning("metrics not shared", reason=error.strerror)
        with contextlib.suppress(OSError):
            folder = memory_folder()
    config.share_metrics(folder)


def shared_counts(folder: Path, post: str) -> Path | None:
    """The file in which a post counts what passes it, which its worker finds as the one before has left it; None where
    there is no room for it."""
    path = folder / f"{PREFIX}{post}"
    try:
        if not path.exists() or path.stat().st_size != FILE_BYTES:
            _keep_room(path, FILE_BYTES)
    except OSError as error:
        log.warning("throughput not shared", reason=error.strerror)
        return None
    return path


def _keep_room(path: Path, size: int = METRICS_BYTES) -> None:
    """prometheus-client takes a file as long as it is."""
    descriptor = os.open(path, _NEW, 0o600)
    try:
        _take(descriptor, size)
    finally:
        os.close(descriptor)


def _take(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.pwrite(descriptor, bytes(size), 0)  # there are file systems that cannot
