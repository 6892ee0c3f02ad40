"""Objects on their way out: which instances a request means, and their bytes, as stored or by offset.

Nothing here opens an object to find a frame: the index knows where each one lies. What a request means is read
from the index before the first byte goes out, so that no reader holds a transaction while a slow receiver
takes its time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import orjson
import zstandard

from archive.dicom import pixel_data
from archive.dicom.errors import CannotRender, NotAcceptable, NotFound
from archive.dicom.frames import FrameTable
from archive.dicom.greyscale import Window
from archive.dicom.instance import BulkValue, Scope, StoredInstance
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.viewport import Viewport
from archive.index import deletions, instances
from archive.index.database import Database
from archive.services.data_set import DataSet
from archive.storage.base import Blob, BlobStore

MAXIMUM_RENDERED_BYTES = 1 << 28
"""Of one frame as stored; it is in memory while it is decoded."""
MAXIMUM_RETURNS = 8
"""How often one request may go back in a deflated object."""

_BATCH = 200
_PIXEL_DATA = "7FE00010"
_MARK = b'"BulkDataURI":"'
"""Cannot occur inside a JSON string, where quotation marks are escaped."""


UrlOf = Callable[[StoredInstance], str]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as stored, `length` bytes; take its pieces before the next frame."""

    length: int
    pieces: Iterable[bytes]


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


class Retrieve:
    """The one way out of the archive, for every door."""

    def __init__(self, store: BlobStore, database: Database) -> None:
        self._store = store
        self._database = database

    def instances(self, scope: Scope) -> list[StoredInstance]:
        """The instances that the scope means, ordered by study, series and instance number."""
        with self._database.read() as connection:
            return list(instances.instances(connection, scope))

    def instance(self, scope: Scope) -> StoredInstance:
        """The one instance that the scope means. Raises NotFound, Gone."""
        found = self.instances(scope)
        if len(found) != 1:
            raise self.missing(scope)
        return found[0]

    def missing(self, scope: Scope) -> NotFound:
        """What to raise when a scope holds nothing: Gone if it was deleted, else NotFound."""
        with self._database.read() as connection:
            return deletions.missing(connection, scope)

    def open(self, instance: StoredInstance) -> Blob:
        """The stored PS3.10 file. Raises NotFound when its bytes are missing or cut short."""
        blob = self._store.open(instance.blob_key)
        if blob.length != instance.blob_length:
            blob.close()
            raise NotFound("the stored bytes of this instance were damaged: restore them from a backup")
        return blob

    def metadata(self, scope: Scope, url_of: UrlOf) -> Iterator[bytes]:
        """The DICOM JSON Model of each instance of the scope, as text; each BulkDataURI lies below the instance's
        own URL, which the door knows.

        Raises NotFound when nothing is there."""
        found = self.instances(scope)
        if not found:
            raise self.missing(scope)
        return self._metadata(found, url_of)

    def frames(self, scope: Scope, numbers: Sequence[int]) -> Frames:
        """These frames (1 is the first) of one instance. Raises NotFound before the first byte is read, and
        NotAcceptable for frames of a deflated object all out of order."""
        instance = self.instance(scope)
        table = self._frame_table(instance)
        for number in numbers:
            table.ranges(number)
        syntax = transfer_syntax(instance.transfer_syntax_uid)
        if syntax.deflated:
            _check_order(numbers)
        encapsulated = table.encapsulated
        return Frames(
            instance=instance,
            media_type=syntax.media_type if encapsulated else "application/octet-stream",
            transfer_syntax_uid=syntax.uid if encapsulated else "1.2.840.10008.1.2.1",
            numbers=tuple(numbers),
            frames=self._read_frames(instance, table, numbers),
        )

    def number_of_frames(self, scope: Scope) -> int:
        """How many frames the one instance has; 0 without pixel data."""
        instance = self.instance(scope)
        packed = self._packed_frame_table(instance)
        return FrameTable.unpack(packed).number_of_frames if packed else 0

    def bulk_data(self, scope: Scope, path: str) -> tuple[BulkValue, Iterator[bytes]]:
        """The value that a BulkDataURI of this instance names, little endian. Raises NotFound."""
        instance = self.instance(scope)
        with self._database.read() as connection:
            value = instances.bulk_value(connection, instance.SOPInstanceUID, path)
        if value is None:
            raise NotFound("no bulk data of this name: the metadata has the BulkDataURIs there are")
        words = value
        if path == _PIXEL_DATA:
            words = replace(value, vr=_word_vr(self._frame_table(instance)))
        return value, self._read(instance, words, value.offset, value.length)

    def rendered(
        self,
        scope: Scope,
        frame: int,
        media_type: str,
        *,
        quality: int = 90,
        window: Window | None = None,
        viewport: Viewport | None = None,
    ) -> bytes:
        """One frame as a picture for people. Raises NotFound, CannotRender, NotAcceptable, InvalidQuery."""
        instance = self.instance(scope)
        metadata: dict[str, Any] = orjson.loads(next(self._metadata([instance], lambda _: "")))
        pixel_data.check(metadata)
        table = self._frame_table(instance)
        if _frame_length(table, frame) > MAXIMUM_RENDERED_BYTES:
            raise CannotRender("the frame is too large to be rendered here: retrieve it as stored")
        with closing(self._read_frames(instance, table, (frame,))) as frames:
            stored = b"".join(next(frames).pieces)
        return pixel_data.render(
            stored,
            metadata,
            instance.transfer_syntax_uid,
            media_type,
            quality=quality,
            window=window,
            viewport=viewport,
            frame_number=frame,
        )

    def _metadata(self, found: Sequence[StoredInstance], url_of: UrlOf) -> Iterator[bytes]:
        for start in range(0, len(found), _BATCH):
            batch = found[start : start + _BATCH]
            scope = Scope(sop_instance_uids=tuple(instance.SOPInstanceUID for instance in batch))
            with self._database.read() as connection:
                rows = list(instances.metadata(connection, scope))
            compressed = {instance.SOPInstanceUID: text for instance, text in rows}
            for instance in batch:
                if instance.SOPInstanceUID not in compressed:
                    raise NotFound("an instance went away while its metadata was being read: ask again")
                decompressor = zstandard.ZstdDecompressor().decompressobj()
                text = decompressor.decompress(compressed[instance.SOPInstanceUID])
                yield text.replace(_MARK, _MARK + url_of(instance).encode() + b"/")

    def _frame_table(self, instance: StoredInstance) -> FrameTable:
        packed = self._packed_frame_table(instance)
        if not packed:
            raise NotFound("this instance has no pixel data, so it has no frames")
        return FrameTable.unpack(packed)

    def _packed_frame_table(self, instance: StoredInstance) -> bytes:
        with self._database.read() as connection:
            return instances.frame_table(connection, instance.SOPInstanceUID)

    def _read_frames(
        self, instance: StoredInstance, table: FrameTable, numbers: Sequence[int]
    ) -> Generator[Frame]:
        value = BulkValue(_PIXEL_DATA, _word_vr(table), table.offset, table.length)
        with self.open(instance) as blob:
            data_set = DataSet(blob, instance)
            for number in numbers:
                found = (data_set.pieces(value, *place) for place in table.ranges(number))
                stored = itertools.chain.from_iterable(found)
                yield Frame(_frame_length(table, number), _aligned(stored, table, number))

    def _read(self, instance: StoredInstance, value: BulkValue, offset: int, length: int) -> Iterator[bytes]:
        with self.open(instance) as blob:
            yield from DataSet(blob, instance).pieces(value, offset, length)


