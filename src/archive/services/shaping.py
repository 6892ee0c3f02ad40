"""An object that is to become something else before anything points to it: compressed, coerced by rules, corrected.

    read whole  ->  each shaper looks at it in turn  ->  what it makes is written to a blob of its own, and read again
      as if it had just come in  ->  it takes the place of what it was made from, of which nothing is left

Shapers see an object only when it is new. What came in keeps its digest and its transfer syntax, so the sender that
brings it once more is told that it is there. No shaper may change what an object is: class, study, series, instance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from archive.dicom import part10
from archive.dicom.errors import ArchiveError, CannotUnderstand, OutOfResources
from archive.dicom.instance import Instance, Source, StoredInstance
from archive.dicom.reading.reader import WANTED, DataSetReader
from archive.storage.base import Blob, BlobStore, BlobWriter

_log = structlog.get_logger()

_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


@dataclass(frozen=True, slots=True)
class Received:
    """An object that has been read whole, before anything points to it. `stored` is what the index would have of it,
    and `open` gives its bytes as a PS3.10 file that the caller closes."""

    instance: Instance
    stored: StoredInstance
    source: Source
    open: Callable[[], Blob]


class Note(Protocol):
    """What is to be known of a change for as long as the object is."""

    def enter(self, connection: Any, stored: StoredInstance) -> None:
        """Within the transaction that records the object."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an object is to become instead. `pieces` makes the encoded data set, a piece at a time; `coerced_tags` are
    the attributes that its sender is told of. `check` looks at what was written before it counts, and raises what
    `pieces` may. A shape that is `optional` may fail: the object then stays as it is, and the log says why. Else the
    object is refused. `note` is taken in the transaction that records the object."""

    transfer_syntax_uid: str
    pieces: Callable[[], Iterator[bytes]]
    coerced_tags: tuple[int, ...] = ()
    optional: bool = False
    check: Callable[[Written], None] | None = None
    note: Note | None = None


Shaper = Callable[[Received], Shape | None]
"""None: it stays as it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """A shaped object in a blob that is not published yet, and what was learnt from it."""

    writer: BlobWriter
    instance: Instance
    data_set_offset: int
    sha256: str

    @property
    def stored(self) -> StoredInstance:
        """As the index would have it, but for what was received."""
        one = self.instance
        return StoredInstance(
            one.StudyInstanceUID,
            one.SeriesInstanceUID,
            one.SOPInstanceUID,
            one.SOPClassUID,
            one.transfer_syntax_uid,
            self.writer.key,
            self.data_set_offset,
            one.length,
            self.sha256,
        )


def written(
    store: BlobStore,
    before: StoredInstance,
    opened: Callable[[], Blob],
    source: Source,
    shape: Shape,
    wanted: frozenset[int] = WANTED,
) -> Written:
    """Write what an object is to become and read it again, with the attributes that are `wanted`; the caller publishes
    or discards it. `opened` gives the bytes that it had before.

    Raises what pieces and check raise, OutOfResources, and CannotUnderstand for what would be no object any more, or
    another one; nothing is left behind then."""
    writer = store.create()
    try:
        header = _header(before, opened, source, shape)
        writer.write(header)
        reader, digest = DataSetReader(shape.transfer_syntax_uid, wanted=wanted), hashlib.sha256()
        for piece in shape.pieces():
            digest.update(piece)
            writer.write(piece)
            reader.feed(piece)
        instance = reader.finish()
        if any(getattr(instance, name) != getattr(before, name) for name in _IDENTITY):
            raise CannotUnderstand(
                "what was made of the object would be another object: it cannot be changed so"
            )
        made = Written(writer, instance, len(header), digest.hexdigest())
        if shape.check is not None:
            shape.check(made)
    except BaseException:
        writer.discard()
        raise
    return made


def _header(before: StoredInstance, opened: Callable[[], Blob], source: Source, shape: Shape) -> bytes:
    """The File Meta Information stays as long as it is true: in another transfer syntax we wrote the file."""
    if shape.transfer_syntax_uid == before.transfer_syntax_uid:
        with closing(opened()) as blob:
            return blob.read(0, before.data_set_offset)
    return part10.file_meta(
        before.SOPClassUID,
        before.SOPInstanceUID,
        shape.transfer_syntax_uid,
        calling_ae_title=source.calling_ae_title,
        called_ae_title=source.called_ae_title,
    )


@dataclass(frozen=True, slots=True)
class Shaped:
    """An object as the shapers have left it."""

    latest: Written
    coerced_tags: tuple[int, ...]
    notes: tuple[Note, ...] = ()


def shaped(
    store: BlobStore,
    first: Written,
    source: Source,
    shapers: tuple[Shaper, ...],
    opened: Callable[[], Blob] | None = None,
    wanted: frozenset[int] = WANTED,
) -> Shaped:
    """Run the shapers one after the other. What they leave takes the place of `first`, which is discarded then, unless
    it is left itself. `opened` gives its bytes where they are published already. Raises what shapers and `written`
    raise; then only `first` is left."""
    latest, tags, notes = first, set[int](), list[Note]()
    try:
        for shaper in shapers:
            open_latest = opened if opened and latest is first else latest.writer.read_back
            following, shape = _following(store, latest, open_latest, source, shaper, wanted)
            if following is None or shape is None:
                continue
            tags |= set(shape.coerced_tags)
            notes += [shape.note] if shape.note is not None else []
            former, latest = latest, following
            if former is not first:
                former.writer.discard()
    except BaseException:
        if latest is not first:
            latest.writer.discard()
        raise
    if latest is not first:
        first.writer.discard()
    return Shaped(latest, tuple(sorted(tags)), tuple(notes))


def _following(
    store: BlobStore,
    latest: Written,
    opened: Callable[[], Blob],
    source: Source,
    shaper: Shaper,
    wanted: frozenset[int],
) -> tuple[Written | None, Shape | None]:
    received = Received(latest.instance, latest.stored, source, opened)
    shape = shaper(received)
    if shape is None:
        return None, None
    try:
        return written(store, received.stored, received.open, source, shape, wanted), shape
    except OutOfResources:
        raise
    except ArchiveError as error:
        if not shape.optional:
            raise
        _log.info(
            "object_left_as_it_came",
            sop_instance_uid=received.stored.SOPInstanceUID,
            transfer_syntax_uid=shape.transfer_syntax_uid,
            reason=error.reason,
        )
        return None, None
