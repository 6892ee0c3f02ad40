"""The BlobStore port: what a place for bytes must promise, and nothing more.

Two implementations stand behind it (local files now, any S3 store by issue); each passes tests/suites/blob_store.
A key is made by the store, is never reused and never comes from a value in an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from archive.dicom.errors import OutOfResources


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

    def spool(self) -> Spool:
        """An empty spool. Raises OutOfResources."""

    def delete(self, key: str) -> None:
        """Remove for good; a key that is not there is no error."""

    def keys(self) -> Iterator[str]:
        """Every published key, in no order: for verification only."""

    def sweep(self, older_than_seconds: float) -> int:
        """Remove what interrupted writers left in the spool for longer than this; returns how many. A writer that
        is still there keeps its blob, however long it takes."""

    def check(self) -> None:
        """Raises OutOfResources unless a blob could be written now (for readiness)."""
