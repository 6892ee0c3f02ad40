"""A stored data set with its frames compressed on the way out, one at a time, without loss.

How long an encoded frame is shows when it is encoded, so the length of the data set is not known beforehand: this is
for DIMSE, which has no need of it, and not for HTTP. The Basic Offset Table is empty for the same reason (PS3.5 A.4).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from archive.dicom.errors import NotAcceptable
from archive.dicom.instance import StoredInstance
from archive.dicom.metadata_values import Metadata
from archive.dicom.pixels import encoders
from archive.dicom.pixels.decoder import Decoder
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.pixels.native import NativeFrame
from archive.dicom.pixels.pixel_description import PixelDescription, describe
from archive.dicom.transfer_syntaxes import transfer_syntax
from archive.dicom.writing.byte_order import Read
from archive.dicom.writing.encoder import UNDEFINED
from archive.dicom.writing.recoded import Recoded
from archive.dicom.writing.recoding import Picture, Source
from archive.services import stored_frames
from archive.services.data_set import Inflated
from archive.services.explicit import AHEAD, DECODING, FRAMES_AHEAD, DecodedPixels
from archive.storage.base import Blob

_ITEM = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Conversion:
    """An object that is to be said in another way: how it is opened, its frame table (None without pixel data), how its
    metadata is read, and who decodes its frames."""

    instance: StoredInstance
    opened: Callable[[], Blob]
    table: FrameTable | None
    metadata: Callable[[], Metadata]
    decoder: Decoder

    def decoded(self) -> DecodedPixels:
        """The pixel data of a compressed object. Raises CannotRender, NotAcceptable."""
        assert self.table is not None
        return DecodedPixels(self.instance, self.opened, self.table, self.metadata(), self.decoder)

    def source(self, blob: Blob, pixel_bytes: int) -> tuple[Read, Source]:
        """How the plain data set of the opened object is read, and what the recoder has to know of it."""
        syntax = transfer_syntax(self.instance.transfer_syntax_uid)
        if syntax.deflated:
            inflated = Inflated(blob, self.instance)
            return inflated.read, Source(inflated.read, inflated.length)
        start, length = self.instance.data_set_offset, self.instance.data_set_length

        def read(offset: int, length: int) -> bytes:
            return blob.read(start + offset, length)

        return read, Source(read, length, syntax.implicit, syntax.big_endian, pixel_bytes)


def compressed(conversion: Conversion, transfer_syntax_uid: str) -> Generator[bytes]:
    """The pieces of the data set, its frames encoded. What fits in memory of them is before the first piece. Raises
    NotAcceptable, CannotRender, CannotUnderstand, NotFound."""
    table = conversion.table
    assert table is not None
    description = describe(conversion.metadata())
    encoders.check(description, transfer_syntax_uid)
    native = _decoded_frames if table.encapsulated else native_frames
    with closing(native(conversion, table, description)) as frames, conversion.opened() as blob:
        first = next(frames)
        encode = partial(_encoded, description=description, transfer_syntax_uid=transfer_syntax_uid)
        encoded = map(encode, itertools.chain((first,), frames))
        ahead = _ahead(encoded)
        read, source = conversion.source(blob, stored_frames.pixel_bytes(table))
        picture = _picture(conversion, table, first, transfer_syntax_uid)
        recoded = Recoded(b"", source, picture)
        yield from recoded.encapsulated(read, lambda: _items(itertools.chain(ahead, encoded)))


def _picture(
    conversion: Conversion, table: FrameTable, first: NativeFrame, transfer_syntax_uid: str
) -> Picture:
    colours, planar = encoders.colours(first, transfer_syntax_uid)
    return Picture(
        transfer_syntax_uid=conversion.instance.transfer_syntax_uid,
        offset=table.offset,
        end=table.offset + table.length,
        length=UNDEFINED,
        bits_allocated=table.description.BitsAllocated,
        PhotometricInterpretation=colours,
        PlanarConfiguration=planar if table.description.SamplesPerPixel > 1 else None,
        decoder=conversion.decoder,
        encapsulated=table.encapsulated,
    )


def _decoded_frames(conversion: Conversion, _: FrameTable, __: PixelDescription) -> Generator[NativeFrame]:
    yield from conversion.decoded().all_frames()


def native_frames(
    conversion: Conversion, table: FrameTable, description: PixelDescription
) -> Generator[NativeFrame]:
    """Each frame of an object whose pixel data is native. Raises NotAcceptable, NotFound."""
    declared = max(table.description.NumberOfFrames, 1)
    if table.number_of_frames != declared:
        raise NotAcceptable(f"{declared} frames are declared and {table.number_of_frames} are there")
    stored = stored_frames.in_order(conversion.instance, conversion.opened, table, range(1, declared + 1))
    with closing(stored):
        for frame in stored:
            yield NativeFrame(
                b"".join(frame.pieces), description.PhotometricInterpretation, description.PlanarConfiguration
            )


def _encoded(frame: NativeFrame, description: PixelDescription, transfer_syntax_uid: str) -> bytes:
    with DECODING:
        return encoders.encode_frame(frame, description, transfer_syntax_uid)


def _ahead(encoded: Iterator[bytes]) -> list[bytes]:
    """As many of them as fit in memory."""
    taken, length = [], 0
    for codestream in itertools.islice(encoded, FRAMES_AHEAD):
        taken.append(codestream)
        length += len(codestream)
        if length > AHEAD:
            break
    return taken


def _items(codestreams: Iterator[bytes]) -> Iterator[bytes]:
    """A fragment for each frame, behind an empty Basic Offset Table."""
    yield _ITEM.pack(0xFFFE, 0xE000, 0)
    for codestream in codestreams:
        yield _ITEM.pack(0xFFFE, 0xE000, len(codestream)) + codestream
