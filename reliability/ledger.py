"""What was sent, and what was answered: the one witness of every fault test (I1 to I7, `checker` has the questions).

A sender enters an object before its first byte goes out and notes the answer when it has come, so that whatever
happens between the two is an object of which nobody was told anything.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)


@dataclass(slots=True)
class Entry:
    """An instance that was sent, perhaps several times and with several contents. The bytes of what was acknowledged
    are forgotten: their digest is enough."""

    uid: str
    study: str
    series: str
    sop_class: str
    contents: dict[str, bytes] = field(default_factory=dict)
    """By digest what was sent; empty bytes once it was acknowledged."""
    latest: str = ""
    acknowledged: list[str] = field(default_factory=list)
    """Digests of what was acknowledged, in the order of the answers."""
    refused: int = 0
    deleting: bool = False
    """Its deletion was asked for: it may be gone."""
    deleted: bool = False
    """Its deletion was acknowledged: it must be gone."""

    @property
    def is_due(self) -> bool:
        """Whether it must be there."""
        return bool(self.acknowledged) and not self.deleting


class Ledger:
    """Safe to be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}

    def sent(self, uid: str, study: str, series: str, data_set: bytes, sop_class: str = "") -> str:
        """This encoded data set is about to be sent; its digest."""
        digest = hashlib.sha256(data_set).hexdigest()
        with self._lock:
            entry = self._entries.setdefault(uid, Entry(uid, study, series, sop_class))
            if digest not in entry.acknowledged:
                entry.contents[digest] = data_set
            entry.latest = digest
            if entry.deleted:  # it is stored anew
                entry.deleted = entry.deleting = False
                entry.acknowledged.clear()
        return digest

    def answered(self, uid: str, status: int | None, digest: str = "") -> None:
        """What the sender was told, None if nothing; without digest, of what was sent last under this UID."""
        with self._lock:
            entry = self._entries[uid]
            digest = digest or entry.latest
            if status is not None and is_success(status):
                entry.contents[digest] = b""
                if digest not in entry.acknowledged:
                    entry.acknowledged.append(digest)
            elif status is not None:
                entry.refused += 1

    def deleting(self, uids: Iterable[str]) -> None:
        """The deletion of these is about to be asked for."""
        with self._lock:
            for uid in uids:
                self._entries[uid].deleting = True

    def deleted(self, uids: Iterable[str], done: bool) -> None:
        """The answer to that: done, or refused, after which all must be there."""
        with self._lock:
            for uid in uids:
                self._entries[uid].deleted = done
                self._entries[uid].deleting = done

    def entries(self) -> list[Entry]:
        """All that was sent up to now, as it stands."""
        with self._lock:
            return copy.deepcopy(list(self._entries.values()))

    def find(self, uid: str) -> Entry | None:
        """What is known of an instance."""
        with self._lock:
            return copy.deepcopy(self._entries.get(uid))

    @property
    def acknowledged(self) -> int:
        """So many instances were acknowledged."""
        with self._lock:
            return sum(bool(entry.acknowledged) for entry in self._entries.values())

    @property
    def unanswered(self) -> int:
        """So many contents were sent of which nobody was told that they are safe."""
        with self._lock:
            return sum(len(entry.contents) - len(entry.acknowledged) for entry in self._entries.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)


def is_success(status: int) -> bool:
    """Whether a sender may delete its own copy: success, and warnings of an object that is stored (PS3.4 B.2.3)."""
    return status == SUCCESS or status in _WARNINGS
