"""A folder of backups: the bytes once, and for each backup the index of that moment with the digests of all that
belongs to it.

    objects/<aa>/<bb>/<random>          every blob of any backup; a blob never changes, so it is copied once
    backups/<moment>/index.sqlite       the index
    backups/<moment>/notes.jsonl        the notes beside the blobs
    backups/<moment>/SHA256SUMS         a line for each of these files, as `sha256sum --check` reads it
    backups/<moment>/backup.json        what the backup holds, and the digest of SHA256SUMS

What is not whole is called `<moment>.unfinished`. Its list is in the order of keys like every other, so that the next
backup need not copy anew what it names.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import heapq
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.storage.folders import make_folder, sync_folder

SUMS, FACTS, INDEX, NOTES = "SHA256SUMS", "backup.json", "index.sqlite", "notes.jsonl"
UNFINISHED = ".unfinished"
_LINE = re.compile(r"([0-9a-f]{64})  objects/([0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{32})\n")
_PIECE = 1 << 20


class BackupFolder:
    """The folder. Raises OutOfResources where it cannot be read or written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = root / "objects"
        self._backups = root / "backups"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One backup at a time. Raises ConfigurationError when another is being made."""
        with using("the backup folder cannot be written"):
            for folder in (self.root, self.objects, self._backups):
                make_folder(folder)
            for folder in (self.root.absolute().parent, self.root):
                with contextlib.suppress(PermissionError):  # what is above may be none of ours
                    sync_folder(folder)
        with locked(self.root / "lock", f"another backup into {self.root} is being made: wait for its end"):
            yield

    def moments(self) -> list[str]:
        """The backups that are whole, the last one last."""
        with using("the backup folder cannot be read"):
            found = self._backups.glob(f"*/{FACTS}") if self._backups.is_dir() else ()
            return sorted(path.parent.name for path in found if not path.parent.name.endswith(UNFINISHED))

    def of(self, moment: str) -> Path:
        """The folder of a backup. Raises ConfigurationError when there is none of that moment, or none at all."""
        known = self.moments()
        if not known:
            raise ConfigurationError(f"no backup in {self.root}")
        if moment and moment not in known:
            raise ConfigurationError(f"no backup of {moment}; there are: {', '.join(known[-10:])}")
        return self._backups / (moment or known[-1])

    def begin(self, moment: str) -> Path:
        """The folder of a backup that is being made."""
        with using("the backup folder cannot be written"):
            made = self._backups / f"{moment}{UNFINISHED}"
            make_folder(made)
            return made

    def finish(self, made: Path, facts: dict[str, Any]) -> Path:
        """The backup is whole; those that were not finished before it are not needed any more."""
        with using("the backup folder cannot be written"):
            sync_file(made / SUMS)
            told = {**facts, "sha256sums": digest_of(made / SUMS)}
            write(made / FACTS, orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n")
            sync_folder(made)
            whole = made.with_name(made.name.removesuffix(UNFINISHED))
            made.rename(whole)
            sync_folder(self._backups)
            for former in self._backups.glob(f"*{UNFINISHED}"):
                shutil.rmtree(former)
            return whole

    def known(self, made: Path) -> Iterator[tuple[str, str]]:
        """Key and digest of what the last backup, and those that were not finished, have of blobs; in the order of
        keys, and perhaps several times. `made` is the one whose next list is being written."""
        last = [self._backups / moment / SUMS for moment in self.moments()[-1:]]
        lists = [*last, made / SUMS, *(path for path in self._unfinished() if path.parent != made)]
        return heapq.merge(*(listed(path) for path in lists))

    def in_doubt(self) -> set[Path]:
        """The folders of blobs whose backup was not finished: their names may be in memory alone."""
        return {(self.objects / key).parent for path in self._unfinished() for key, _ in listed(path)}

    def _unfinished(self) -> list[Path]:
        return sorted(self._backups.glob(f"*{UNFINISHED}/{SUMS}*"))

    def facts(self, moment: str) -> dict[str, Any]:
        """What the backup of a moment says of itself. Raises what `of` does, and OutOfResources where it is damaged."""
        place = self.of(moment)
        with using("the backup cannot be read"):
            try:
                told = dict(orjson.loads((place / FACTS).read_bytes()))
                is_whole = digest_of(place / SUMS) == told["sha256sums"]
            except (orjson.JSONDecodeError, KeyError, FileNotFoundError):
                is_whole = False
        if not is_whole:
            raise OutOfResources(f"the backup {place} is damaged: restore another (--backup)")
        return told


def listed(path: Path) -> Iterator[tuple[str, str]]:
    """Key and digest of the blobs in a list; a line that is not whole is no line."""
    with contextlib.suppress(FileNotFoundError), path.open() as lines:
        for line in lines:
            match = _LINE.fullmatch(line)
            if match is not None:
                yield match[2], match[1]


def line(digest: str, name: str) -> str:
    """As `sha256sum` writes it."""
    return f"{digest}  {name}\n"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def copy(
    pieces: Iterable[bytes], path: Path, written_at: float, is_wanted: Callable[[str], bool] = bool
) -> str:
    """Write a file, durably but for its name; its SHA-256, by which it is asked whether it is wanted: else nothing has
    changed. It is as old as what it is a copy of."""
    digest = hashlib.sha256()
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for piece in pieces:
            digest.update(piece)
            _write(descriptor, piece)
        os.utime(descriptor, (written_at, written_at))
        os.fsync(descriptor)
        if is_wanted(digest.hexdigest()):
            part.rename(path)
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)
    return digest.hexdigest()


def write(path: Path, data: bytes) -> None:
    """A small file, durable but for its name."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_places(root: Path, folders: Iterable[Path]) -> None:
    """Make the names of blobs durable, with the folders that they lie in; `root` is that of all blobs."""
    some = set(folders)
    for folder in (*some, *{folder.parent for folder in some}, root, root.parent):
        if folder.is_dir():
            sync_folder(folder)


@contextlib.contextmanager
def locked(path: Path, why_not: str) -> Iterator[int]:
    """Hold a file alone, made when it is not there. Raises OutOfResources, ConfigurationError when another does."""
    with using("the lock cannot be made"):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(why_not) from None
        yield lock
    finally:
        os.close(lock)


@contextlib.contextmanager
def using(reason: str) -> Iterator[None]:
    """The operating system's errors become ours."""
    try:
        yield
    except OSError as error:
        raise OutOfResources(f"{reason}: {error.strerror}") from error


def _write(descriptor: int, data: bytes) -> None:
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])
