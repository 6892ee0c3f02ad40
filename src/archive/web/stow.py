"""STOW-RS: storing instances (PS3.18 10.5), each part of the body taken in as it comes.

Every part has its own fate: a bad one is reported and the next is read. What breaks the body as a whole (no closing
boundary) ends the reading; parts that were complete before keep their fate. Objects that come as metadata and bulk data
are put together when the body has ended, as only then it is known what belongs together.

Objects that have come whole are made safe together, in one thread: many share what the disk does and a transaction.
What is read meanwhile waits for the next turn, so a slow disk makes the turns larger and a slow client makes them
small. No turn waits for a client, but the next one begins only when the body goes on, or ends. Objects that contradict
each other are in a race, as they would be in two requests. Where much is still to be done for each (compression), each
takes a thread of its own, a few at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from archive.dicom.errors import ArchiveError, CannotUnderstand
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.services.composing import Composed, Composition, Refused
from archive.services.refusals import Instance
from archive.web import stow_parts
from archive.web.http import media_types, metrics
from archive.web.http.beside import Beside
from archive.web.http.errors import IDENTITY, RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM, DICOM_JSON, MULTIPART, MediaType
from archive.web.http.multipart import Event, MultipartError, Parser, PartBegin, PartData, PartEnd
from archive.web.store_response import Failure, StoreResponse, answer_type
from archive.web.stow_parts import METADATA, ROOTS, Ended, Part, Request

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive
    from archive.services.receipts import Receipt

DOOR = "STOW-RS"
MAXIMUM_PARTS = 50_000
"""Of one body, and objects in all. The answer names each, and it must fit in memory."""

TOGETHER = 32
HEAVIEST = 4 * 1024 * 1024
"""So many objects of one body are made safe together at most, and of so many bytes in memory."""

TURNS = 1
FINISHING = 8
"""So many turns of one body are made safe while the next ones are read, or so many objects that each take a thread."""

_STUDY_INSTANCE_UID = 0x0020000D


def store(archive: Archive, asked: Asked) -> Store:
    """Receive a body of one or many objects. Raises RequestRefused (415, 400), InvalidUID, and what `answer_type`
    raises."""
    if asked.headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise RequestRefused("this archive takes bodies without Content-Encoding only", 415)
    study = asked.path.get("study", "")
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
    media_type = answer_type(asked.accept)
    root, parser = _parser(asked)
    source = Source(door=DOOR, address=asked.peer_address, user=asked.principal.name)
    target = f"{asked.base_url}/studies/" + (f"{study}/" if study else "")
    composition = Composition(archive.ingest, source, study, target)
    return Store(asked, media_type, parser, Request(archive, source, study, root, composition))


class Store:
    """The receiving end of one store request (`exchange.Taker`)."""

    def __init__(self, asked: Asked, media_type: str, parser: Parser | _OnePart, request: Request) -> None:
        self._parser = parser
        self._request = request
        self._response = StoreResponse(asked.base_url, media_type)
        self._part: Part | None = None
        self._parts = 0
        self._ended: list[Ended] = []
        self._finishing: Beside[list[Receipt | Failure]] = Beside()

    def feed(self, piece: bytes) -> bool:
        """Store what is complete in it. False when the body is broken."""
        try:
            for event in self._parser.feed(piece):
                self._take(event)
        except MultipartError as error:
            self._break(error)
            return False
        if not self._parser.complete:
            if self._finishing.is_idle:
                self._collect(leave=TURNS)
            self._finishing.go_on()
        return True

    def finish(self) -> Answer:
        """The fate of every part."""
        if not self._response.broken:
            try:
                for event in self._parser.finish() or ():
                    self._take(event)
            except MultipartError as error:
                self._break(error)
        self._compose()
        self._collect()
        self._keep_refusals()
        return self._response.answer()

    def close(self) -> None:
        """Leave nothing behind of a part that did not end; those that did end are made safe."""
        self._hand_over()
        self._finishing.close()
        self._drop_part()
        self._request.composition.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, PartData):
            assert self._part is not None
            self._part.write(event.data)
        elif isinstance(event, PartBegin):
            self._count()
            self._part = stow_parts.opened(self._request, event)
        else:
            self._end()

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAXIMUM_PARTS:
            raise MultipartError(f"more than {MAXIMUM_PARTS} parts or objects in one request")

    def _end(self) -> None:
        assert self._part is not None
        ended = self._part.end()
        self._part = None
        if ended is None:
            return
        self._ended.append(ended)
        if not self._request.archive.ingest.is_quick:
            self._collect(leave=FINISHING)
        elif len(self._ended) >= TOGETHER or sum(one.weight for one in self._ended) >= HEAVIEST:
            self._collect(leave=TURNS)

    def _hand_over(self) -> None:
        """Have made safe what has come whole."""
        if self._ended:
            ended, self._ended = self._ended, []
            self._finishing.begin(partial(stow_parts.finished, self._request.archive.ingest, ended))

    def _compose(self) -> None:
        """Store what metadata and bulk data make together."""
        self._hand_over()
        try:
            for found in self._request.composition.objects(whole=not self._response.broken):
                self._count()
                self._finishing.begin(partial(_stored, found))
                self._collect(leave=FINISHING)
                if isinstance(found, Composed) and found.is_heavy:
                    self._collect()
        except MultipartError as error:
            self._response.failures.append(Failure(CannotUnderstand(str(error))))

    def _collect(self, leave: int = 0) -> None:
        self._hand_over()
        for outcomes in self._finishing.outcomes(leave):
            for outcome in outcomes:
                self._note(outcome)

    def _note(self, outcome: Receipt | Failure) -> None:
        if isinstance(outcome, Failure):
            metrics.OBJECTS.labels("refused").inc()
            self._response.failures.append(outcome)
        else:
            metrics.OBJECTS.labels(_label(outcome)).inc()
            self._response.receipts.append(outcome)

    def _keep_refusals(self) -> None:
        """For the administrator whom the sender will ask."""
        for failure in self._response.failures:
            what = Instance(failure.SOPClassUID, failure.SOPInstanceUID)
            status = f"{failure.reason:04X}"
            self._request.archive.refusals.keep_object(what, self._request.source, status, failure.error)

    def _break(self, error: MultipartError) -> None:
        """Nothing after this place can be read; the part at hand has no end."""
        identity = self._part.identity if self._part is not None else ("", "")
        self._drop_part()
        self._collect()
        self._response.broken = True
        self._response.failures.append(Failure(CannotUnderstand(str(error)), *identity))

    def _drop_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            part.close()


def _label(receipt: Receipt) -> str:
    if receipt.kept_aside:
        return "kept_aside"
    return "already_there" if receipt.already_there else "stored"


def _stored(found: Composed | Refused) -> list[Receipt | Failure]:
    if isinstance(found, Refused):
        return [Failure(found.error, found.SOPClassUID, found.SOPInstanceUID)]
    try:
        return [found.store()]
    except ArchiveError as error:
        return [Failure(error, *found.identity)]


class _OnePart:
    """A body that is one part, with the face of the multipart parser."""

    complete = False

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """One part, and everything is in it."""
        if not self._begun:
            self._begun = True
            yield PartBegin({"content-type": self._content_type})
        yield PartData(memoryview(piece))

    def finish(self) -> Iterator[Event]:
        """The part ends with the body."""
        if self._begun:
            yield PartEnd()


def _parser(asked: Asked) -> tuple[str, Parser | _OnePart]:
    """The media type of the whole, and what takes it apart."""
    text = asked.headers.get("content-type", "")
    content = media_types.parse(text)
    if content.name in (DICOM, *METADATA):
        return content.name, _OnePart(text)
    root = media_types.synonym(content.parameters.get("type", DICOM).strip().lower())
    if content.name == MULTIPART and root in ROOTS:
        return root, _multipart(content)
    wanted = f'{MULTIPART}; type="{DICOM}" (or "{DICOM_JSON}", ...); boundary=..., or {DICOM}'
    raise RequestRefused(f"this archive stores bodies of Content-Type {wanted}", 415)


def _multipart(content: MediaType) -> Parser:
    try:
        return Parser(content.parameters.get("boundary", ""))
    except MultipartError as error:
        raise RequestRefused(f"Content-Type: {error}") from None
