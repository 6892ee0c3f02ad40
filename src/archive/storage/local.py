"""Blobs as local files: spool/<random>.part while they come in, objects/<aa>/<bb>/<random> once they are
safe, quarantine/… when they are set aside.

The order is the one that survives a power cut: bytes, fsync of the file, link under its final name, fsync of
the folder. `link` and not `rename`, because it never replaces what is there. A failed fsync is never tried
again: the kernel may have dropped the pages it could not write and would call the second attempt a success.

To spare each blob a new folder (and the fsync of that folder's parent), a store fills one random folder with
a thousand blobs before it picks the next.

Blobs published together take each step together, and the disk has the bytes of all before one is waited for, so that
the file system writes its journal once, not once a blob: 20 of 48 KB take 0.2 ms each so, and 2 ms one by one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from archive.dicom.errors import ConfigurationError, NotFound, OutOfResources
from archive.storage import syncing
from archive.storage.base import SetAside, Stat
from archive.storage.folders import make_folder as _make_folder
from archive.storage.folders import sync_folder as _sync_folder
from archive.storage.local_blob import OPEN_FILE, LocalBlob, examined, length, opened, reading
from archive.storage.local_quarantine import Quarantine
from archive.storage.local_room import ROOM_CHECK_INTERVAL, Room, why_no_links, writing
from archive.storage.local_spool import LocalSpool, Piece

BLOBS_PER_FOLDER = 1024
WRITE_SIZE = 256 * 1024
WRITE_BEHIND = 32 * 1024 * 1024
"""So much of a blob is in memory alone until the disk begins with it."""

CHECKED_BYTES = 4096
"""Written and synced to see whether a blob could be."""

_FOLDER = re.compile(r"[0-9a-f]{2}")
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{32}")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalStore:
    """A BlobStore in a folder of this machine; see storage/base for what it promises.

    Several processes may share the folder. `minimum_free_bytes` is the low-water mark: below it nothing new
    is taken in, so that the index beside it can still write; `index_folder` is where that is, if it may be on another
    disk. Raises OutOfResources if the folder cannot be made, ConfigurationError if what is in the spool cannot go to
    the objects. Without `make` it must be there: where a disk was not mounted, or is gone, what is stored beneath its
    mount point would be lost to it.
    """

    def __init__(
        self,
        root: Path,
        *,
        minimum_free_bytes: int = 0,
        index_folder: Path | None = None,
        make: bool = True,
    ) -> None:
        self._objects = root / "objects"
        self._spool = root / "spool"
        self._quarantine = Quarantine(root / "quarantine", _make_folder, _sync_folder)
        self._lock = threading.Lock()
        self._folder = ""
        self._places_left = 0
        if make:
            self._make(root)
        self._room = Room(minimum_free_bytes, self._spool, index_folder)

    def _make(self, root: Path) -> None:
        """Durably, also where whoever made some of it did not come to the end."""
        with writing("the store's folder cannot be made"):
            if not self._objects.is_dir():
                _make_folder(root)
                for parent in root.resolve().parents:
                    with contextlib.suppress(OSError):  # not ours, and not to be read by all
                        _sync_folder(parent)
            for folder in (self._objects, self._spool):
                _make_folder(folder)
            _sync_folder(root)
        if reason := self._why_no_links():
            raise ConfigurationError(reason)

    def create(self) -> LocalBlobWriter:
        self._room.check()
        with writing("no new file can be opened in the store"):
            folder, name = self._take_place(), secrets.token_hex(16)
            spooled = f"{self._spool}/{name}.part"
            descriptor = os.open(spooled, _NEW_FILE, 0o600)
            writer = LocalBlobWriter(self, f"{folder}/{name}", descriptor, spooled)
            try:
                # Held until the writer ends, however it ends: `sweep` sees by it whether anybody is still writing.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                writer.discard()
                raise
        return writer

    def publish_all(self, writers: Sequence[Any]) -> list[OutOfResources | None]:
        if len(writers) < 2:
            return [_fault(writer.publish) for writer in writers]
        faults = [_fault(writer._hand_to_disk) for writer in writers]
        synced = syncing.each(lambda writer: _fault(writer._sync), writers)
        faults = [fault or unsafe for fault, unsafe in zip(faults, synced, strict=True)]
        faults = [fault or _fault(writer._link) for fault, writer in zip(faults, writers, strict=True)]
        folders = {writer._folder for fault, writer in zip(faults, writers, strict=True) if not fault}
        unsafe = {folder: _fault(_sync_folder, folder) for folder in folders}
        for at, writer in enumerate(writers):
            faults[at] = faults[at] or unsafe[writer._folder] or _fault(writer._close)
            writer._leave_spool()
        if any(faults):
            self._leave_folder()
        return faults

    def open(self, key: str) -> LocalBlob:
        self._check(key)
        return opened(f"{self._objects}/{key}")

    def stat(self, key: str) -> Stat:
        self._check(key)
        with reading("a blob cannot be looked at"):
            found = os.lstat(f"{self._objects}/{key}")
        return Stat(found.st_size, max(found.st_mtime, found.st_ctime), found.st_mtime)

    def lengths(self, keys: Sequence[str]) -> list[int]:
        for key in keys:
            self._check(key)
        return [length(f"{self._objects}/{key}") for key in keys]

    def examine(self, key: str) -> Iterator[bytes]:
        self._check(key)
        return examined(f"{self._objects}/{key}")

    def spool(self) -> LocalSpool:
        self._room.check()
        with writing("no spool can be opened in the store"):
            path = self._spool / f"{secrets.token_hex(16)}.part"
            descriptor = os.open(path, _NEW_FILE & ~os.O_WRONLY | os.O_RDWR, 0o600)
            spool = LocalSpool(self._room, descriptor)
            try:
                path.unlink()
            except OSError:
                spool.close()
                raise
        return spool

    def delete(self, key: str) -> None:
        self.delete_all((key,))

    def delete_all(self, keys: Sequence[str]) -> None:
        with writing("a blob cannot be removed"):
            for folder in {self._remove(key) for key in keys}:
                with contextlib.suppress(FileNotFoundError):
                    _sync_folder(folder)

    def _remove(self, key: str) -> Path:
        """Where it was, which is to be synced: also when it is not there, as whoever removed it may have died then."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        return path.parent

    def keys(self) -> Iterator[str]:
        with reading("the store cannot be read"):
            for outer in _names(self._objects):
                for inner in _names(self._objects / outer) if _FOLDER.fullmatch(outer) else ():
                    for name in _names(self._objects / outer / inner) if _FOLDER.fullmatch(inner) else ():
                        if _KEY.fullmatch(key := f"{outer}/{inner}/{name}"):
                            yield key

    def set_aside(self, key: str, reason: str) -> None:
        path = self._path(key)
        with writing("a blob cannot be set aside"), _missing("there is no such blob"):
            self._quarantine.take(key, path, reason)

    def put_back(self, key: str) -> None:
        path = self._path(key)
        with writing("a blob cannot be put back"), _missing("nothing is set aside under this key"):
            self._quarantine.give_back(key, path)

    def aside(self) -> Iterator[SetAside]:
        return self._quarantine.all()

    def delete_aside(self, belongs: Callable[[SetAside, bytes], bool]) -> int:
        with writing("what was set aside cannot be removed"):
            return self._quarantine.delete(belongs)

    def sweep(self, older_than_seconds: float) -> int:
        limit = time.time() - older_than_seconds
        removed = 0
        with writing("the spool cannot be swept"):
            for path in self._spool.glob("*.part"):
                with contextlib.suppress(OSError):  # gone meanwhile, or not ours: the others are swept
                    if path.lstat().st_mtime <= limit and _is_abandoned(path):
                        path.unlink()
                        removed += 1
        return removed

    def check(self) -> None:
        writer = self.create()
        try:
            writer.write(bytes(CHECKED_BYTES))
            writer._flush()
            with writing("a blob cannot be made durable"):
                writer._sync()
        finally:
            writer.discard()
        if reason := self._why_no_links():
            raise OutOfResources(reason)

    def _why_no_links(self) -> str:
        return why_no_links(self._spool, self._objects, self._quarantine.folder)

    def _path(self, key: str) -> Path:
        self._check(key)
        return self._objects / key

    def _check(self, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise NotFound("no blob can have such a key")

    def _take_place(self) -> str:
        with self._lock:
            if self._places_left == 0:
                self._folder = self._new_folder()
                self._places_left = BLOBS_PER_FOLDER
            self._places_left -= 1
            return self._folder

    def _leave_folder(self) -> None:
        with self._lock:
            self._places_left = 0

    def _new_folder(self) -> str:
        """Made durable even if it was there: another process may have made it and not yet have synced it."""
        name = f"{secrets.token_hex(1)}/{secrets.token_hex(1)}"
        inner = self._objects / name
        for folder in (inner.parent, inner):
            folder.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(folder.parent)
        return name


class LocalBlobWriter:
    """A blob on its way in; small pieces are collected, so that the system is called once per 256 KiB."""

    def __init__(self, store: LocalStore, key: str, descriptor: int, spooled: str) -> None:
        self._store = store
        self._key = key
        self._descriptor = descriptor
        self._spooled = spooled
        self._folder = f"{store._objects}/{key.rpartition('/')[0]}"
        self._final = f"{store._objects}/{key}"
        self._pending = bytearray()
        self._until_room_check = ROOM_CHECK_INTERVAL
        self._length = 0
        self._written_behind = 0

    @property
    def key(self) -> str:
        return self._key

    def write(self, piece: Piece) -> None:
        if not self._pending and len(piece) >= WRITE_SIZE:
            self._write_out(piece)
            return
        self._pending += piece
        if len(self._pending) >= WRITE_SIZE:
            self._flush()

    def read_back(self) -> LocalBlob:
        self._flush()
        return opened(self._spooled)

    def publish(self) -> None:
        self._flush()
        try:
            with writing("a blob cannot be made durable"):
                self._sync()
                self._link()
                _sync_folder(self._folder)
                self._close()
        except OutOfResources:
            self._store._leave_folder()
            raise
        self._leave_spool()

    def discard(self) -> None:
        self._pending.clear()
        for path in (self._spooled, self._final):
            with contextlib.suppress(OSError):
                os.unlink(path)
        with contextlib.suppress(OSError):
            self._close()

    def _hand_to_disk(self) -> None:
        self._flush()
        self._write_behind()

    def _sync(self) -> None:
        os.fsync(self._descriptor)

    def _link(self) -> None:
        os.link(self._spooled, self._final, follow_symlinks=False)

    def _leave_spool(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._spooled)

    def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        self._write_out(pending)

    def _write_out(self, piece: Piece) -> None:
        self._until_room_check -= len(piece)
        if self._until_room_check < 0:
            self._until_room_check = ROOM_CHECK_INTERVAL
            self._store._room.check()
        with writing("a blob cannot be written"), memoryview(piece) as view:
            written = 0
            while written < len(view):
                written += os.write(self._descriptor, view[written:])
            self._length += written
            if self._length - self._written_behind >= WRITE_BEHIND:
                self._write_behind()

    def _write_behind(self) -> None:
        """Let the disk begin with what came last while the rest is coming; the system would leave gigabytes to the
        sync. On Linux that is what it does when told that they are not needed soon; until they are on the disk, they
        stay in memory nevertheless."""
        begin, self._written_behind = self._written_behind, self._length
        with contextlib.suppress(OSError):  # it is advice, which not every file system takes
            os.posix_fadvise(self._descriptor, begin, self._length - begin, os.POSIX_FADV_DONTNEED)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _names(folder: Path) -> list[str]:
    """In a folder; in what is none, or is not there, nothing. One that cannot be read is no empty one."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_abandoned(spooled: Path) -> bool:
    descriptor = os.open(spooled, OPEN_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _fault(step: Callable[..., None], *given: Any) -> OutOfResources | None:
    """What goes wrong in a step of publishing."""
    try:
        with writing("a blob cannot be made durable"):
            step(*given)
    except OutOfResources as error:
        return error
    return None


@contextlib.contextmanager
def _missing(reason: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(reason) from error
