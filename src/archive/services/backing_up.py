"""`archive backup`: a copy of everything, made while the archive goes on.

The index first, as it is at one moment, then the bytes that it points to: they never change, so it does not matter when
each is copied, and those of an earlier backup are not copied again. What is deleted in the meantime may be gone before
it is copied; then the index is copied once more, which points to it no longer. Each object that is copied is compared
with the digest in the index.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archive.dicom.errors import NotFound, OutOfResources
from archive.index import snapshots
from archive.index.database import Database
from archive.index.snapshots import Pointed
from archive.services.verification import MOST_LOST_ALONE
from archive.storage import backup_folder
from archive.storage.backup_folder import INDEX, NOTES, SUMS, BackupFolder
from archive.storage.base import BlobStore
from archive.storage.folders import make_folder
from archive.storage.notes import Notes

THREADS = 4
ROUNDS = 5
"""So often the index is copied, at most, as objects were deleted meanwhile."""
NAMED = 20
MOMENT = "%Y%m%dT%H%M%S.%fZ"
"""The name of a backup, in the order of which the last one is found."""

Told = Callable[[str, int, int], object]
"""Hears what is being done, how much of it is done, and how much there is."""


class Pace:
    """So many bytes a second at most, for all threads together; 0: as many as there are."""

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, number: int) -> None:
        """Wait until so many bytes may be read."""
        if self._rate <= 0:
            return
        with self._lock:
            now = self._clock()
            begin = max(now, self._free_at)
            self._free_at = begin + number / self._rate
        if begin > now:
            self._sleep(begin - now)


@dataclass(slots=True)
class Report:
    """What a backup holds. `copied` were not in an earlier one, or were damaged there (`mended`). `missing` and
    `damaged` are the keys of blobs of the archive that are not there, or are not what they were."""

    path: Path | None = None
    blobs: int = 0
    copied: int = 0
    copied_bytes: int = 0
    mended: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything that the archive knows of is in it, as it was stored."""
        return not (self.missing or self.damaged)


