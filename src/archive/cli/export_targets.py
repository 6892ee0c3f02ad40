"""Where a file-set is exported to: a folder, or one zip file (PS3.12 annex V).

Both promise the same: nothing looks complete that is not. A folder gets its DICOMDIR last, and until then a journal
beside it says which files are whole, so that an export that was interrupted goes on where it was. A zip file lies under
another name until all of it was read back; interrupted, it is begun anew.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import orjson

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.dicom.writing.dicomdir import FILE_NAME
from archive.services.file_sets import FOLDER, FileID

README = "README.TXT"
JOURNAL = "EXPORT.TMP"
_UNFINISHED = ".TMP"
_PIECE = 1 << 20
_OURS = re.compile(r"I[0-9]{7}(\.TMP)?")
_TAKEN = frozenset((FILE_NAME, FOLDER, README, JOURNAL, "INDEX.HTM", "IHE_PDI"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is whole: which stored bytes are in it, and in which form."""

    blob_key: str
    StudyInstanceUID: str
    SeriesInstanceUID: str
    SOPInstanceUID: str
    file_id: FileID
    transfer_syntax_uid: str
    length: int
    sha256: str

    @property
    def name(self) -> str:
        """The path within the file-set."""
        return "/".join(self.file_id)


class Target(Protocol):
    """One run into one place. What `put` has returned from is whole."""

    path: Path
    writers: int
    """How many threads may `put` at a time."""
    known: list[Entry]
    """What an interrupted run has left that can be kept."""

    def put(self, name: str, pieces: Iterator[bytes]) -> tuple[int, str]:
        """Write a file: its length and SHA-256. Raises OutOfResources, and what the pieces raise; then there is no
        such file."""

    def note(self, entry: Entry) -> None:
        """Remember a file for the next run."""

    def remove(self, entry: Entry) -> None:
        """It is not to be in the file-set."""

    def written(self) -> None:
        """All files were put; from now on they are read."""

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file as the medium has them. Raises OutOfResources."""

    def publish(self) -> None:
        """Let it be seen as complete."""

    def leave(self) -> None:
        """It did not become complete."""


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutOfResources(
            f"{path} cannot be written or read: {error.strerror}; mend that, and run the same command again"
        ) from error


class FolderTarget:
    """A folder, as a burner or an USB drive takes it. `purpose` tells what is exported: another export does not go on
    with the files of this one. Raises ConfigurationError where something else is in the way."""

    writers = 4

    def __init__(self, path: Path, purpose: str) -> None:
        self.path = path
        self.known: list[Entry] = []
        with _writing(path), contextlib.ExitStack() as opened:
            if not path.exists():
                path.mkdir(mode=0o700, parents=True)
            if not path.is_dir():
                raise ConfigurationError(f"{path} is a file: name a folder, or a name that ends in .zip")
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, self._folder)
            _lock(self._folder, path)
            self._begin(purpose)
            self._journal = opened.enter_context((path / JOURNAL).open("ab"))
            self._opened = opened.pop_all()

    def _begin(self, purpose: str) -> None:
        journal = self.path / JOURNAL
        if journal.is_file():
            lines = list(_lines(journal.read_bytes()))
            if lines and lines[0].get("purpose") == purpose:
                (self.path / FILE_NAME).unlink(
                    missing_ok=True
                )  # the run that published it was cut off just then
                self.known = self._kept(lines[1:])
                self._tidy()
                self._rewrite(journal, purpose)
                return
            if lines:
                raise ConfigurationError(
                    f"{self.path} holds an unfinished export of something else: finish that one, or choose another "
                    "folder"
                )
        taken = sorted({name.upper() for name in os.listdir(self.path)} & (_TAKEN - {JOURNAL}))
        if taken:
            raise ConfigurationError(f"{self.path} holds {taken[0]} already: choose an empty folder")
        self._rewrite(journal, purpose)

    def _kept(self, lines: list[dict[str, object]]) -> list[Entry]:
        """Those whose file is there with its length; what is in it is compared in the end. A later line is right: the
        name of a file that was removed may have been given anew."""
        latest: dict[FileID, Entry] = {}
        for line in lines:
            entry = _entry(line)
            latest.pop(entry.file_id, None)
            latest[entry.file_id] = entry
        found: dict[str, Entry] = {}
        for entry in latest.values():
            found.pop(entry.SOPInstanceUID, None)
            path = self.path.joinpath(*entry.file_id)
            with contextlib.suppress(OSError):
                if path.stat().st_size == entry.length:
                    found[entry.SOPInstanceUID] = entry
        return list(found.values())

    def _tidy(self) -> None:
        """Remove what the interrupted run had begun."""
        whole = {entry.name for entry in self.known}
        for path in self.path.glob(f"{FOLDER}/S*/R*/*"):
            if _OURS.fullmatch(path.name) and path.relative_to(self.path).as_posix() not in whole:
                path.unlink()

    def _rewrite(self, journal: Path, purpose: str) -> None:
        """The whole journal at once, so that there is none without its first line."""
        fresh = journal.with_suffix(".NEW")
        lines = [orjson.dumps({"purpose": purpose}), *map(orjson.dumps, self.known)]
        fresh.write_bytes(b"\n".join(lines) + b"\n")
        fresh.replace(journal)

    def put(self, name: str, pieces: Iterator[bytes]) -> tuple[int, str]:
        path = self._place(name)
        unfinished = path.with_name(path.name + _UNFINISHED)
        with _writing(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
        try:
            with _writing(self.path), unfinished.open("xb") as out:
                written = _copied(pieces, out)
                out.flush()
                os.fsync(out.fileno())
            with _writing(self.path):
                unfinished.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        return written

    def _place(self, name: str) -> Path:
        """The directory stays under another name until the end."""
        return self.path / (name + _UNFINISHED if name == FILE_NAME else name)

    def note(self, entry: Entry) -> None:
        with _writing(self.path):
            self._journal.write(orjson.dumps(entry) + b"\n")
            self._journal.flush()

    def remove(self, entry: Entry) -> None:
        with _writing(self.path):
            self.path.joinpath(*entry.file_id).unlink(missing_ok=True)

    def written(self) -> None: ...

    def read(self, name: str) -> Iterator[bytes]:
        with _writing(self.path), self._place(name).open("rb") as file:
            # From the medium, and not what the system still has in memory.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := file.read(_PIECE):
                yield piece

    def publish(self) -> None:
        with _writing(self.path):
            self._place(FILE_NAME).replace(self.path / FILE_NAME)
            (self.path / JOURNAL).unlink()
            _sync_folder(self._folder)
            self._opened.close()

    def leave(self) -> None:
        self._opened.close()


class ZipTarget:
    """One zip file. Raises ConfigurationError where it exists."""

    writers = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: list[Entry] = []
        self._part = path.with_name(f"{path.name}.part")
        if path.exists():
            raise ConfigurationError(f"{path} exists: choose another name")
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with contextlib.ExitStack() as opened:
                self._file = opened.enter_context(os.fdopen(descriptor, "r+b"))
                _lock(descriptor, path)
                self._file.truncate(0)
                opened.pop_all()
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def put(self, name: str, pieces: Iterator[bytes]) -> tuple[int, str]:
        """By way of a file beside it, as a member that fails in its middle could not be taken back."""
        spooled = self.path.with_name(f"{self.path.name}.object")
        try:
            with _writing(self.path):
                spooled.unlink(missing_ok=True)
                with spooled.open("xb") as out:
                    written = _copied(pieces, out)
                info = zipfile.ZipInfo(name)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o600 << 16
                info.file_size = written[0]
                with spooled.open("rb") as file, self._zip.open(info, "w") as member:
                    shutil.copyfileobj(file, member, _PIECE)
        finally:
            with contextlib.suppress(OSError):
                spooled.unlink(missing_ok=True)
        return written

    def note(self, entry: Entry) -> None: ...

    def remove(self, entry: Entry) -> None: ...

    def written(self) -> None:
        with _writing(self.path):
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            self._zip = zipfile.ZipFile(self._file)

    def read(self, name: str) -> Iterator[bytes]:
        try:
            with _writing(self.path), self._zip.open(name) as member:
                while piece := member.read(_PIECE):
                    yield piece
        except zipfile.BadZipFile as error:
            raise OutOfResources(
                f"{self.path} does not read back as it was written: try another disk"
            ) from error

    def publish(self) -> None:
        with _writing(self.path):
            self._zip.close()
            if self.path.exists():
                raise ConfigurationError(f"{self.path} exists by now: choose another name")
            self._part.rename(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _sync_folder(folder)
            finally:
                os.close(folder)
        self._file.close()

    def leave(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._zip.close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)
        self._file.close()


def _lock(descriptor: int, path: Path) -> None:
    """For this process alone, until it is closed. Raises ConfigurationError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(f"another export is writing to {path}: wait for it to end") from error


def _copied(pieces: Iterator[bytes], out: BinaryIO) -> tuple[int, str]:
    length, digest = 0, hashlib.sha256()
    for piece in pieces:
        out.write(piece)
        digest.update(piece)
        length += len(piece)
    return length, digest.hexdigest()


def _lines(raw: bytes) -> Iterator[dict[str, object]]:
    """Those that are whole: the last one may have been cut off."""
    for line in raw.splitlines():
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        yield found


def _entry(line: dict[str, object]) -> Entry:
    known = {name: line[name] for name in Entry.__dataclass_fields__}
    known["file_id"] = tuple(known["file_id"])  # type: ignore[arg-type]
    return Entry(**known)  # type: ignore[arg-type]


def _sync_folder(descriptor: int) -> None:
    """Not every file system of a medium can; such a one writes names at once."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
