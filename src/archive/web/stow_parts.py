"""The parts of a store request, each by its media type (PS3.18 10.5.1.4, 8.6.1.2): TABLE in `opened`.

application/dicom is an object and goes to `services/ingest` as it comes. Metadata and bulk data go to
`services/composing`, which puts objects together of them in the end. A part's own Content-Type decides, whatever the
type of the whole: where clients get that wrong, they get it wrong in the head of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from archive.dicom.errors import ArchiveError, CannotUnderstand, NotDicom
from archive.dicom.instance import Source
from archive.dicom.receiving.received_pixels import MEDIA_TYPES
from archive.web.http import media_types
from archive.web.http.errors import IDENTITY
from archive.web.http.media_types import DICOM, DICOM_JSON, DICOM_XML, OCTET_STREAM, MediaType
from archive.web.http.multipart import PartBegin
from archive.web.store_response import Failure

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive
    from archive.services.composing import Composition, Incoming
    from archive.services.ingest import Ingest, Reception
    from archive.services.receipts import Receipt

METADATA = (DICOM_JSON, DICOM_XML)
ROOTS = frozenset((DICOM, *METADATA, *MEDIA_TYPES))
"""What the `type` of a multipart body may be (table 10.5.4-1), in lower case."""

_AS_THEY_ARE = frozenset(("", "binary", "8bit", "7bit"))
_UTF_8 = frozenset(("", "utf-8", "utf8", "us-ascii"))


@dataclass(frozen=True, slots=True)
class Ended:
    """A part that has an outcome of its own: its object, which is not safe yet, or what was wrong with it. `weight` is
    about how much memory it takes until it is finished."""

    stack: ExitStack
    reception: Reception | None = None
    failure: Failure | None = None
    weight: int = 0


def finished(ingest: Ingest, parts: Sequence[Ended]) -> list[Receipt | Failure]:
    """The outcomes of these parts, in their order: their objects are made safe together, and nothing is left behind of
    one that is not."""
    with ExitStack() as all_of_them:
        for part in parts:
            all_of_them.enter_context(part.stack)
        found = [part.reception for part in parts if part.reception is not None]
        receipts = iter(ingest.finish(found))
        return [part.failure or _outcome(part, next(receipts).result) for part in parts]


def _outcome(part: Ended, receipt: Callable[[], Receipt]) -> Receipt | Failure:
    try:
        return receipt()
    except ArchiveError as error:
        return Failure(error, *(part.reception.identity if part.reception is not None else ("", "")))


class Part(Protocol):
    """A part on its way in. It never raises: what was wrong is its outcome."""

    @property
    def identity(self) -> tuple[str, str]: ...

    def write(self, piece: memoryview) -> None: ...

    def end(self) -> Ended | None:
        """The part is whole; None when it has no outcome of its own. Whoever takes it has it `finished`."""

    def close(self) -> None:
        """Leave nothing behind of a part that did not end."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the parts of one request have in common. `root` is the media type of the whole."""

    archive: Archive
    source: Source
    study: str
    root: str
    composition: Composition


def opened(request: Request, begin: PartBegin) -> Part:
    """The part that begins so."""
    try:
        return _opened(request, begin)
    except ArchiveError as error:
        return _Failed(Failure(error))


def _opened(request: Request, begin: PartBegin) -> Part:
    if begin.fault:
        raise CannotUnderstand(begin.fault)
    content = _content_type(begin.headers, request.root)
    _check_coding(begin.headers)
    if content.name == DICOM or (content.name == OCTET_STREAM and request.root == DICOM):
        return _Object(request)
    if content.name in METADATA:
        if content.parameters.get("charset", "").lower() not in _UTF_8:
            raise CannotUnderstand("metadata are taken in UTF-8 only (PS3.18 F.2)")
        return _Piece(request.composition.metadata(is_xml=content.name == DICOM_XML))
    return _Piece(_bulk_data(request, begin.headers, content))


def _content_type(headers: Mapping[str, str], root: str) -> MediaType:
    """Without one of its own, a part with a location has bulk data, and one without is what the whole is."""
    if "content-type" in headers:
        content = media_types.parse(headers["content-type"])
        return MediaType(media_types.synonym(content.name), content.parameters)
    is_bulk = root != DICOM and "content-location" in headers
    return MediaType(OCTET_STREAM if is_bulk else root)


def _check_coding(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", IDENTITY).lower() != IDENTITY:
        raise CannotUnderstand("this archive takes parts without Content-Encoding only")
    if headers.get("content-transfer-encoding", "").lower() not in _AS_THEY_ARE:
        raise CannotUnderstand("this archive takes parts with Content-Transfer-Encoding: binary only")


def _bulk_data(request: Request, headers: Mapping[str, str], content: MediaType) -> Incoming:
    location = headers.get("content-location", "").strip()
    if not content.name or content.name.startswith("multipart/") or not location:
        what = f"a part of type {content.name[:64] or 'unknown'}"
        wanted = f"only {DICOM} is stored here, metadata, and bulk data with a Content-Location"
        raise CannotUnderstand(f"{what}: {wanted}")
    named = content.parameters.get("transfer-syntax", "").strip()
    return request.composition.bulk_data(
        location, content.name, "" if named == media_types.ANY_SYNTAX else named
    )


class _Object:
    """One PS3.10 object, or what was wrong with it: nothing is read of it any more then."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._stack = ExitStack()
        self._reception: Reception | None = None
        self._failure: Failure | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """SOP Class and Instance UID as far as known."""
        return self._reception.identity if self._reception is not None else ("", "")

    def write(self, piece: memoryview) -> None:
        """Take the next bytes, unless the part has failed."""
        if self._failure is not None:
            return
        try:
            if self._reception is None:
                ingest, source = self._request.archive.ingest, self._request.source
                self._reception = self._stack.enter_context(ingest.part10(source, self._request.study))
            self._reception.write(piece)
        except ArchiveError as error:
            self._failure = Failure(error, *self.identity)
            self.close()

    def end(self) -> Ended:
        """Making it safe takes a disk its time, which many may share."""
        weight = 0
        if self._failure is None:
            try:
                if self._reception is None:
                    raise NotDicom("an empty part")
                weight = self._reception.end()
            except ArchiveError as error:
                self._failure = Failure(error, *self.identity)
                self.close()
        if self._failure is not None:
            return Ended(self._stack, failure=self._failure)
        return Ended(self._stack, self._reception, weight=weight)

    def close(self) -> None:
        """Leave nothing behind."""
        self._stack.close()


class _Piece:
    """Metadata or bulk data, of which objects are put together later."""

    identity = ("", "")

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._failure: Failure | None = None

    def write(self, piece: memoryview) -> None:
        if self._failure is not None:
            return
        try:
            self._incoming.write(piece)
        except ArchiveError as error:
            self._failure = Failure(error)

    def end(self) -> Ended | None:
        if self._failure is not None:
            return _Failed(self._failure).end()
        self._incoming.finish()
        return None

    def close(self) -> None: ...


class _Failed:
    """A part that nothing is read of."""

    identity = ("", "")

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    def write(self, piece: memoryview) -> None: ...

    def end(self) -> Ended:
        return Ended(ExitStack(), failure=self._failure)

    def close(self) -> None: ...