class BackingUp:
    """Backups into a folder. With `check` what earlier backups have copied is read, and mended where it is damaged."""

    def __init__(
        self,
        store: BlobStore,
        notes: Notes,
        database: Database,
        folder: BackupFolder,
        pace: Pace,
        *,
        check: bool = False,
    ) -> None:
        self._store = store
        self._notes = notes
        self._database = database
        self._folder = folder
        self._pace = pace
        self._check = check
        self._touched: set[Path] = set()

    def run(self, told: Told) -> Report:
        """Make one. Raises OutOfResources, ConfigurationError; then it is not finished, and the next one goes on from
        what it has copied."""
        with self._folder.alone():
            self._touched = self._folder.in_doubt()
            made = self._folder.begin(_moment("".join(self._folder.moments()[-1:])))
            report = Report()
            for _ in range(ROUNDS):
                missing_before = report.missing
                snapshots.take(self._database, made / INDEX, lambda done, all_: told("Index", done, all_))
                report = self._copy_all(made, report, told)
                self._check_mounted(report)
                if not report.missing or report.missing == missing_before:
                    break
            with backup_folder.using("the backup cannot be written"):
                self._finish_lists(made)
                backup_folder.sync_places(self._folder.objects, self._touched)
            report.path = self._folder.finish(made, _facts(report))
            return report

    def _check_mounted(self, report: Report) -> None:
        """Some may be missing; a backup without any would be the one that is restored."""
        if not report.blobs and len(report.missing) > MOST_LOST_ALONE:
            raise OutOfResources("the store holds nothing of what is in the index: is its disk mounted?")

    def _finish_lists(self, made: Path) -> None:
        notes = self._notes.path
        backup_folder.write(made / NOTES, notes.read_bytes() if notes.exists() else b"")
        with (made / SUMS).open("a") as sums:
            for name in (INDEX, NOTES):
                path = made / name
                sums.write(
                    backup_folder.line(
                        backup_folder.digest_of(path), str(path.relative_to(self._folder.root))
                    )
                )

    def _copy_all(self, made: Path, before: Report, told: Told) -> Report:
        """Copy what the index points to and the folder does not have; the list of it is in the order of keys."""
        report = Report(copied=before.copied, copied_bytes=before.copied_bytes, mended=before.mended)
        sums, number = made / f"{SUMS}.new", snapshots.number_pointed(made / INDEX)
        known = _Known(self._folder.known(made))
        with ThreadPoolExecutor(THREADS) as threads, sums.open("w") as lines:
            for one, result in _in_order(
                threads, self._one, _with_known(snapshots.pointed(made / INDEX), known)
            ):
                self._count(report, one, result)
                if result.digest:
                    lines.write(backup_folder.line(result.digest, f"objects/{one.key}"))
                    lines.flush()
                told("Objects", report.blobs + len(report.missing), number)
        sums.rename(made / SUMS)
        return report

    def _count(self, report: Report, one: Pointed, result: _Result) -> None:
        if not result.digest:
            report.missing.append(one.key)
            return
        report.blobs += 1
        report.copied += result.copied
        report.mended += result.mended
        report.copied_bytes += one.length * result.copied
        if result.damaged:
            report.damaged.append(one.key)

    def _one(self, given: tuple[Pointed, str]) -> _Result:
        one, digest = given
        target = self._folder.objects / one.key
        with backup_folder.using("the backup cannot be written"):
            is_there = bool(digest) and target.is_file() and target.stat().st_size == one.length
            if is_there and not self._check:
                return _Result(digest)
            if is_there:
                self._pace.take(one.length)
                if backup_folder.digest_of(target) == digest:
                    return _Result(digest)
            return self._copy(one, target, mended=is_there)

    def _copy(self, one: Pointed, target: Path, *, mended: bool) -> _Result:
        make_folder(target.parent)
        self._touched.add(target.parent)
        of_data_set = _Digest(one.data_set_offset)
        may_be_better = target.is_file() and target.stat().st_size == one.length
        try:
            written_at = self._store.stat(one.key).written_at
            with self._store.open(one.key) as blob:
                digest = backup_folder.copy(
                    self._read(blob.pieces(0, blob.length), of_data_set),
                    target,
                    written_at,
                    lambda _: of_data_set.hex == one.sha256 or not may_be_better,
                )
        except NotFound:
            return _Result("")
        if of_data_set.hex != one.sha256 and may_be_better:
            return _Result(backup_folder.digest_of(target), damaged=True)
        return _Result(digest, True, mended, of_data_set.hex != one.sha256)

    def _read(self, pieces: Iterable[bytes], digest: _Digest) -> Iterator[bytes]:
        for piece in pieces:
            self._pace.take(len(piece))
            digest.update(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class _Result:
    """The digest of the file, empty where it is missing."""

    digest: str
    copied: bool = False
    mended: bool = False
    damaged: bool = False


class _Digest:
    """Of what comes behind so many bytes."""

    def __init__(self, offset: int) -> None:
        self._left = offset
        self._digest = hashlib.sha256()

    def update(self, piece: bytes) -> None:
        self._digest.update(memoryview(piece)[self._left :])
        self._left = max(self._left - len(piece), 0)

    @property
    def hex(self) -> str:
        return self._digest.hexdigest()


class _Known:
    """Digests by keys that are asked for in their order."""

    def __init__(self, pairs: Iterator[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._next = next(pairs, None)

    def of(self, key: str) -> str:
        """Empty for what is not known."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._pairs, None)
        return self._next[1] if self._next is not None and self._next[0] == key else ""


def _with_known(pointed: Iterable[Pointed], known: _Known) -> Iterator[tuple[Pointed, str]]:
    for one in pointed:
        yield one, known.of(one.key)


def _in_order(
    threads: ThreadPoolExecutor,
    work: Callable[[tuple[Pointed, str]], _Result],
    items: Iterable[tuple[Pointed, str]],
) -> Iterator[tuple[Pointed, _Result]]:
    """What comes of each, in their order; a few are under way at a time."""
    under_way: deque[tuple[Pointed, Future[_Result]]] = deque()
    for item in items:
        under_way.append((item[0], threads.submit(work, item)))
        if len(under_way) > 4 * THREADS:
            one, future = under_way.popleft()
            yield one, future.result()
    for one, future in under_way:
        yield one, future.result()


def _moment(last: str) -> str:
    """Now, but behind the last backup: who puts the clock back must not have an older one restored instead."""
    now = datetime.now(UTC)
    with contextlib.suppress(ValueError):
        now = max(now, datetime.strptime(last, MOMENT).replace(tzinfo=UTC) + timedelta(microseconds=1))
    return now.strftime(MOMENT)


def _facts(report: Report) -> dict[str, object]:
    return {
        "objects": report.blobs,
        "missing": len(report.missing),
        "damaged_objects": len(report.damaged),
        "damaged": report.damaged[:NAMED],
        "missing_keys": report.missing[:NAMED],
    }
