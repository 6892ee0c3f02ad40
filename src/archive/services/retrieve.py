"""Objects on their way out: which instances a request means, and their bytes, as stored or by offset.

Nothing here opens an object to find a frame: the index knows where each one lies. What a request means is read
from the index before the first byte goes out, so that no reader holds a transaction while a slow receiver
takes its time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import orjson
import zstandard

from archive.dicom.errors import NotFound
from archive.dicom.instance import BulkValue, Scope, StoredInstance
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.index import deletions, instances
from archive.index.database import Database
from archive.security.views import View, both
from archive.services import stored_frames, stretches
from archive.services.data_set import DataSet
from archive.services.stored_frames import Frame
from archive.services.stretches import Piece
from archive.storage.base import Blob, BlobStore

_BATCH = 200
_LOOKS = 5
_DAMAGED = "the stored bytes of this instance were damaged: restore them from a backup"
_LONGEST_REMEMBERED = 4096
"""Bytes of a frame table, unpacked."""
_MARK = b'"BulkDataURI":"'
"""Cannot occur inside a JSON string, where quotation marks are escaped."""


UrlOf = Callable[[StoredInstance], str]


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one instance, in the order asked for; native frames in little endian.

    `media_type` and `transfer_syntax_uid` are those of each frame (PS3.18 8.7.3). Close `frames` if you stop
    early."""

    instance: StoredInstance
    media_type: str
    transfer_syntax_uid: str
    numbers: tuple[int, ...]
    frames: Generator[Frame]


@dataclass(frozen=True, slots=True)
class Intact:
    """What a request means: instances whose bytes are there, and those whose bytes are missing or of another length."""

    instances: list[StoredInstance]
    damaged: list[StoredInstance]


