"""Storage commitment over HTTP (PS3.18 chapter 13): Request and Result Check.

The request is read as metadata are, in JSON or XML, alone or in the parts of one multipart body (example B.29), which
together are one request. JSON comes as one object, as the standard's examples have it, or as an array of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from archive.dicom.errors import ArchiveError, CannotUnderstand, ObjectTooLarge
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Source
from archive.dicom.reading import xml_model
from archive.dicom.receiving import commitment, json_reader, received, xml_reader
from archive.dicom.receiving.commitment import Verdict
from archive.web.http import charset, media_types
from archive.web.http.errors import IDENTITY, RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, MULTIPART, MediaType, Offer
from archive.web.http.multipart import MultipartError, Parser, PartBegin, PartData
from archive.web.http.multipart_body import Part, related

if TYPE_CHECKING:
    from archive.bootstrap import Archive

DOOR = "DICOMweb"
MAXIMUM_BYTES = 16 << 20
"""Of a request: about 20,000 references in XML, which take a core two seconds and 40 MiB to read in JSON."""
RETRY_AFTER_SECONDS = 10

OFFERS = (
    Offer(DICOM_JSON),
    Offer(JSON),
    Offer(DICOM_XML),
    Offer(DICOM_JSON, multipart=True),
    Offer(DICOM_XML, multipart=True),
)
TAKES = (DICOM_JSON, JSON, DICOM_XML)
"""The media types of a request, each also for the parts of a multipart body."""


def request(archive: Archive, asked: Asked) -> Request:
    """Ask for the safekeeping of instances. Raises RequestRefused (415), InvalidUID, NotAcceptable."""
    if asked.headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise RequestRefused("this archive takes bodies without Content-Encoding only", 415)
    media_types.choose(asked.accept, OFFERS)
    content = media_types.parse(asked.headers.get("content-type", ""))
    _check_type(content)
    return Request(archive, asked, _transaction(asked), content)


def result(archive: Archive, asked: Asked) -> Answer:
    """What became of a request: 200 with the verdicts, or 202 as long as they are worked on. Raises NotFound, Gone,
    InvalidUID, NotAcceptable."""
    media_types.choose(asked.accept, OFFERS)
    return _answer(asked, archive.commitment.result(_transaction(asked)))


class Request:
    """The receiving end of one request (`exchange.Taker`)."""

    def __init__(self, archive: Archive, asked: Asked, transaction_uid: str, content: MediaType) -> None:
        self._archive = archive
        self._asked = asked
        self._transaction_uid = transaction_uid
        self._content = content
        self._body = bytearray()

    def feed(self, piece: bytes) -> bool:
        """Keep what has come. Raises ObjectTooLarge."""
        self._body += piece
        if len(self._body) > MAXIMUM_BYTES:
            raise ObjectTooLarge(f"a request of more than {MAXIMUM_BYTES} bytes: make several")
        return True

    def finish(self) -> Answer:
        """Decide, or leave it to the jobs. Raises CannotUnderstand, MissingAttribute, InvalidUID, TransactionInUse."""
        references = commitment.references(_data_sets(self._content, bytes(self._body)))
        source = Source(door=DOOR, address=self._asked.peer_address)
        verdicts = self._archive.commitment.request(self._transaction_uid, references, source)
        return _answer(self._asked, verdicts)

    def close(self) -> None:
        """Nothing is held but memory."""


def _transaction(asked: Asked) -> str:
    return check_uid(asked.path["transaction"], commitment.TRANSACTION_UID)


def _check_type(content: MediaType) -> None:
    inner = content.parameters.get("type", "").lower() if content.name == MULTIPART else content.name
    if inner not in TAKES:
        names = ", ".join(TAKES)
        raise RequestRefused(f"a commitment request comes as {names}, or as {MULTIPART} of one of them", 415)


def _data_sets(content: MediaType, body: bytes) -> Iterator[received.DataSet]:
    inner = content.parameters.get("type", "").lower()
    parts = _parts(content, body, inner) if content.name == MULTIPART else iter(((content.name, body),))
    for name, text in parts:
        if name not in TAKES:
            raise CannotUnderstand(f"a part is not of one of the types {', '.join(TAKES)}")
        for read in (xml_reader.data_set((text,)),) if name == DICOM_XML else json_reader.data_sets((text,)):
            if isinstance(read, ArchiveError):
                raise read
            yield received.data_set(read)


def _parts(content: MediaType, body: bytes, inner: str) -> Iterator[tuple[str, bytes]]:
    """Media type and bytes of each part; one that does not say is of the type that the whole says."""
    name, text = "", bytearray()
    try:
        parser = Parser(content.parameters.get("boundary", ""))
        for event in parser.feed(body):
            if isinstance(event, PartBegin):
                name = media_types.parse(event.headers.get("content-type", inner)).name
                text = bytearray()
            elif isinstance(event, PartData):
                text += event.data
            else:
                yield name, bytes(text)
        parser.finish()
    except MultipartError as error:
        raise CannotUnderstand(str(error)) from None


def _answer(asked: Asked, verdicts: list[Verdict] | None) -> Answer:
    if verdicts is None:
        return Answer(202, headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),))
    chosen = media_types.choose(asked.accept, OFFERS)
    module: dict[str, Any] = commitment.module(verdicts)
    if chosen.media_type == DICOM_XML:
        spoken = charset.chosen(asked, DICOM_XML, multipart=chosen.multipart)
        body = charset.encoded(xml_model.text(module), spoken, markup=True)
    else:
        body = orjson.dumps(module)
    if chosen.multipart:
        made = related(chosen.media_type, (Part(chosen.media_type, (body,), length=len(body)),))
        assert isinstance(made.body, Iterator)
        return replace(made, body=b"".join(made.body))
    return Answer(200, chosen.media_type, body)
