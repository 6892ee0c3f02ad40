"""Blobs that were set aside: quarantine/<aa>-<bb>-<random>.dcm, and what is known of each in a note beside it.

They are out of the way of everything that serves objects, and wait for a person; nothing here ever removes their bytes.
The note is safe before the blob leaves its place, and the blob has its new name before it loses the old one: a crash
leaves it in one of the two places, or in both, and then doing it again goes on from there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from archive.dicom.errors import NotFound, OutOfResources
from archive.storage.base import ASIDE_HEAD, SetAside
from archive.storage.local_blob import reading

_NAME = re.compile(r"([0-9a-f]{2})-([0-9a-f]{2})-([0-9a-f]{32})(?:-(\d+))?\.dcm")
_NOTE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

MakeDurable = Callable[[Path], None]


class Quarantine:
    """The folder, and what is in it. `make` makes a folder with its parents, durably; `sync` makes its entries so. What
    the operating system raises is left to the caller, who knows what was being done."""

    def __init__(self, folder: Path, make: MakeDurable, sync: MakeDurable) -> None:
        self.folder = folder
        self._make = make
        self._sync = sync

    def take(self, key: str, blob: Path, reason: str) -> None:
        """Set a blob aside. Raises FileNotFoundError when it is not there."""
        blob.lstat()
        self._make(self.folder)
        self._sync(self.folder.parent)  # another process may have made it, and not yet have synced it
        with self._alone():
            place = next(place for place in self._places(key) if not place.exists() or place.samefile(blob))
            self._write_note(place, {"key": key, "reason": reason, "at": time.time()})
            with contextlib.suppress(FileExistsError):
                os.link(blob, place, follow_symlinks=False)
            self._sync(self.folder)
            blob.unlink()
            self._sync(blob.parent)

    def give_back(self, key: str, blob: Path) -> None:
        """Put what was set aside last under this key back into its place. Raises FileNotFoundError when nothing was,
        and FileExistsError where there is something."""
        with self._alone():
            *_, place = (self.folder, *itertools.takewhile(Path.exists, self._places(key)))
            if place is self.folder:
                raise FileNotFoundError
            self._make(blob.parent)
            for parent in (blob.parent.parent, blob.parent.parent.parent):
                self._sync(parent)  # whoever made the folder may not have come to that
            if not (blob.exists() and place.samefile(blob)):
                os.link(place, blob, follow_symlinks=False)
            self._sync(blob.parent)
            place.unlink()
            place.with_suffix(".json").unlink(missing_ok=True)
            self._sync(self.folder)

    def all(self) -> Iterator[SetAside]:
        """What is here, in the order of names. Raises OutOfResources."""
        with contextlib.suppress(NotFound), reading("the quarantine cannot be read"):
            for name in sorted(os.listdir(self.folder)):
                if match := _NAME.fullmatch(name):
                    yield _set_aside("/".join(match.group(1, 2, 3)), self.folder / name)

    def delete(self, belongs: Callable[[SetAside, bytes], bool]) -> int:
        """Remove what belongs to what is deleted; how many."""
        found = [one for one in self.all() if belongs(one, self._head(one))]
        if found:
            with self._alone():
                for one in found:
                    place = self.folder / one.name
                    place.unlink(missing_ok=True)
                    place.with_suffix(".json").unlink(missing_ok=True)
                self._sync(self.folder)
        return len(found)

    def _head(self, one: SetAside) -> bytes:
        try:
            with (self.folder / one.name).open("rb") as file:
                return file.read(ASIDE_HEAD)
        except FileNotFoundError:
            return b""

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Of two who move the same blob to and fro, one would take away what the other has just put there. Raises
        OutOfResources while another is at it, FileNotFoundError without a folder."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutOfResources("another process is at the quarantine: try again in a moment") from None
            yield
        finally:
            os.close(descriptor)

    def _places(self, key: str) -> Iterator[Path]:
        """Under which a blob of this key may be: one that was restored may have to be set aside again."""
        name = key.replace("/", "-")
        yield self.folder / f"{name}.dcm"
        for number in itertools.count(2):
            yield self.folder / f"{name}-{number}.dcm"

    def _write_note(self, place: Path, note: dict[str, object]) -> None:
        text = orjson.dumps(note, option=orjson.OPT_INDENT_2) + b"\n"
        descriptor = os.open(place.with_suffix(".json"), _NOTE, 0o600)
        try:
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _set_aside(key: str, place: Path) -> SetAside:
    """The note may be lost; the blob is here all the same."""
    try:
        note = orjson.loads(place.with_suffix(".json").read_bytes())
        return SetAside(key, place.name, str(note["reason"]), float(note["at"]))
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return SetAside(key, place.name, "its note is missing", place.lstat().st_ctime)
