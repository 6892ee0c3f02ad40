"""Objects that come as metadata and bulk data in one request (PS3.18 10.5.1.4): put aside as they come, put together
when all have come.

Only then is it known what belongs together: a frame more may still come for an image, and two parts may contradict each
other. What comes is written to one spool of the store, so no more than the metadata of one object at a time is in
memory. Each object has its own fate, whichever part it came in.

A BulkDataURI names a part by its Content-Location. Both may be absolute or relative (to where the request was sent); it
is enough that their paths agree, as a client may know us by another host than we do. It is never fetched.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import unquote, urljoin, urlsplit

from archive.dicom.errors import ArchiveError, CannotUnderstand, InvalidUID, ObjectMismatch, ObjectTooLarge
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.dicom.receiving import assembly, json_reader, received, received_pixels, xml_reader
from archive.dicom.receiving.assembly import Bulk, Encapsulated
from archive.dicom.receiving.received import IDENTITY, DataSet, first
from archive.dicom.receiving.received_pixels import OCTET_STREAM, PIXEL_DATA, Part
from archive.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from archive.services.ingest import Ingest
from archive.services.receipts import Receipt
from archive.storage.base import Spool

ELEMENTS_DISCARDED = 0xB006
DOES_NOT_MATCH = 0xB007
"""Warning Reasons (PS3.18 table I.2-1)."""

_FRAME = re.compile(r"(.+?)/(?:frames/)?([1-9][0-9]{0,8})", re.ASCII)
_DOCUMENT, _MIME_TYPE, _DOCUMENT_LENGTH = "00420011", "00420012", "00420015"
_NUMBER_OF_FRAMES, _LOSSY = "00280008", "00282110"
_MANY = 50_000
"""Attributes and values of metadata, some 20 MB in memory."""
_TRANSFORMING = threading.BoundedSemaphore(1)
"""A picture takes several times its size in memory while it is decoded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that cannot be put together, or a part that belongs to none: why, and what is known of it."""

    error: ArchiveError
    SOPClassUID: str = ""
    SOPInstanceUID: str = ""


@dataclass(frozen=True, slots=True)
class Composed:
    """An object that is ready to be stored: its metadata, its bulk values, its transfer syntax."""

    ingest: Ingest
    source: Source
    study: str
    data_set: DataSet
    values: assembly.Values
    transfer_syntax_uid: str
    warning: int = 0

    @property
    def is_heavy(self) -> bool:
        """Whether its metadata are so many that only one like it should be in memory."""
        return received.size(self.data_set) > _MANY

    @property
    def identity(self) -> tuple[str, str]:
        """SOP Class and Instance UID."""
        return first(self.data_set, IDENTITY["SOPClassUID"]), first(self.data_set, IDENTITY["SOPInstanceUID"])

    def store(self) -> Receipt:
        """Through the one way into the archive. Raises what ingest raises."""
        charset = assembly.character_set(self.data_set)
        with self.ingest.data_set(
            self.transfer_syntax_uid, *self.identity, self.source, self.study
        ) as reception:
            for piece in assembly.encoded(self.data_set, self.values, charset):
                reception.write(piece)
            receipt = reception.finish()
        return receipt if receipt.warning else replace(receipt, warning=self.warning)


@dataclass(frozen=True, slots=True)
class _Metadata:
    is_xml: bool
    text: Bulk


@dataclass(slots=True)
class _Located:
    """A part with bulk data, and whether an object has asked for it."""

    location: str
    part: Part
    asked_for: bool = False


class Composition:
    """What one request brings. Write the parts one after the other, then take the objects, then close it."""

    def __init__(self, ingest: Ingest, source: Source, study: str, request_url: str) -> None:
        self._ingest = ingest
        self._source = source
        self._study = study
        self._request_url = request_url
        self._spool: Spool | None = None
        self._metadata: list[_Metadata] = []
        self._located: list[_Located] = []
        self._by_path: dict[str, list[_Located]] = {}
        self._by_frame: dict[str, dict[int, _Located]] = {}
        self._uncertain: set[str] = set()
        self._unreadable = False

    def metadata(self, *, is_xml: bool) -> Incoming:
        """A part with metadata is coming. Raises OutOfResources."""

        def keep(bulk: Bulk) -> None:
            self._metadata.append(_Metadata(is_xml, bulk))

        return Incoming(self._opened(), self._ingest.maximum_object_bytes, keep)

    def bulk_data(self, location: str, media_type: str, transfer_syntax_uid: str) -> Incoming:
        """A part with bulk data is coming. Raises OutOfResources."""
        self._uncertain = {self._path(location)}

        def keep(bulk: Bulk) -> None:
            self._locate(_Located(location, Part(media_type, transfer_syntax_uid, bulk)))

        return Incoming(self._opened(), self._ingest.maximum_object_bytes, keep)

    def objects(self, *, whole: bool) -> Iterator[Composed | Refused]:
        """Every object, and in the end every part that none asked for. Not `whole`: the request was cut off, and of the
        part that came last more may have been to come."""
        self._uncertain = set() if whole else self._uncertain
        for metadata in self._metadata:
            for read in self._data_sets(metadata):
                yield self._composed(read)
        if whole and not self._unreadable:
            yield from self._left_over()

    def close(self) -> None:
        """Give the room back."""
        if self._spool is not None:
            self._spool.close()

    # --- parts ---

    def _opened(self) -> Spool:
        if self._spool is None:
            self._spool = self._ingest.spool()
        return self._spool

    def _locate(self, located: _Located) -> None:
        path = self._path(located.location)
        self._located.append(located)
        self._by_path.setdefault(path, []).append(located)
        frame = _FRAME.fullmatch(path)
        if frame:
            self._by_frame.setdefault(frame[1], {}).setdefault(int(frame[2]), located)

    def _path(self, uri: str) -> str:
        """What of a URI has to agree."""
        with suppress(ValueError):
            split = urlsplit(urljoin(self._request_url, uri.strip()))
            return unquote(f"{split.path}?{split.query}" if split.query else split.path or uri)
        return uri

    def _asked_for(self, uri: str) -> list[Part]:
        """The parts of this URI: in the order in which they came, or by the numbers of frames in their locations."""
        path = self._path(uri)
        found = self._by_path.get(path, [])
        if not found:
            frames = self._by_frame.get(path, {})
            if sorted(frames) == list(range(1, len(frames) + 1)):
                found = [frames[number] for number in sorted(frames)]
        for located in found:
            located.asked_for = True
        if not found:
            raise CannotUnderstand("no part of the request has the Content-Location that a BulkDataURI names")
        return [located.part for located in found]

    def _left_over(self) -> Iterator[Refused]:
        for located in self._located:
            if not located.asked_for:
                yield Refused(CannotUnderstand("no BulkDataURI in the metadata names a part with bulk data"))

    # --- objects ---

    def _data_sets(self, metadata: _Metadata) -> Iterator[object]:
        try:
            if metadata.is_xml:
                yield xml_reader.data_set(metadata.text.pieces())
            else:
                yield from json_reader.data_sets(metadata.text.pieces())
        except ArchiveError as error:
            yield error

    def _composed(self, read: object) -> Composed | Refused:
        if isinstance(read, ArchiveError):
            self._unreadable = True
            return Refused(read)
        try:
            data_set = received.data_set(read)
        except ArchiveError as error:
            self._unreadable = True
            return Refused(error, *_identity(read))
        try:
            received.check_identity(data_set)
            return self._put_together(data_set)
        except ArchiveError as error:
            self._ask_for_all(data_set)
            return Refused(error, *_identity(data_set))

    def _ask_for_all(self, data_set: DataSet) -> None:
        """The parts of an object that is refused are no further failures."""
        for uri in received.bulk_data_uris(data_set):
            with suppress(CannotUnderstand):
                self._asked_for(uri)

    def _put_together(self, data_set: DataSet) -> Composed:
        values: dict[str, Bulk | Encapsulated]
        uid, warning = EXPLICIT_VR_LITTLE_ENDIAN, 0
        pixels = data_set.get(PIXEL_DATA, {}).get("BulkDataURI")
        data_set = self._with_document(data_set)
        uris = list(received.bulk_data_uris(data_set))
        if pixels and uris.count(pixels) > 1:
            raise CannotUnderstand("Pixel Data share their BulkDataURI with another attribute")
        values = {uri: self._value(uri) for uri in uris if uri != pixels}
        if pixels:
            found = self._pixels(data_set, pixels)
            uid, values[pixels] = found.transfer_syntax_uid, found.value
            is_denied = found.is_lossy and first(data_set, _LOSSY) == "00"
            data_set, is_less = received_pixels.completed(data_set, found)
            warning = DOES_NOT_MATCH if is_denied else ELEMENTS_DISCARDED if is_less else 0
        return Composed(self._ingest, self._source, self._study, data_set, values, uid, warning)

    def _value(self, uri: str) -> Bulk:
        part, *others = self._asked_for(uri)
        if others:
            raise CannotUnderstand("several parts have the Content-Location of one value")
        if part.media_type.startswith(("image/", "video/", "multipart/")):
            raise CannotUnderstand("only Pixel Data of the image itself can be in a part of this type")
        named = transfer_syntax(part.transfer_syntax_uid or EXPLICIT_VR_LITTLE_ENDIAN)
        if named.big_endian or named.deflated:
            raise CannotUnderstand("bulk data are little endian and not deflated (PS3.18 8.7.3.3.1)")
        return part.bulk

    def _pixels(self, data_set: DataSet, uri: str) -> received_pixels.Pixels:
        parts = self._asked_for(uri)
        if self._path(uri) in self._uncertain and not first(data_set, _NUMBER_OF_FRAMES):
            raise CannotUnderstand("the request was cut off, and nobody knows how many frames were to come")
        with _TRANSFORMING:
            return received_pixels.pixels(data_set, parts, self._keep)

    def _keep(self, pieces: Iterable[bytes]) -> Bulk:
        spool = self._opened()
        start = spool.length
        for piece in pieces:
            if spool.length + len(piece) - start > self._ingest.maximum_object_bytes:
                raise ObjectTooLarge("the decoded picture is larger than limits.maximum_object_bytes")
            spool.write(piece)
        return _spooled(spool, start)

    def _with_document(self, data_set: DataSet) -> DataSet:
        """An encapsulated document has the type that its part says, and its length without padding (PS3.3 C.24.2)."""
        uri = data_set.get(_DOCUMENT, {}).get("BulkDataURI")
        if not uri:
            return data_set
        part = self._asked_for(uri)[0]
        said = first(data_set, _MIME_TYPE)
        if part.media_type not in (OCTET_STREAM, said.partition(";")[0].strip().lower()) and said:
            raise ObjectMismatch(
                "the part with the document is not of the type that MIMETypeOfEncapsulatedDocument says",
                int(_MIME_TYPE, 16),
            )
        told = {_DOCUMENT_LENGTH: {"vr": "UL", "Value": [min(part.bulk.length, assembly.LONGEST_VALUE)]}}
        if part.media_type != OCTET_STREAM:
            told[_MIME_TYPE] = {"vr": "LO", "Value": [part.media_type]}
        return data_set | {tag: element for tag, element in told.items() if not first(data_set, tag)}


class Incoming:
    """A part on its way in. Left without `finish`, it was never there."""

    def __init__(self, spool: Spool, maximum: int, keep: Callable[[Bulk], None]) -> None:
        self._spool = spool
        self._maximum = maximum
        self._keep = keep
        self._start = spool.length

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Raises ObjectTooLarge, OutOfResources."""
        if self._spool.length + len(piece) - self._start > self._maximum:
            raise ObjectTooLarge(f"a part is larger than limits.maximum_object_bytes ({self._maximum})")
        self._spool.write(piece)

    def finish(self) -> None:
        """The part is whole."""
        self._keep(_spooled(self._spool, self._start))


def _spooled(spool: Spool, start: int) -> Bulk:
    """What was written to the spool from there on."""
    read = partial(_read, spool, start)
    return Bulk(spool.length - start, read)


def _read(spool: Spool, start: int, offset: int, length: int) -> Iterator[bytes]:
    return spool.pieces(start + offset, length)


def _identity(read: object) -> tuple[str, str]:
    """What a data set says it is, as far as that can be repeated to the client."""
    return _uid(read, IDENTITY["SOPClassUID"]), _uid(read, IDENTITY["SOPInstanceUID"])


def _uid(read: object, tag: str) -> str:
    element = read.get(tag) if isinstance(read, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    if not isinstance(values, list) or not values or not isinstance(values[0], str):
        return ""
    try:
        return check_uid(values[0].strip(), int(tag, 16))
    except InvalidUID:
        return ""
