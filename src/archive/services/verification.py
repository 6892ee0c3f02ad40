"""Whether what is stored is still there, and still what it was: asked by a person, and all the time by the scrubber.

    exists     there is a file
    size       it has as many bytes as it had
    checksum   its data set has the SHA-256 that was noted when it came in, and its header says what the index says

Everything that anything points to is looked at: what is stored, what is kept aside, held for a rejection note or for a
correction. What is damaged is noted in the index, served to nobody as what it was, and never deleted; it is forgotten
when it is found sound again. Bytes that are only in the quarantine come back from there.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import structlog

from archive.dicom.errors import InvalidObject, NotFound, OutOfResources
from archive.dicom.part10 import FileMetaReader
from archive.index import verification
from archive.index.database import Database
from archive.index.verification import BEGINNING, Damage, Fault, Held, Place, Totals
from archive.storage.base import BlobStore

__all__ = ["Damage", "Examined", "Fault", "Held", "Level", "Totals", "Verification"]

_log = structlog.get_logger()

AT_ONCE = 200
MOST_LOST_ALONE = 20
"""Of so few objects all may be missing."""
OF_A_LOOK = 4096
"""Bytes that looking at a file counts for, besides those that are read."""


class Level(enum.StrEnum):
    """How closely it is looked at."""

    EXISTS = "exists"
    SIZE = "size"
    CHECKSUM = "checksum"


SEEN: Mapping[Level, frozenset[Fault]] = {
    Level.EXISTS: frozenset({Fault.MISSING}),
    Level.SIZE: frozenset({Fault.MISSING, Fault.CUT}),
    Level.CHECKSUM: frozenset(Fault),
}
"""What would have been found, so what is known to be mended where it was not."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One that was looked at, how closely, and what is wrong with it, if anything."""

    held: Held
    fault: Fault | None
    level: Level


class Verification:
    """Looks at the bytes that the index points to."""

    def __init__(self, store: BlobStore, database: Database) -> None:
        self._store = store
        self._database = database

    def totals(self) -> Totals:
        """How much there is."""
        with self._database.read() as connection:
            return verification.totals(connection)

    def held(self, after: Place = BEGINNING) -> Iterator[list[Held]]:
        """All that has bytes, some at a time, in an order that stays."""
        while found := self._some(after):
            yield found
            after = found[-1].place

    def examine(self, one: Held, level: Level) -> Generator[int, None, Examined]:
        """Look at one; what was read is told in between, in bytes."""
        try:
            fault = yield from self._look(one, level)
        except NotFound:
            fault = Fault.MISSING
        except OutOfResources:
            fault = Fault.UNREADABLE
        return Examined(one, fault, level)

    def examined(self, one: Held, level: Level) -> Examined:
        """The same at once."""
        steps = self.examine(one, level)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                result: Examined = end.value
                return result

    def note(self, found: Sequence[Examined]) -> list[Examined]:
        """Note what is damaged and what is not any more; those that are damaged. What was deleted meanwhile is not.

        Raises OutOfResources, also where everything is missing because the disk of the store is."""
        suspects = [one for one in found if one.fault is not None]
        with self._database.read() as connection:
            damaged = [one for one in suspects if verification.stands(connection, one.held)]
            known = verification.known(connection, [one.held.blob_key for one in found])
        self._check_mounted(damaged)
        faults = [(one.held, one.fault) for one in damaged if one.fault is not None]
        bad = {held.blob_key for held, _ in faults}
        sound = [
            one.held.blob_key
            for one in found
            if one.held.blob_key not in bad and known.get(one.held.blob_key) in SEEN[one.level]
        ]
        news = [(held, fault) for held, fault in faults if known.get(held.blob_key) != fault]
        if news or sound:
            self._database.write(lambda connection: verification.note(connection, news, sound))
        _tell(news, sound)
        return damaged

    def recover(self, one: Held, level: Level = Level.CHECKSUM) -> bool:
        """Fetch missing bytes from the quarantine, if they are there and are the right ones."""
        try:
            self._store.put_back(one.blob_key)
        except NotFound:
            return False
        if self.examined(one, level).fault is None:
            _log.warning("bytes_put_back", sop_instance_uid=one.SOPInstanceUID)
            return True
        self._store.set_aside(one.blob_key, "it was put back, and is not what it was")
        return False

    def found(self, limit: int) -> list[Damage]:
        """What is damaged, what was found last first."""
        with self._database.read() as connection:
            return verification.damages(connection, limit)

    def counts(self) -> dict[str, int]:
        """How much is damaged, by fault."""
        with self._database.read() as connection:
            return verification.counts(connection)

    def forget_what_went(self) -> int:
        """Forget damage to what was deleted, or replaced; how much that was."""
        if not self.counts():
            return 0
        return self._database.write(verification.forget_what_went)

    def _some(self, after: Place) -> list[Held]:
        with self._database.read() as connection:
            return verification.held(connection, after, AT_ONCE)

    def _look(self, one: Held, level: Level) -> Generator[int, None, Fault | None]:
        yield OF_A_LOOK
        length = self._store.stat(one.blob_key).length
        if level is Level.EXISTS:
            return None
        if length != one.blob_length:
            return Fault.CUT
        return (yield from self._read(one)) if level is Level.CHECKSUM else None

    def _read(self, one: Held) -> Generator[int, None, Fault | None]:
        digest, header = hashlib.sha256(), bytearray()
        for piece in self._store.examine(one.blob_key):
            of_header = one.data_set_offset - len(header)
            header += piece[:of_header]
            digest.update(memoryview(piece)[of_header:] if of_header else piece)
            yield len(piece)
        same = digest.hexdigest() == one.sha256 and _is_header(bytes(header), one)
        return None if same else Fault.ALTERED

    def _check_mounted(self, damaged: Sequence[Examined]) -> None:
        """One object may be missing; that nothing is there at all is news about the disk."""
        if not damaged or any(one.fault is not Fault.MISSING for one in damaged):
            return
        if next(iter(self._store.keys()), None) is None and self.totals().number > MOST_LOST_ALONE:
            raise OutOfResources("the store holds nothing of what is in the index: is its disk mounted?")


def _tell(news: Sequence[tuple[Held, Fault]], sound: Sequence[str]) -> None:
    for held, fault in news:
        uid = held.SOPInstanceUID
        _log.error("stored_bytes_damaged", fault=fault.value, held_in=held.holder, sop_instance_uid=uid)
    for key in sound:
        _log.warning("stored_bytes_sound_again", key=key)


def _is_header(header: bytes, one: Held) -> bool:
    """Whether the File Meta Information ends where it did, and names the transfer syntax that it did. The digest does
    not cover it."""
    reader = FileMetaReader()
    try:
        # What follows tells where it ends: no group 0002 begins like this.
        done = reader.feed(header) or reader.feed(b"\xff\xff\xff\xff\xff\xff")
    except InvalidObject:
        return False
    meta = reader.meta if done else None
    wanted = one.transfer_syntax_uid
    return meta is not None and meta.length == len(header) and wanted in ("", meta.transfer_syntax_uid)
