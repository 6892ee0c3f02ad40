"""The resource of RAD-69: a SOAP envelope comes, alone (application/soap+xml) or as the root of an MTOM package."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archive.dicom.errors import NotFound
from archive.security.actor import Actor
from archive.web.http import media_types
from archive.web.http.errors import IDENTITY, RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import MULTIPART, MediaType
from archive.web.http.multipart import MultipartError, Parser, PartBegin, PartData, PartEnd
from archive.web.xdsi import documents, envelope, responses
from archive.web.xdsi.envelope import Fault
from archive.web.xdsi.responses import SOAP_XML, XOP

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

PATH = "/xdsi/ImagingDocumentSource"
MAXIMUM_BYTES = 16 << 20
TAKES = (SOAP_XML, f'{MULTIPART}; type="{XOP}"')


def retrieve(archive: Archive, asked: Asked) -> Envelope:
    """Take a Retrieve Imaging Document Set request. Raises NotFound where nobody has given this archive the
    repositoryUniqueId by which it is known, RequestRefused (415)."""
    if not archive.settings.xds.repository_unique_id:
        raise NotFound("RAD-69 is off: the administrator sets xds.repository_unique_id to turn it on")
    if asked.headers.get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise RequestRefused("this archive takes bodies without Content-Encoding only", 415)
    content = media_types.parse(asked.headers.get("content-type", ""))
    if content.name == MULTIPART:
        if content.parameters.get("type", "").lower() != XOP:
            raise RequestRefused(f'a multipart body has to be an MTOM package: type="{XOP}"', 415)
        return Envelope(archive, asked.actor, _root(content))
    if content.name != SOAP_XML:
        raise RequestRefused(f"a SOAP 1.2 envelope is wanted, with Content-Type: {SOAP_XML}", 415)
    return Envelope(archive, asked.actor, None)


class Envelope:
    """The receiving end of the request (`exchange.Taker`)."""

    def __init__(self, archive: Archive, actor: Actor, parser: Parser | None) -> None:
        self._archive = archive
        self._actor = actor
        self._parser = parser
        self._parts = 0
        self._xml = bytearray()

    def feed(self, piece: bytes) -> bool:
        """Keep the envelope. False when there is no more to come. Raises RequestRefused (413, 400)."""
        if self._parser is None:
            self._keep(piece)
            return True
        try:
            for event in self._parser.feed(piece):
                if isinstance(event, PartBegin):
                    self._parts += 1
                elif isinstance(event, PartData) and self._parts == 1:
                    self._keep(event.data)
                elif isinstance(event, PartEnd):
                    return False  # a request has no attachments that could matter
        except MultipartError as error:
            raise RequestRefused(str(error)) from None
        return True

    def finish(self) -> Answer:
        """The documents, or what is wrong with the request."""
        try:
            request = envelope.read(bytes(self._xml))
        except Fault as fault:
            return responses.fault(fault)
        found, failed = documents.sorted_out(self._archive, request)
        if not found:
            return responses.alone(request.message_id, failed)
        self._archive.auditing.out.fetched(self._actor, [one.instance for one in found])
        contents = ((one, documents.content(self._archive, one)) for one in found)
        answer = responses.with_documents(request.message_id, contents, failed)
        return replace(answer, objects=len(found))

    def close(self) -> None:
        """Nothing is held but memory."""

    def _keep(self, piece: bytes | memoryview) -> None:
        self._xml += piece
        if len(self._xml) > MAXIMUM_BYTES:
            raise RequestRefused(f"a request of more than {MAXIMUM_BYTES} bytes: ask series by series", 413)


def _root(content: MediaType) -> Parser:
    """The first part is taken for the root, which it is unless `start` says otherwise; no client does."""
    try:
        return Parser(content.parameters.get("boundary", ""))
    except MultipartError as error:
        raise RequestRefused(str(error)) from None
