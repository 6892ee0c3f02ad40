"""A request body that is a data set or a few: JSON or XML, alone or in the parts of one multipart body.

JSON comes as one object or as an array of them, XML as one document. What Content-Type says counts (PS3.18 8.7.3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from archive.dicom.errors import ArchiveError, CannotUnderstand, ObjectTooLarge
from archive.dicom.receiving import json_reader, received, xml_reader
from archive.web.http import media_types
from archive.web.http.errors import IDENTITY, RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, MULTIPART, MediaType
from archive.web.http.multipart import MultipartError, Parser, PartBegin, PartData

TAKES = (DICOM_JSON, JSON, DICOM_XML)
"""The media types of a request, each also for the parts of a multipart body."""

Act = Callable[[Iterator[received.DataSet]], Answer]


def taker(asked: Asked, act: Act, what: str, maximum_bytes: int, *, optional: bool = False) -> DataSetBody:
    """What a handler that takes such a body returns: `act` gets the data sets, each read when it
    is asked for, and makes the answer. `what` is the
    body in words; an `optional` one may be absent.

    Raises RequestRefused (415) when the body is not said to be of a type that is taken."""
    if asked.headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise RequestRefused("this archive takes bodies without Content-Encoding only", 415)
    said = asked.headers.get("content-type", "")
    content = media_types.parse(said)
    if said or not optional:
        _check_type(content, what)
    return DataSetBody(content, act, what, maximum_bytes, optional)


class DataSetBody:
    """The receiving end of one body (`exchange.Taker`)."""

    def __init__(self, content: MediaType, act: Act, what: str, maximum_bytes: int, optional: bool) -> None:
        self._content = content
        self._act = act
        self._what = what
        self._maximum_bytes = maximum_bytes
        self._optional = optional
        self._body = bytearray()

    def feed(self, piece: bytes) -> bool:
        """Keep what has come. Raises ObjectTooLarge."""
        self._body += piece
        if len(self._body) > self._maximum_bytes:
            raise ObjectTooLarge(f"{self._what} of more than {self._maximum_bytes} bytes is not taken")
        return True

    def finish(self) -> Answer:
        """Read the data sets and act on them. Raises CannotUnderstand, RequestRefused (415), and what the action
        raises."""
        body = bytes(self._body)
        if self._optional and not body:
            return self._act(iter(()))
        _check_type(self._content, self._what)
        return self._act(_data_sets(self._content, body))

    def close(self) -> None:
        """Nothing is held but memory."""


def _check_type(content: MediaType, what: str) -> None:
    inner = content.parameters.get("type", "").lower() if content.name == MULTIPART else content.name
    if inner not in TAKES:
        names = ", ".join(TAKES)
        raise RequestRefused(f"{what} comes as {names}, or as {MULTIPART} of one of them", 415)


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
