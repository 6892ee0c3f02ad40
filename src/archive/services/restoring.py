"""`archive restore`: a backup put into an empty data folder, each file compared with its digest on the way.

The index comes last: a folder whose restore was interrupted is no archive yet, and the same command goes on with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from archive.dicom.errors import ConfigurationError, OutOfResources
from archive.index import snapshots
from archive.index.database import Database
from archive.storage import backup_folder
from archive.storage.backup_folder import INDEX, NOTES, SUMS, BackupFolder
from archive.storage.folders import make_folder, sync_folder

THREADS = 4
AT_ONCE = 256
MARK = "restoring"
"""The file that says of a data folder that it is not whole yet, and by what."""
OF_A_DISK = {"lost+found"}
"""What is in the root of an empty one."""
_PIECE = 1 << 20

Told = Callable[[str, int, int], object]


@dataclass(slots=True)
class Report:
    """What was restored; `damaged` are files of the backup that are missing there, or are not what was copied. They
    are not in the archive."""

    moment: str
    blobs: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: int = 0
    """So many were missing already when the backup was made."""
    damaged_before: int = 0
    """So many were damaged already then, and are what they were."""


def check_whole(data: Path) -> None:
    """Whoever opened a data folder that is being restored would find an empty archive there, and what they stored would
    go with its index. Raises ConfigurationError."""
    if (data / MARK).exists():
        raise ConfigurationError(
            f"{data} is not whole: its restore was interrupted; run the same `archive restore` again"
        )


class Restoring:
    """One restore of the backup of this moment, else of the last, into `data`. `index` is the index on PostgreSQL that
    the rows go into; without, they go into a file there."""

    def __init__(
        self, folder: BackupFolder, data: Path, moment: str = "", index: Database | None = None
    ) -> None:
        self._place = folder.of(moment)
        self._facts = folder.facts(self._place.name)
        self._folder = folder
        self._data = data
        self._index = index

    def run(self, told: Told) -> Report:
        """Raises ConfigurationError where there is something in the data folder, or in the index; OutOfResources, also
        where the index in the backup is damaged."""
        facts = self._facts
        report = Report(
            self._place.name,
            missing=int(facts.get("missing", 0)),
            damaged_before=int(facts.get("damaged_objects", 0)),
        )
        sums = self._checked_lists()
        with backup_folder.using("the data folder cannot be written"), self._claimed() as mark:
            self._restore_all(report, told)
            self._copy(self._place / NOTES, self._data / "notes.jsonl", sums[NOTES])
            self._restore_index(sums[INDEX], told)
            sync_folder(self._data)
            mark.unlink()
            sync_folder(self._data)
        return report

    def _checked_lists(self) -> dict[str, str]:
        """The digests of what is no blob. Raises OutOfResources unless it has them; nothing was done then."""
        with backup_folder.using("the backup cannot be read"):
            sums = dict(_sums(self._place / SUMS))
        for name in (INDEX, NOTES):
            try:
                is_whole = backup_folder.digest_of(self._place / name) == sums.get(name)
            except OSError:
                is_whole = False
            if not is_whole:
                raise OutOfResources(
                    f"{name} of the backup {self._place.name} is damaged: restore another (--backup MOMENT); without "
                    "any, copy its folder objects into an empty data folder, and run `archive reindex`"
                )
        return sums

    @contextlib.contextmanager
    def _claimed(self) -> Iterator[Path]:
        """The folder is for this restore alone, and says so."""
        make_folder(self._data)
        mark, there = self._data / MARK, {path.name for path in self._data.iterdir()} - OF_A_DISK
        if there and MARK not in there:
            raise ConfigurationError(f"{self._data} is not empty: name another folder with --data")
        if self._index is not None and not self._index.is_new():
            raise ConfigurationError(
                "the index holds something already: name an empty database with index.url"
            )
        with backup_folder.locked(mark, f"another restore into {self._data} is going on: wait for its end"):
            told = mark.read_text()
            if told not in ("", self._place.name):
                raise ConfigurationError(
                    f"{self._data} holds a part of another backup ({told}): go on with that (--backup {told}), or name "
                    "an empty folder with --data"
                )
            backup_folder.write(mark, self._place.name.encode())
            sync_folder(self._data)
            sync_folder(self._data.absolute().parent)
            yield mark

    def _restore_all(self, report: Report, told: Told) -> None:
        number = sum(1 for _ in backup_folder.listed(self._place / SUMS))
        wanted, folders = backup_folder.listed(self._place / SUMS), set[Path]()
        with ThreadPoolExecutor(THREADS) as threads:
            while some := list(islice(wanted, AT_ONCE)):
                for (key, _), is_there in zip(some, threads.map(self._restore_one, some), strict=True):
                    folders.add((self._data / "objects" / key).parent)
                    if is_there:
                        report.blobs += 1
                    else:
                        report.damaged.append(key)
                told("Objects", report.blobs + len(report.damaged), number)
        backup_folder.sync_places(self._data / "objects", folders)

    def _restore_one(self, given: tuple[str, str]) -> bool:
        """False for what is not what was copied: nothing is in its place then."""
        key, digest = given
        source, target = self._folder.objects / key, self._data / "objects" / key
        make_folder(target.parent)
        if target.exists() and backup_folder.digest_of(target) == digest:
            return True
        try:
            self._copy(source, target, digest)
        except _Damaged:
            target.unlink(missing_ok=True)
            return False
        return True

    def _copy(self, source: Path, target: Path, digest: str) -> None:
        """Raises _Damaged where it has not this digest, or cannot be read: then nothing has changed."""
        try:
            written_at = source.stat().st_mtime
        except OSError as error:
            raise _Damaged from error
        made = backup_folder.copy(_pieces(source), target, written_at, lambda found: found == digest)
        if made != digest:
            raise _Damaged

    def _restore_index(self, digest: str, told: Told) -> None:
        made = self._data / f"{INDEX}.{MARK}"
        try:
            self._copy(self._place / INDEX, made, digest)
        except _Damaged:
            raise OutOfResources("the disk of the backup fails: see the system's log") from None
        if self._index is None:
            made.rename(self._data / INDEX)
            return
        snapshots.restore(made, self._index, lambda done, number: told("Index", done, number))
        snapshots.remove(made)


class _Damaged(Exception):
    """A file of the backup is not what was copied."""


def _sums(path: Path) -> Iterator[tuple[str, str]]:
    """Name and digest of what is no blob."""
    with path.open() as lines:
        for line in lines:
            digest, _, name = line.rstrip("\n").partition("  ")
            if name.startswith("backups/"):
                yield name.rpartition("/")[2], digest


def _pieces(path: Path) -> Iterator[bytes]:
    """Raises _Damaged where the disk of the backup does not give them; the data folder's may be well."""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise _Damaged from error
