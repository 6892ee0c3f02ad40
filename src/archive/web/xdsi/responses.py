"""What RAD-69 answers: a SOAP 1.2 envelope with the RegistryResponse (ITI TF-3 4.2.4), and each document as a part of
its own, to which the envelope points (MTOM: XOP 1.0, 4.1). Where no document goes out, the envelope stands alone."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from archive.web.http.exchange import Answer
from archive.web.http.media_types import DICOM, MULTIPART
from archive.web.xdsi.documents import Failed, Found
from archive.web.xdsi.envelope import ADDRESSING, SOAP, XDS, Fault

SOAP_XML = "application/soap+xml"
XOP = "application/xop+xml"
RESPONSE_ACTION = "urn:ihe:rad:2009:RetrieveImagingDocumentSetResponse"
_FAULT_ACTION = f"{ADDRESSING}/fault"
_RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
_STATUS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
_PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
_SEVERITY = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
_INCLUDE = "http://www.w3.org/2004/08/xop/include"
_ROOT = "envelope@rad69"
_NOT_KEPT = ("Cache-Control", "no-store")

Content = tuple[Found, Iterator[bytes]]


def alone(relates_to: str, failed: Sequence[Failed]) -> Answer:
    """No document goes out: the errors say why."""
    body = _documents((), failed)
    return Answer(
        200, _soap_type(RESPONSE_ACTION), _envelope(RESPONSE_ACTION, relates_to, body), (_NOT_KEPT,)
    )


def with_documents(relates_to: str, contents: Iterable[Content], failed: Sequence[Failed]) -> Answer:
    """The envelope, and the documents after it, each in pieces."""
    told = [(found, f"{number}@rad69", pieces) for number, (found, pieces) in enumerate(contents, 1)]
    boundary = f"rad69-{secrets.token_hex(16)}"
    envelope = _envelope(
        RESPONSE_ACTION, relates_to, _documents([(one, cid) for one, cid, _ in told], failed)
    )
    root = f'{XOP}; charset=UTF-8; type="{SOAP_XML}"'
    parts = [(root, _ROOT, iter((envelope,)))]
    parts += [(DICOM, cid, pieces) for _, cid, pieces in told]
    media_type = (
        f'{MULTIPART}; type="{XOP}"; boundary="{boundary}"; start="<{_ROOT}>"; start-info="{SOAP_XML}"; '
        f'action="{RESPONSE_ACTION}"'
    )
    return Answer(200, media_type, _joined(boundary.encode("ascii"), parts), (_NOT_KEPT,))


def fault(error: Fault) -> Answer:
    """The fault, with the status that SOAP 1.2 part 2, table 20 has for its code."""
    subcode = f"<s:Subcode><s:Value>a:{error.subcode}</s:Value></s:Subcode>" if error.subcode else ""
    body = (
        f"<s:Fault><s:Code><s:Value>s:{error.code}</s:Value>{subcode}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(error.reason)}</s:Text></s:Reason></s:Fault>'
    )
    status = 400 if error.code == "Sender" else 500
    envelope = _envelope(_FAULT_ACTION, error.relates_to, body)
    return Answer(status, _soap_type(_FAULT_ACTION), envelope, (_NOT_KEPT,))


def _soap_type(action: str) -> str:
    return f'{SOAP_XML}; charset=UTF-8; action="{action}"'


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    related = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}"><s:Header>'
        f'<a:Action s:mustUnderstand="true">{action}</a:Action>'
        f"<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>{related}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _documents(told: Sequence[tuple[Found, str]], failed: Sequence[Failed]) -> str:
    status = _status(told, failed)
    errors = "".join(map(_error, failed))
    errors = f"<r:RegistryErrorList>{errors}</r:RegistryErrorList>" if errors else ""
    responses = "".join(_response(one, cid) for one, cid in told)
    return (
        f'<RetrieveDocumentSetResponse xmlns="{XDS}" xmlns:r="{_RS}" xmlns:x="{_INCLUDE}">'
        f'<r:RegistryResponse status="{status}">{errors}</r:RegistryResponse>{responses}'
        "</RetrieveDocumentSetResponse>"
    )


def _status(told: Sequence[object], failed: Sequence[Failed]) -> str:
    if not failed:
        return f"{_STATUS}Success"
    return _PARTIAL if told else f"{_STATUS}Failure"


def _response(one: Found, cid: str) -> str:
    return (
        f"<DocumentResponse><RepositoryUniqueId>{escape(one.wanted.repository)}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{escape(one.wanted.document)}</DocumentUniqueId><mimeType>{DICOM}</mimeType>"
        f'<Document><x:Include href="cid:{cid}"/></Document></DocumentResponse>'
    )


def _error(one: Failed) -> str:
    told = quoteattr(f"{one.reason}: {one.wanted.document}"[:1000])
    return (
        f'<r:RegistryError errorCode="{one.code}" codeContext={told} severity="{_SEVERITY}" '
        f"location={quoteattr(one.wanted.document[:64])}/>"
    )


def _joined(boundary: bytes, parts: Sequence[tuple[str, str, Iterator[bytes]]]) -> Iterator[bytes]:
    for media_type, cid, pieces in parts:
        yield (
            b"--%b\r\nContent-Type: %b\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <%b>\r\n\r\n"
            % (boundary, media_type.encode("ascii"), cid.encode("ascii"))
        )
        yield from pieces
        yield b"\r\n"
    yield b"--%b--\r\n" % boundary