def _word_vr(table: FrameTable) -> str:
    """The VR whose words are the pixel cells: OW also holds cells of 32 and 64 bits, and in big endian a whole
    cell is turned round (PS3.5 8.1.1)."""
    if table.encapsulated:
        return "OB"
    vr = table.description.vr
    return {32: "OL", 64: "OV"}.get(table.description.BitsAllocated, vr) if vr == "OW" else vr


def _check_order(numbers: Sequence[int]) -> None:
    """To go back in a deflated object is to inflate it from the start again: a few times for a viewer that jumps,
    not ten thousand times for one who wants to keep us busy."""
    if sum(later <= earlier for earlier, later in itertools.pairwise(numbers)) > MAXIMUM_RETURNS:
        raise NotAcceptable("the object is deflated: ask for its frames in ascending order")


def _frame_length(table: FrameTable, number: int) -> int:
    if table.encapsulated:
        return sum(length for _, length in table.ranges(number))
    return -(-table.description.bits_per_frame // 8)


def _aligned(stored: Iterable[bytes], table: FrameTable, number: int) -> Iterable[bytes]:
    """A native frame of single bits starts where the one before ended, perhaps within a byte (PS3.5 8.1.1): move it
    to the start of a byte and clear what belongs to the next."""
    bits = table.description.bits_per_frame
    if table.encapsulated or bits % 8 == 0:
        return stored
    _, _, shift = table.bits(number)
    value = (int.from_bytes(b"".join(stored), "little") >> shift) & ((1 << bits) - 1)
    return (value.to_bytes(-(-bits // 8), "little"),)
