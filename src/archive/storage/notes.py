"""Durable notes beside the blobs: what a file cannot say of itself, so that an index can be made from the files alone.

A blob without a note is simply what is stored. Noted is the rest: a version that is kept aside, was replaced, corrected
or rejected, or that nothing points to any more; and what was decided about such. That is rare, so all notes are lines
of one file, which is only added to: a checksum, the subject, the note. The last line about a subject counts. A line
that was torn by a power cut is no line; whoever wrote it did not hear that it was safe, and writes it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from archive.dicom.errors import OutOfResources
from archive.storage.folders import sync_folder

NAME = "notes.jsonl"
WORTH_TIDYING = 1 << 20


class Notes:
    """The notes of a store in a folder of this machine. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._tidied = 0
        self._named = 0, 0

    def append(self, told: Callable[[], Mapping[str, str]]) -> None:
        """Note what `told` says of each subject, each in one line of text. It is asked when nobody else writes notes,
        so that of two who ask the later one notes what is newer. Raises OutOfResources, and what it raises."""
        with _writing(), self._alone() as descriptor:
            lines = b"".join(_line(subject, text) for subject, text in told().items())
            if lines:
                # Behind an end of a line of its own, whatever a cut has left in front of it.
                _write(descriptor, b"\n" + lines)
                os.fsync(descriptor)

    def all(self) -> dict[str, str]:
        """Every subject that there is a note about, and the last of them. Raises OutOfResources."""
        with _writing():
            try:
                with self.path.open("rb") as file:
                    return dict(filter(None, map(_read, file)))
            except FileNotFoundError:
                return {}

    def tidy(self, is_needed: Callable[[str], bool]) -> bool:
        """Forget what later lines have made void, and all about subjects that are not needed any more; not as long as
        there is little of it. Raises OutOfResources."""
        with _writing():
            size = self.path.stat().st_size if self.path.exists() else 0
            if size < max(WORTH_TIDYING, 2 * self._tidied):
                return False
            with self._alone():
                self._rewrite(is_needed)
            self._tidied = self.path.stat().st_size
            return True

    def forget(self, subjects: Collection[str]) -> bool:
        """Have nothing about these in the file any more, not even in lines that are void; whether there was anything.
        Raises OutOfResources."""
        if not any(subject in subjects for subject in self.all()):
            return False
        with _writing(), self._alone():
            self._rewrite(lambda subject: subject not in subjects)
        return True

    def _rewrite(self, is_needed: Callable[[str], bool]) -> None:
        made = self.path.with_name(f"{NAME}.new")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for subject, text in self.all().items():
                if is_needed(subject):
                    _write(descriptor, _line(subject, text))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        made.rename(self.path)
        sync_folder(self.path.parent)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """The file, while nobody else writes to it. Whoever waited may find that it was tidied: then it is another."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_there(descriptor):
                    self._make_durable(descriptor)
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _make_durable(self, descriptor: int) -> None:
        """The name of this very file: whoever made it, or tidied it, may have been killed before that."""
        found = os.fstat(descriptor)
        if self._named != (found.st_dev, found.st_ino):
            sync_folder(self.path.parent)
            self._named = found.st_dev, found.st_ino

    def _is_there(self, descriptor: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(self.path.stat(), os.fstat(descriptor))
        return False


def _line(subject: str, text: str) -> bytes:
    said = f"{subject}\t{text}".encode()
    return b"%08x " % zlib.crc32(said) + said + b"\n"


def _read(line: bytes) -> tuple[str, str] | None:
    """None for what is no whole line."""
    checksum, _, said = line.removesuffix(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(said):
        return None
    subject, _, text = said.decode().partition("\t")
    return subject, text


def _write(descriptor: int, data: bytes) -> None:
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(descriptor, view[written:])


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutOfResources(f"the notes beside the blobs cannot be kept: {error.strerror}") from error
