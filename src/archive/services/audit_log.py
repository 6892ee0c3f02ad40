"""Reading the audit trail: searching it, giving it to others, and proving that it is whole.

The chain shows what was altered, removed or put in between. Who can write to the index can also cut its end, or make
all of it anew: that shows by anchors, which say where the chain was at some moment. They are kept in a file beside the
index, and go with each message that is sent by syslog; who keeps either elsewhere can prove it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archive.audit import fhir, messages, xml
from archive.audit.messages import Message
from archive.dicom.errors import OutOfResources
from archive.index import audit
from archive.index.audit import Head, Record, Sought
from archive.index.database import Connection, Database
from archive.services import trail

__all__ = ["FORMATS", "URI", "AuditLog", "Found", "Head", "Sought", "Verdict"]

ANCHORS = "audit.anchors"
URI = "archive:audit"
"""How the trail itself is named in it."""
FORMATS: dict[str, Callable[[Message], bytes]] = {"xml": xml.document, "fhir": fhir.document}
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """A record and its message."""

    position: int
    hash: str
    message: Message


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many records were verified, how many anchors bear them out, and what is wrong with the first that is not
    as it was written; empty: nothing."""

    records: int
    anchors: int
    fault: str = ""


class AuditLog:
    """The audit trail, to be read."""

    def __init__(self, database: Database, anchors: Path) -> None:
        self._database = database
        self._anchors = anchors

    def count(self) -> int:
        """How many records there are."""
        with self._database.read() as connection:
            return audit.count(connection)

    def search(self, sought: Sought, limit: int = 100, before: int = 0) -> list[Found]:
        """What is found, newest first."""
        with self._database.read() as connection:
            return [_found(one) for one in audit.search(connection, sought, limit, before)]

    def all(self, after: int = 0) -> Iterator[Found]:
        """All records behind a position, in their order."""
        while True:
            with self._database.read() as connection:
                some = audit.records(connection, after, _BATCH)
            for one in some:
                yield _found(one)
            if len(some) < _BATCH:
                return
            after = some[-1].position

    def verify(
        self, told: Callable[[int], object] = lambda _: None, further: tuple[Head, ...] = ()
    ) -> Verdict:
        """Walk the chain; `further` anchors are those that were kept elsewhere. Raises OutOfResources."""
        anchors = {one.position: one.hash for one in self._read_anchors()}
        for one in further:
            if anchors.setdefault(one.position, one.hash) != one.hash:
                return Verdict(0, 0, f"two anchors of record {one.position} contradict each other")
        with self._database.moment() as connection:
            return _walk(connection, anchors, told)

    def anchor(self) -> bool:
        """Note where the chain is, in the file; False where that is noted already. Raises OutOfResources."""
        with self._database.read() as connection:
            head = audit.head(connection)
        noted = self._read_anchors()
        if not head.position or head in noted[-1:]:
            return False
        line = f"{head.position} {head.hash} {datetime.fromtimestamp(time.time(), UTC).isoformat()}\n"
        try:
            descriptor = os.open(self._anchors, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutOfResources(f"{self._anchors.name} cannot be written ({error.strerror})") from None
        return True

    def _read_anchors(self) -> list[Head]:
        """A line that was cut short by a crash says nothing."""
        try:
            lines = self._anchors.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise OutOfResources(f"{self._anchors.name} cannot be read ({error.strerror})") from None
        parts = [line.split() for line in lines]
        return [Head(int(one[0]), one[1]) for one in parts if len(one) == 3 and one[0].isdigit()]


def _found(record: Record) -> Found:
    return Found(record.position, record.hash, messages.read(record.entry.message))


def _walk(connection: Connection, anchors: dict[int, str], told: Callable[[int], object]) -> Verdict:
    last, borne_out = Head(), 0
    while some := audit.records(connection, last.position, _BATCH):
        for record in some:
            fault = _fault(last, record)
            if fault:
                return Verdict(last.position, borne_out, fault)
            last = Head(record.position, record.hash)
            if last.position in anchors:
                if anchors[last.position] != last.hash:
                    return Verdict(last.position, borne_out, _not_anchored(last.position))
                borne_out += 1
        told(len(some))
    return Verdict(last.position, borne_out, _cut(connection, last, anchors))


def _fault(last: Head, record: Record) -> str:
    """What is wrong with a record that follows another."""
    expected = last.position + 1
    if record.position != expected:
        return f"record {expected} is missing"
    if record.hash != audit.digest(last.hash, record.entry.message):
        return f"record {expected} was altered, or is not the one that was there"
    try:
        entry = trail.kept(record.entry.message, messages.read(record.entry.message))
    except ValueError:
        return f"record {expected} is no audit message"
    if audit.columns_of(entry) != audit.columns_of(record.entry):
        return f"record {expected} was altered in what it is searched by"
    return ""


def _cut(connection: Connection, last: Head, anchors: dict[int, str]) -> str:
    head = audit.head(connection)
    if head != last:
        return (
            f"the end is cut off: the last record is {last.position}, the chain had come to {head.position}"
        )
    beyond = max((one for one in anchors if one > last.position), default=0)
    if beyond:
        return f"the end is cut off: the last record is {last.position}, an anchor tells of record {beyond}"
    return ""


def _not_anchored(position: int) -> str:
    return f"record {position}, or one before it, is not the one that an anchor tells of: the chain was made anew"
