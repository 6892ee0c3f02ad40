"""Blobs as local files: spool/<random>.part while they come in, objects/<aa>/<bb>/<random> once they are
safe.

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

from archive.dicom.errors import NotFound, OutOfResources
from archive.storage import syncing
from archive.storage.local_blob import OPEN_FILE, PIECE_SIZE, LocalBlob, opened, reading

BLOBS_PER_FOLDER = 1024
WRITE_SIZE = 256 * 1024
ROOM_CHECK_INTERVAL = 4 * 1024 * 1024
"""So much comes in until the room is looked at again: a hundred senders at a time stay within a reserve of 1 GiB."""

WRITE_BEHIND = 32 * 1024 * 1024
"""So much of a blob is in memory alone until the disk begins with it."""

_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{32}")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Piece = bytes | bytearray | memoryview


class LocalStore:
    """A BlobStore in a folder of this machine; see storage/base for what it promises.

    Several processes may share the folder. `minimum_free_bytes` is the low-water mark: below it nothing new
    is taken in, so that the index beside it can still write. Raises OutOfResources if the folder cannot be
    made.
    """

    def __init__(self, root: Path, *, minimum_free_bytes: int = 0) -> None:
        self._objects = root / "objects"
        self._spool = root / "spool"
        self._minimum_free_bytes = minimum_free_bytes
        self._lock = threading.Lock()
        self._folder = ""
        self._places_left = 0
        with _writing("the store's folder cannot be made"):
            for folder in (root, self._objects, self._spool):
                _make_folder(folder)

    def create(self) -> LocalBlobWriter:
        self._check_room()
        with _writing("no new file can be opened in the store"):
            folder, name = self._take_place(), secrets.token_hex(16)
            spooled = f"{self._spool}/{name}.part"
            descriptor = os.open(spooled, _NEW_FILE, 0o600)
            # Held until the writer ends, however it ends: `sweep` sees by it whether anybody is still writing.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return LocalBlobWriter(self, f"{folder}/{name}", descriptor, spooled)

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

    def spool(self) -> LocalSpool:
        self._check_room()
        with _writing("no spool can be opened in the store"):
            path = self._spool / f"{secrets.token_hex(16)}.part"
            descriptor = os.open(path, _NEW_FILE & ~os.O_WRONLY | os.O_RDWR, 0o600)
            path.unlink()
        return LocalSpool(self, descriptor)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _writing("a blob cannot be removed"):
            path.unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        with reading("the store cannot be read"):
            for path in self._objects.glob("*/*/*"):
                key = path.relative_to(self._objects).as_posix()
                if _KEY.fullmatch(key):
                    yield key

    def sweep(self, older_than_seconds: float) -> int:
        limit = time.time() - older_than_seconds
        removed = 0
        with _writing("the spool cannot be swept"):
            for path in self._spool.glob("*.part"):
                with contextlib.suppress(FileNotFoundError):
                    if path.lstat().st_mtime <= limit and _is_abandoned(path):
                        path.unlink()
                        removed += 1
        return removed

    def check(self) -> None:
        self.create().discard()

    def _check_room(self) -> None:
        with _writing("the free space of the store is unknown"):
            room = os.statvfs(self._spool)
        if room.f_bavail * room.f_frsize < self._minimum_free_bytes:
            raise OutOfResources("the store is below its minimum of free space")

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
            with _writing("a blob cannot be made durable"):
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
            self._store._check_room()
        with _writing("a blob cannot be written"), memoryview(piece) as view:
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


class LocalSpool:
    """A file without a name: however this process ends, the system takes it back."""

    def __init__(self, store: LocalStore, descriptor: int) -> None:
        self._store = store
        self._descriptor = descriptor
        self._length = 0
        self._until_room_check = ROOM_CHECK_INTERVAL

    @property
    def length(self) -> int:
        return self._length

    def write(self, piece: Piece) -> None:
        self._until_room_check -= len(piece)
        if self._until_room_check < 0:
            self._until_room_check = ROOM_CHECK_INTERVAL
            self._store._check_room()
        with _writing("the spool cannot be written"), memoryview(piece) as view:
            written = 0
            while written < len(view):
                written += os.pwrite(self._descriptor, view[written:], self._length + written)
        self._length += len(piece)

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        end = offset + length
        while offset < end:
            with _writing("the spool cannot be read"):
                piece = os.pread(self._descriptor, min(PIECE_SIZE, end - offset), offset)
            if not piece:
                raise OutOfResources("the spool is shorter than what was written to it")
            yield piece
            offset += len(piece)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _is_abandoned(spooled: Path) -> bool:
    descriptor = os.open(spooled, OPEN_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _make_folder(folder: Path) -> None:
    """With its parents, each durable."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path | str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(step: Callable[..., None], *given: Any) -> OutOfResources | None:
    """What goes wrong in a step of publishing."""
    try:
        with _writing("a blob cannot be made durable"):
            step(*given)
    except OutOfResources as error:
        return error
    return None


@contextlib.contextmanager
def _writing(reason: str) -> Iterator[None]:
    """The operating system's errors become ours; the path stays out of the sentence."""
    try:
        yield
    except OSError as error:
        raise OutOfResources(f"{reason}: {error.strerror}") from error
