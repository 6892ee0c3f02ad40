"""STOW-RS: storing instances (PS3.18 10.5), each part of the body streamed to `services/ingest` as it comes.

Every part has its own fate: a bad one is reported and the next is read. What breaks the body as a whole (no closing
boundary) ends the reading; parts that were complete before keep their fate.

While one part is made safe the next ones are read, and a few are made safe together: on a disk that takes 5 ms to sync,
20 CT images take 200 to 270 ms so, and 510 to 720 ms one after another. Parts that contradict each other are in a race,
as they would be in two requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from archive.dicom.errors import ArchiveError, CannotUnderstand, NotDicom
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.web import media_types, metrics
from archive.web.crossing import Beside
from archive.web.errors import IDENTITY, RequestRefused
from archive.web.exchange import Answer, Asked
from archive.web.media_types import DICOM, MULTIPART, MediaType
from archive.web.multipart import Event, MultipartError, Parser, PartBegin, PartData, PartEnd
from archive.web.store_response import Failure, StoreResponse

if TYPE_CHECKING:
    from archive.bootstrap import Archive
    from archive.services.ingest import Receipt, Reception

DOOR = "STOW-RS"
MAXIMUM_PARTS = 50_000
"""Of one body. The answer names each part, and it must fit in memory."""

FINISHING = 4
"""Parts of one body that are made safe at a time; each is whole in the spool."""

_STUDY_INSTANCE_UID = 0x0020000D


def store(archive: Archive, asked: Asked) -> Store:
    """Receive a body of one or many PS3.10 files. Raises RequestRefused (415, 400), InvalidUID."""
    if asked.headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise RequestRefused("this archive takes bodies without Content-Encoding only", 415)
    study = asked.path.get("study", "")
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
    return Store(archive, asked, _parser(asked), study)


class Store:
    """The receiving end of one store request (`exchange.Taker`)."""

    def __init__(self, archive: Archive, asked: Asked, parser: Parser | _OneFile, study: str) -> None:
        self._archive = archive
        self._parser = parser
        self._study = study
        self._source = Source(door=DOOR, address=asked.peer_address)
        self._response = StoreResponse(asked.base_url, asked.accept)
        self._part: _Part | None = None
        self._parts = 0
        self._finishing: Beside[Receipt | Failure] = Beside(FINISHING)

    def feed(self, piece: bytes) -> bool:
        """Store what is complete in it. False when the body is broken."""
        try:
            for event in self._parser.feed(piece):
                self._take(event)
        except MultipartError as error:
            self._break(error)
            return False
        return True

    def finish(self) -> Answer:
        """The fate of every part."""
        if not self._response.broken:
            try:
                for event in self._parser.finish() or ():
                    self._take(event)
            except MultipartError as error:
                self._break(error)
        self._collect()
        return self._response.answer()

    def close(self) -> None:
        """Leave nothing behind of a part that did not end; those that did end are made safe."""
        self._finishing.close()
        if self._part is not None:
            self._part.close()
            self._part = None

    def _take(self, event: Event) -> None:
        if isinstance(event, PartData):
            assert self._part is not None
            self._part.write(event.data)
        elif isinstance(event, PartBegin):
            self._begin(event)
        else:
            self._end()

    def _begin(self, begin: PartBegin) -> None:
        self._parts += 1
        if self._parts > MAXIMUM_PARTS:
            raise MultipartError(f"more than {MAXIMUM_PARTS} parts in one request")
        self._part = _Part(self._archive, self._source, self._study, begin)

    def _end(self) -> None:
        assert self._part is not None
        part, self._part = self._part, None
        self._finishing.begin(partial(_finished, part))
        self._collect(leave=FINISHING)

    def _collect(self, leave: int = 0) -> None:
        for outcome in self._finishing.outcomes(leave):
            if isinstance(outcome, Failure):
                metrics.OBJECTS.labels("refused").inc()
                self._response.failures.append(outcome)
            else:
                metrics.OBJECTS.labels("already_there" if outcome.already_there else "stored").inc()
                self._response.receipts.append(outcome)

    def _break(self, error: MultipartError) -> None:
        """Nothing after this place can be read; the part at hand has no end."""
        identity = self._part.identity if self._part is not None else ("", "")
        self.close()
        self._collect()
        self._response.broken = True
        self._response.failures.append(Failure(CannotUnderstand(str(error)), *identity))


class _Part:
    """One object on its way in, or what was wrong with it: nothing is read of it any more then."""

    def __init__(self, archive: Archive, source: Source, study: str, begin: PartBegin) -> None:
        self._archive = archive
        self._source = source
        self._study = study
        self._stack = ExitStack()
        self._reception: Reception | None = None
        self._failure: Failure | None = None
        name = media_types.parse(begin.headers.get("content-type", DICOM)).name
        if begin.fault:
            self._fail(CannotUnderstand(begin.fault))
        elif name not in (DICOM, media_types.OCTET_STREAM):
            self._fail(CannotUnderstand(f"a part of type {name or 'unknown'}: only {DICOM} is stored here"))

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
                self._reception = self._stack.enter_context(
                    self._archive.ingest.part10(self._source, self._study)
                )
            self._reception.write(piece)
        except ArchiveError as error:
            self._fail(error)

    def finish(self) -> Receipt | Failure:
        """The part is whole: make it safe, or say what was wrong."""
        if self._failure is not None:
            return self._failure
        try:
            if self._reception is None:
                raise NotDicom("an empty part")
            return self._reception.finish()
        except ArchiveError as error:
            return Failure(error, *self.identity)

    def close(self) -> None:
        """Leave nothing behind unless it was finished."""
        self._stack.close()

    def _fail(self, error: ArchiveError) -> None:
        self._failure = Failure(error, *self.identity)
        self.close()


def _finished(part: _Part) -> Receipt | Failure:
    with part:
        return part.finish()


class _OneFile:
    """A body that is one PS3.10 file, with the face of the multipart parser."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """One part, and everything is in it."""
        if not self._begun:
            self._begun = True
            yield PartBegin({})
        yield PartData(memoryview(piece))

    def finish(self) -> Iterator[Event]:
        """The part ends with the body."""
        yield PartEnd()


def _parser(asked: Asked) -> Parser | _OneFile:
    content = media_types.parse(asked.headers.get("content-type", ""))
    if content.name == DICOM:
        return _OneFile()
    if content.name == MULTIPART and content.parameters.get("type", DICOM).lower() == DICOM:
        return _multipart(content)
    wanted = f'{MULTIPART}; type="{DICOM}"; boundary=..., or {DICOM}'
    raise RequestRefused(f"this archive stores bodies of Content-Type {wanted}", 415)


def _multipart(content: MediaType) -> Parser:
    try:
        return Parser(content.parameters.get("boundary", ""))
    except MultipartError as error:
        raise RequestRefused(f"Content-Type: {error}") from None
