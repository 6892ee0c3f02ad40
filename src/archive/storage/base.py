"""The BlobStore port: what a place for bytes must promise, and nothing more.

Two implementations stand behind it (local files now, any S3 store by issue); each passes tests/suites/blob_store.
A key is made by the store, is never reused and never comes from a value in an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from archive.dicom.errors import OutOfResources

ASIDE_HEAD = 1 << 16
"""So much of what is set aside is looked at to see whose it is."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of a blob without reading it. `changed_at` is when it was published, or set in its place later;
    `written_at` when its last byte was written, also where it is a copy of that since."""

    length: int
    changed_at: float
    written_at: float


@dataclass(frozen=True, slots=True)
class SetAside:
    """A blob that was set aside: under which name a person finds it in the quarantine, why, and when."""

    key: str
    name: str
    reason: str
    at: float


class BlobWriter(Protocol):
    """One blob on its way in. Nothing is visible under `key` until `publish` has returned."""

    @property
    def key(self) -> str: ...

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append. Raises OutOfResources; the writer is then only good for `discard`."""

    def read_back(self) -> Blob:
        """What was written so far, open for reading; only before `publish`. Raises OutOfResources, NotFound."""

    def publish(self) -> None:
        """Make the blob durable and visible: when this returns it survives a power cut.

        Never retries a failed fsync: the blob is then lost and OutOfResources raised."""

    def discard(self) -> None:
        """Leave nothing behind, whether published or not. Safe to call twice, never raises for a missing file."""


class Stretch(Protocol):
    """Part of a blob that lies in a file, from which the system can pass it on unread. It outlives the blob; close it,
    or drop it."""

    @property
    def descriptor(self) -> int:
        """Of the file; the bytes are `length` from `offset`."""

    offset: int
    length: int

    def fetch(self) -> bool:
        """Have the bytes in memory, so that to pass them on waits for no disk. False if the system cannot pass them on;
        raises what `read` would."""

    def read(self) -> bytes:
        """The bytes. Raises NotFound, OutOfResources."""

    def close(self) -> None:
        """Safe to call twice."""


class Blob(Protocol):
    """A published blob, open for reading at any offset; safe to read from several threads."""

    @property
    def length(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes; raises NotFound when the blob is shorter (it was damaged)."""

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        """The same bytes in pieces of bounded size."""

    def stretch(self, offset: int, length: int) -> Stretch | None:
        """The same bytes unread, None where blobs are no files. Raises NotFound when the blob is shorter."""

    def close(self) -> None: ...

    def __enter__(self) -> Blob: ...

    def __exit__(self, *_: object) -> None: ...


class Spool(Protocol):
    """Bytes that are needed for a while and are nobody's blob: written to the end, read anywhere, gone with the process
    if not before. One thread writes; any thread may read what was written."""

    @property
    def length(self) -> int: ...

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append. Raises OutOfResources."""

    def pieces(self, offset: int, length: int) -> Iterator[bytes]:
        """These bytes in pieces of bounded size. Raises OutOfResources."""

    def close(self) -> None:
        """Give the room back. Safe to call twice."""


class BlobStore(Protocol):
    """Where the bytes are."""

    def create(self) -> BlobWriter:
        """A writer under a fresh key. Raises OutOfResources."""

    def publish_all(self, writers: Sequence[BlobWriter]) -> list[OutOfResources | None]:
        """What `publish` does, for several writers of this store in less time; for each what went wrong, if anything.
        One that failed takes no other with it, unless they share what failed."""

    def open(self, key: str) -> Blob:
        """Raises NotFound."""

    def stat(self, key: str) -> Stat:
        """Without reading it. Raises NotFound when it is not there, OutOfResources when that cannot be told."""

    def lengths(self, keys: Sequence[str]) -> list[int]:
        """Of each blob, without reading it; -1 for one that is not there, or of which that cannot be told now. For
        thousands at a time, so in less time than `stat`."""

    def examine(self, key: str) -> Iterator[bytes]:
        """All bytes in pieces of bounded size, from the medium itself and not from a cache, where there is a choice.
        Raises NotFound, OutOfResources."""

    def spool(self) -> Spool:
        """An empty spool. Raises OutOfResources."""

    def delete(self, key: str) -> None:
        """Remove for good: when this returns no power cut brings it back. A key that is not there is no error, as
        whoever removed it may not have come to the end of it. Raises OutOfResources."""

    def delete_all(self, keys: Sequence[str]) -> None:
        """The same for several in less time."""

    def keys(self) -> Iterator[str]:
        """Every published key, in no order: for verification only."""

    def set_aside(self, key: str, reason: str) -> None:
        """Take a blob out of the way, into the quarantine, and keep its bytes: it is no published key any more.
        `reason` is for a person. Raises NotFound, OutOfResources; done again after a crash it is done."""

    def put_back(self, key: str) -> None:
        """Undo the last `set_aside` of this key. Raises NotFound when nothing is set aside under it, OutOfResources,
        also where something has the key."""

    def aside(self) -> Iterator[SetAside]:
        """All that is set aside. Raises OutOfResources."""

    def delete_aside(self, belongs: Callable[[SetAside, bytes], bool]) -> int:
        """Remove for good what is set aside and belongs to what is deleted, as `belongs` says of each and of its first
        bytes, `ASIDE_HEAD` at most; how many. Raises OutOfResources."""

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what interrupted writers left in the spool for longer than this; returns how many. A writer that
        is still there keeps its blob, however long it takes."""

    def check(self) -> None:
        """Raises OutOfResources unless a blob could be written now (for readiness)."""
