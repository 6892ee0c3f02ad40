"""New objects compressed without loss before they are kept, where a rule of the site says so.

What was written counts only when it was read back: every frame decoded again and compared with the one that came, all
other attributes and long values the same as before. Whatever is not as plain as that stays as it came, and the log says
why: an archive may be larger than it could be, but never hold other pixels than it was given.

Objects that came compressed, with or without loss, are never touched, and nothing here can lose anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import orjson

from archive.dicom.errors import NotAcceptable
from archive.dicom.instance import Instance, StoredInstance
from archive.dicom.metadata_values import integer
from archive.dicom.pixels import encoders
from archive.dicom.pixels.decoder import HERE
from archive.dicom.pixels.frames import FrameTable
from archive.dicom.pixels.pixel_description import DESCRIBING, PixelDescription, describe
from archive.dicom.rules.compressions import CompressionRule
from archive.dicom.rules.conditions import values_of
from archive.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from archive.index import kept
from archive.services import compression
from archive.services.compression import Conversion
from archive.services.data_set import DataSet
from archive.services.shaping import Received, Shape, Written
from archive.services.stored_frames import PIXEL_DATA
from archive.storage.base import Blob

_PLAIN = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
_COLOURS = {1: ("MONOCHROME1", "MONOCHROME2"), 3: ("RGB", "YBR_FULL")}
"""By SamplesPerPixel. Of others a codec, or a reader of what it made, might think otherwise."""
LARGEST_FRAME = 128 << 20
"""In bytes. A frame is in memory whole several times while it is encoded and compared."""
_OF_PIXELS = frozenset(("00280004", "00280006", PIXEL_DATA))
"""What an encoding of the pixel data may change."""


class Compressing:
    """A shaper, by rules of which the first that fits counts."""

    def __init__(self, rules: tuple[CompressionRule, ...]) -> None:
        self._rules = rules

    def __call__(self, received: Received) -> Shape | None:
        """The object in the transfer syntax that its rule names; None for what is to stay as it is."""
        instance = received.instance
        if not instance.frames or instance.transfer_syntax_uid not in _PLAIN:
            return None
        wanted = self._wanted(received)
        if not wanted:
            return None
        return Shape(
            wanted, partial(_pieces, received, wanted), optional=True, check=partial(_check, received)
        )

    def _wanted(self, received: Received) -> str:
        values = values_of(received.instance)
        for rule in self._rules:
            if rule.conditions.fit(received.source, received.instance, values):
                return rule.transfer_syntax_uid
        return ""


def _pieces(received: Received, transfer_syntax_uid: str) -> Iterator[bytes]:
    conversion = _conversion(received.stored, received.instance, received.open)
    _check_plain(conversion)
    yield from compression.compressed(conversion, transfer_syntax_uid)


def _conversion(stored: StoredInstance, instance: Instance, opened: Any) -> Conversion:
    """Decoded is what was encoded here, so it needs no process that may die of it."""
    metadata = _describing(instance)
    return Conversion(stored, opened, FrameTable.unpack(instance.frames), lambda: metadata, HERE)


def _check_plain(conversion: Conversion) -> None:
    """Raises NotAcceptable for pixels that are not quite what a codec takes."""
    table = conversion.table
    assert table is not None
    description = describe(conversion.metadata())
    if table.encapsulated or description.is_float:
        raise NotAcceptable("the pixel data is none that is compressed here")
    if description.PhotometricInterpretation not in _COLOURS.get(description.SamplesPerPixel, ()):
        raise NotAcceptable("pixels in such colours are not compressed here")
    if table.description.bits_per_frame > 8 * LARGEST_FRAME:
        raise NotAcceptable("a frame is too large to be compressed here")
    if any(integer(conversion.metadata(), tag, -1) != number for tag, number in _told(description)):
        raise NotAcceptable("what the object says of its pixels is not all there, or contradicts itself")
    exact = -(-table.description.bits_per_frame * max(table.description.NumberOfFrames, 1) // 8)
    if table.length not in (exact, exact + exact % 2):
        raise NotAcceptable("the pixel data is longer or shorter than its frames")


def _told(description: PixelDescription) -> Iterator[tuple[str, int]]:
    """What the data set has to say just so, as no default or repair is to be guessed at."""
    yield "00280002", description.SamplesPerPixel
    yield "00280101", description.BitsStored
    yield "00280102", description.HighBit
    yield "00280103", description.PixelRepresentation
    if description.SamplesPerPixel > 1:
        yield "00280006", description.PlanarConfiguration & 1


# --- what was written ---


def _check(received: Received, made: Written) -> None:
    """Raises NotAcceptable, CannotRender."""
    if made.instance.length >= received.instance.length:
        raise NotAcceptable("it would be no smaller")
    if _attributes(received.instance) != _attributes(made.instance):
        raise NotAcceptable("an attribute would not be what it was")
    with received.open() as before, made.writer.read_back() as after:
        if _long_values(received.stored, received.instance, before) != _long_values(
            made.stored, made.instance, after
        ):
            raise NotAcceptable("a long value would not be what it was")
    _check_frames(received, made)


def _attributes(instance: Instance) -> Mapping[str, str]:
    """By tag what the metadata says, but of pixels. Raises NotAcceptable where that is too long."""
    with kept.parsed(instance.metadata) as members:
        if members is None:
            raise NotAcceptable("its metadata is too long to be compared afterwards")
        return {
            tag: hashlib.sha256(orjson.dumps(value)).hexdigest()
            for tag, value in members.items()
            if tag not in _OF_PIXELS
        }


def _describing(instance: Instance) -> Mapping[str, Any]:
    """What the metadata says of pixels."""
    with kept.parsed(instance.metadata) as members:
        if members is None:
            raise NotAcceptable("its metadata is too long to be compared afterwards")
        return {tag: members[tag] for tag in DESCRIBING if tag in members}


def _long_values(stored: StoredInstance, instance: Instance, blob: Blob) -> Mapping[tuple[str, str], str]:
    found = {}
    for value in instance.bulk_values:
        if value.path == PIXEL_DATA:
            continue
        digest = hashlib.sha256()
        for piece in DataSet(blob, stored).pieces(value, value.offset, value.length):
            digest.update(piece)
        found[value.path, value.vr] = digest.hexdigest()
    return found


def _check_frames(received: Received, made: Written) -> None:
    before = _conversion(received.stored, received.instance, received.open)
    after = _conversion(made.stored, made.instance, made.writer.read_back)
    assert before.table is not None
    description = describe(before.metadata())
    with (
        closing(compression.native_frames(before, before.table, description)) as came,
        closing(after.decoded().all_frames()) as comes_back,
    ):
        for one, other in zip(came, comes_back, strict=True):
            if not encoders.is_same(one, other, description, made.instance.transfer_syntax_uid):
                raise NotAcceptable("a frame does not come back as it was")