class Retrieve:
    """The one way out of the archive, for every door."""

    def __init__(self, store: BlobStore, database: Database, view: View | None = None) -> None:
        self._store = store
        self._database = database
        self._view = view

    def seen_by(self, view: View) -> Retrieve:
        """The same, for which nothing else exists than what the view shows."""
        return Retrieve(self._store, self._database, both(self._view, view))

    def instances(self, scope: Scope) -> list[StoredInstance]:
        """The instances that the scope means, ordered by study, series and instance number."""
        with self._database.read() as connection:
            return instances.instances(connection, scope, self._view)

    def intact(self, scope: Scope) -> Intact:
        """The same instances, looked at before the first byte of any goes out: later nothing can be said any more.
        Raises NotFound when nothing is there, also when all of it is damaged, Gone, OutOfResources."""
        found = self.instances(scope)
        damaged = self.damaged(found)
        for _ in range(_LOOKS):
            listed = self.instances(scope) if damaged else found
            if damaged.issubset(listed):
                break
            found, damaged = listed, self.damaged(listed)  # what was not there had been deleted or replaced
        if not found:
            raise self.missing(scope)
        if len(damaged) == len(found):
            self.open(found[0]).close()
            raise NotFound(_DAMAGED)
        return Intact([one for one in found if one not in damaged], [one for one in found if one in damaged])

    def damaged(self, found: Sequence[StoredInstance]) -> set[StoredInstance]:
        """Those of which the bytes are not there, or have another length."""
        lengths = self._store.lengths([one.blob_key for one in found])
        return {one for one, length in zip(found, lengths, strict=True) if length != one.blob_length}

    def instance(self, scope: Scope) -> StoredInstance:
        """The one instance that the scope means. Raises NotFound, Gone."""
        found = self.instances(scope)
        if len(found) != 1:
            raise self.missing(scope)
        return found[0]

    def framed(self, scope: Scope) -> tuple[StoredInstance, FrameTable]:
        """The one instance that the scope means, and where its frames lie. Raises NotFound, also when it has no pixel
        data, Gone."""
        with self._database.read() as connection:
            found = instances.instances(connection, scope, self._view)
            packed = instances.frame_table(connection, found[0]) if len(found) == 1 else b""
        if len(found) != 1:
            raise self.missing(scope)
        return found[0], _unpacked(packed)

    def missing(self, scope: Scope) -> NotFound:
        """What to raise when a scope holds nothing: Gone if it was deleted, else NotFound."""
        with self._database.read() as connection:
            return deletions.missing(connection, scope, self._view)

    def open(self, instance: StoredInstance) -> Blob:
        """The stored PS3.10 file. Raises NotFound when its bytes are missing or cut short."""
        blob = self._store.open(instance.blob_key)
        if blob.length != instance.blob_length:
            blob.close()
            raise NotFound(_DAMAGED)
        return blob

    def as_stored(self, instance: StoredInstance, offset: int, length: int) -> Iterator[Piece]:
        """Part of the stored PS3.10 file, for who can pass it on unread. Raises as `open`."""
        with self.open(instance) as blob:
            yield from stretches.pieces(blob, offset, length)

    def metadata(self, scope: Scope, url_of: UrlOf) -> Iterator[bytes]:
        """The DICOM JSON Model of each instance of the scope, as text; each BulkDataURI lies below the instance's
        own URL, which the door knows.

        Raises NotFound when nothing is there."""
        found = self.instances(scope)
        if not found:
            raise self.missing(scope)
        return self.metadata_of(found, url_of)

    def frames(self, scope: Scope, numbers: Sequence[int]) -> Frames:
        """These frames (1 is the first) of one instance. Raises NotFound before the first byte is read, and
        NotAcceptable for frames of a deflated object all out of order."""
        return self._frames(*self.framed(scope), numbers)

    def frames_of(self, instance: StoredInstance, numbers: Sequence[int]) -> Frames:
        """The same of just this instance: what has taken its place since is NotFound, as its pixels would be shown by
        other metadata."""
        return self._frames(instance, self.frame_table(instance), numbers)

    def _frames(self, instance: StoredInstance, table: FrameTable, numbers: Sequence[int]) -> Frames:
        for number in numbers:
            table.ranges(number)
        syntax = transfer_syntax(instance.transfer_syntax_uid)
        if syntax.deflated:
            stored_frames.check_order(numbers)
        encapsulated = table.encapsulated
        return Frames(
            instance=instance,
            media_type=syntax.media_type if encapsulated else "application/octet-stream",
            transfer_syntax_uid=syntax.uid if encapsulated else "1.2.840.10008.1.2.1",
            numbers=tuple(numbers),
            frames=stored_frames.in_order(instance, partial(self.open, instance), table, numbers),
        )

    def number_of_frames(self, instance: StoredInstance) -> int:
        """How many frames it has; 0 without pixel data. Raises NotFound."""
        packed = self._packed_frame_table(instance)
        return FrameTable.unpack(packed).number_of_frames if packed else 0

    def bulk_data(self, scope: Scope, path: str) -> tuple[BulkValue, Iterator[bytes]]:
        """The value that a BulkDataURI of this instance names, little endian. Raises NotFound."""
        instance = self.instance(scope)
        with self._database.read() as connection:
            value = instances.bulk_value(connection, instance, path)
        if value is None:
            raise NotFound("no bulk data of this name: the metadata has the BulkDataURIs there are")
        words = value
        if path == stored_frames.PIXEL_DATA:
            words = stored_frames.pixel_value(self.frame_table(instance))
        return value, self._read(instance, words, value.offset, value.length)

    def metadata_of(self, found: Sequence[StoredInstance], url_of: UrlOf) -> Iterator[bytes]:
        """The same of just these instances. Raises NotFound, perhaps late, when one of them has gone."""
        decompressor = zstandard.ZstdDecompressor()  # one: to make it takes longer than to use it
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            with self._database.read() as connection:
                compressed = instances.metadata(connection, batch)
            for instance in batch:
                if instance.blob_key not in compressed:
                    raise NotFound("an instance went away while its metadata was being read: ask again")
                text = decompressor.decompressobj().decompress(compressed[instance.blob_key])
                yield text.replace(_MARK, _MARK + url_of(instance).encode() + b"/")

    def attributes(self, instance: StoredInstance) -> dict[str, Any]:
        """The DICOM JSON Model of one instance. Raises NotFound."""
        found: dict[str, Any] = orjson.loads(next(self.metadata_of([instance], lambda _: "")))
        return found

    def frame_tables(self, found: Sequence[StoredInstance]) -> Iterator[FrameTable | None]:
        """That of each instance, None for one without pixel data. Raises NotFound."""
        for instance in found:
            packed = self._packed_frame_table(instance)
            yield FrameTable.unpack(packed) if packed else None

    def bulk_values(self, instance: StoredInstance) -> list[BulkValue]:
        """All that the metadata of an instance has by BulkDataURI, in their order. Raises NotFound."""
        with self._database.read() as connection:
            return instances.bulk_values(connection, instance)

    def frame_table(self, instance: StoredInstance) -> FrameTable:
        """Where the frames of an instance lie. Raises NotFound when it has no pixel data."""
        return _unpacked(self._packed_frame_table(instance))

    def _packed_frame_table(self, instance: StoredInstance) -> bytes:
        with self._database.read() as connection:
            return instances.frame_table(connection, instance)

    def _read(self, instance: StoredInstance, value: BulkValue, offset: int, length: int) -> Iterator[bytes]:
        with self.open(instance) as blob:
            yield from DataSet(blob, instance).pieces(value, offset, length)


def _unpacked(packed: bytes) -> FrameTable:
    if not packed:
        raise NotFound("this instance has no pixel data, so it has no frames")
    is_short = 0 <= zstandard.frame_content_size(packed) <= _LONGEST_REMEMBERED
    return _remembered(packed) if is_short else FrameTable.unpack(packed)


@lru_cache(256)
def _remembered(packed: bytes) -> FrameTable:
    """The images of a series have the same table, and a viewer asks for one after the other."""
    return FrameTable.unpack(packed)
