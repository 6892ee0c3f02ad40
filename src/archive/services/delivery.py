"""In which form objects, frames and bulk data go out, and what stands in the way: for every door.

As stored, the bytes pass through untouched. In Explicit VR Little Endian they are re-encoded or decoded on the way
(`explicit`). For DIMSE, whose receivers say beforehand what they take, a data set is had in other transfer syntaxes too
(`conversion`)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial

from archive.dicom.errors import NotAcceptable
from archive.dicom.instance import BulkValue, StoredInstance
from archive.dicom.pixels.decoder import Decoder
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from archive.services import explicit, stored_frames
from archive.services.compression import Conversion
from archive.services.conversion import converted
from archive.services.data_set import DataSet
from archive.services.explicit import DecodedPixels
from archive.services.readable import Readable
from archive.services.retrieve import Retrieve
from archive.services.stored_frames import StoredFrames

ReadValue = Callable[[BulkValue], Iterator[bytes]]
"""A value's bytes as they are stored, in little endian."""


class Delivery:
    """What is behind it stays closed until it is read."""

    def __init__(self, retrieve: Retrieve, decoder: Decoder) -> None:
        self._retrieve = retrieve
        self._decoder = decoder

    def stored(self, instance: StoredInstance) -> Readable:
        """The PS3.10 file as it is stored."""
        return Readable(instance.blob_length, partial(_from_blob, self._retrieve, instance))

    def explicit(self, instance: StoredInstance) -> Readable:
        """The object as a PS3.10 file in Explicit VR Little Endian. Raises NotAcceptable, CannotRender, NotFound."""
        uid = instance.transfer_syntax_uid
        if uid == EXPLICIT_VR_LITTLE_ENDIAN:
            return self.stored(instance)
        opened = partial(self._retrieve.open, instance)
        if uid in explicit.NATIVE and not transfer_syntax(uid).big_endian:
            return explicit.of_native(instance, opened)
        (table,) = self._retrieve.frame_tables((instance,))
        explicit.check(instance, table)
        if table is None or not table.encapsulated:
            return explicit.of_native(instance, opened, stored_frames.pixel_bytes(table))
        return explicit.of_compressed(instance, opened, self.decoded(instance))

    @contextmanager
    def data_set(self, instance: StoredInstance, transfer_syntax_uid: str) -> Iterator[Iterator[bytes]]:
        """The pieces of the encoded data set in this transfer syntax, as stored or converted without loss. Raises
        NotFound, and NotAcceptable, CannotRender or CannotUnderstand where it cannot be had so; all of them before the
        first piece, as far as that can be told."""
        if transfer_syntax_uid == instance.transfer_syntax_uid:
            with self._retrieve.open(instance) as blob:
                yield blob.pieces(instance.data_set_offset, instance.data_set_length)
            return
        (table,) = self._retrieve.frame_tables((instance,))
        opened = partial(self._retrieve.open, instance)
        metadata = partial(self._retrieve.attributes, instance)
        conversion = Conversion(instance, opened, table, metadata, self._decoder)
        with closing(converted(conversion, transfer_syntax_uid)) as pieces:
            yield itertools.chain((next(pieces, b""),), pieces)

    def check(self, instance: StoredInstance, table: FrameTable | None) -> None:
        """Raises NotAcceptable or CannotRender if an instance, with this frame table, cannot be had in Explicit VR
        Little Endian. A codestream that is broken shows later."""
        explicit.check(instance, table)

    def refused(self, found: Sequence[StoredInstance]) -> dict[str, NotAcceptable]:
        """Why these cannot be had in Explicit VR Little Endian, by SOP Instance UID; asks the index
        alone, as `check` does."""
        doubtful = [one for one in found if one.transfer_syntax_uid not in explicit.NATIVE]
        reasons = {}
        for instance, table in zip(doubtful, self._retrieve.frame_tables(doubtful), strict=True):
            try:
                explicit.check(instance, table)
            except NotAcceptable as reason:
                reasons[instance.SOPInstanceUID] = reason
        return reasons

    def decoded(self, instance: StoredInstance) -> DecodedPixels:
        """The pixel data of a compressed object. Raises NotFound, NotAcceptable, CannotRender."""
        table = self._retrieve.frame_table(instance)
        opened = partial(self._retrieve.open, instance)
        metadata = self._retrieve.attributes(instance)
        return DecodedPixels(instance, opened, table, metadata, self._decoder)

    def stored_frames(
        self, instance: StoredInstance, table: FrameTable, numbers: Sequence[int]
    ) -> StoredFrames:
        """Frames as they are stored, native ones in little endian. Not for deflated objects, which would be inflated
        anew for each. Raises NotFound."""
        return StoredFrames(instance, partial(self._retrieve.open, instance), table, numbers)

    def bulk_value(self, instance: StoredInstance, value: BulkValue) -> Readable:
        """A value as it is stored, in little endian; not for encapsulated pixel data. Raises NotFound."""
        value = self._in_words(instance, value)
        return Readable(value.length, partial(_from_value, self._retrieve, instance, value))

    @contextmanager
    def opened(self, instance: StoredInstance) -> Iterator[ReadValue]:
        """The same of many values of an instance, which is opened once; and inflated once, as long as they ascend. Take
        the pieces of one before the next. Raises NotFound."""
        with self._retrieve.open(instance) as blob:
            data_set = DataSet(blob, instance)

            def read(value: BulkValue) -> Iterator[bytes]:
                words = self._in_words(instance, value)
                return data_set.pieces(words, words.offset, words.length)

            yield read

    def _in_words(self, instance: StoredInstance, value: BulkValue) -> BulkValue:
        """The value, its VR that whose words are turned round."""
        if value.path != stored_frames.PIXEL_DATA:
            return value
        return stored_frames.pixel_value(self._retrieve.frame_table(instance))


def _from_blob(retrieve: Retrieve, instance: StoredInstance, offset: int, length: int) -> Iterator[bytes]:
    with retrieve.open(instance) as blob:
        yield from blob.pieces(offset, length)


def _from_value(
    retrieve: Retrieve, instance: StoredInstance, value: BulkValue, offset: int, length: int
) -> Iterator[bytes]:
    with retrieve.open(instance) as blob:
        yield from DataSet(blob, instance).pieces(value, value.offset + offset, length)
