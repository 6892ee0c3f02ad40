"""A Retrieve Imaging Document Set request, read from its SOAP 1.2 envelope (RAD TF-3 4.69.4.1, SOAP 1.2 part 1, 5).

expat is driven directly: events, no tree, no entities; a DOCTYPE is refused where it begins (SOAP 1.2 part 1, 5 forbids
it as well). Text between elements is passed over: clients in use put some into the Body. So is a second request in one
Body, which they send for a second study: all of it is one request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from archive.dicom.errors import ArchiveError

SOAP = "http://www.w3.org/2003/05/soap-envelope"
SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
XDSI = "urn:ihe:rad:xdsi-b:2009"
XDS = "urn:ihe:iti:xds-b:2007"
ACTION = "urn:ihe:rad:2009:RetrieveImagingDocumentSet"

MAXIMUM_DOCUMENTS = 50_000
_MOST_NESTED = 32
_MAXIMUM_TEXT = 4096
_MAXIMUM_SYNTAXES = 200
_REQUEST = (XDSI, "RetrieveImagingDocumentSetRequest")
_DOCUMENT = (XDS, "DocumentRequest")
_TEXTS = {
    (ADDRESSING, "Action"),
    (ADDRESSING, "MessageID"),
    (XDS, "RepositoryUniqueId"),
    (XDS, "DocumentUniqueId"),
    (XDSI, "TransferSyntaxUID"),
}


@dataclass(eq=False)
class Fault(ArchiveError):
    """A request that SOAP itself refuses. `code` is a fault code of SOAP 1.2 part 1, 5.4.6; `subcode` one of
    WS-Addressing, without its prefix, or empty."""

    code: str = "Sender"
    subcode: str = ""
    relates_to: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One DocumentRequest: a SOP Instance UID is the DocumentUniqueId."""

    study: str
    series: str
    repository: str
    document: str


@dataclass(slots=True)
class Request:
    """What was asked for, in its order; `message_id` is what the answer relates to."""

    message_id: str = ""
    action: str = ""
    documents: list[Wanted] = field(default_factory=list)
    transfer_syntaxes: list[str] = field(default_factory=list)


def read(xml: bytes) -> Request:
    """The request of an envelope. Raises Fault."""
    reader = _Reader()
    try:
        reader.parser.Parse(xml, True)
    except Fault as fault:
        fault.relates_to = reader.request.message_id
        raise
    except (expat.ExpatError, ValueError, LookupError):
        raise Fault("the SOAP envelope is no well-formed XML") from None
    return reader.request


class _Reader:
    """Listens to expat."""

    def __init__(self) -> None:
        self.request = Request()
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = _refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.buffer_text = True
        self._open: list[tuple[str, str]] = []
        self._text: list[str] | None = None
        self._length = 0
        self._study = self._series = self._repository = self._document = ""
        self._asked = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        element = (namespace, local)
        if len(self._open) >= _MOST_NESTED:
            raise Fault("the SOAP envelope is nested too deep")
        if not self._open:
            _check_root(element)
        self._open.append(element)
        self._text, self._length = ([] if element in _TEXTS else None), 0
        if self._open[1:2] == [(SOAP, "Header")] and len(self._open) == 3:
            _check_understood(element, attributes)
        self._enter(element, attributes)

    def _enter(self, element: tuple[str, str], attributes: dict[str, str]) -> None:
        if element == _REQUEST:
            self._asked = True
        elif len(self._open) == 3 and self._open[1] == (SOAP, "Body"):
            raise Fault(f"this endpoint answers {ACTION} only", subcode="ActionNotSupported")
        elif element == (XDSI, "StudyRequest"):
            self._study, self._series = attributes.get("studyInstanceUID", "").strip(), ""
        elif element == (XDSI, "SeriesRequest"):
            self._series = attributes.get("seriesInstanceUID", "").strip()
        elif element == _DOCUMENT:
            self._repository = self._document = ""

    def _end(self, _: str) -> None:
        element = self._open.pop()
        text = "".join(self._text).strip() if self._text is not None else ""
        self._text = None
        if element == (ADDRESSING, "Action"):
            self.request.action = text
        elif element == (ADDRESSING, "MessageID"):
            self.request.message_id = text
        elif element == (XDS, "RepositoryUniqueId"):
            self._repository = text
        elif element == (XDS, "DocumentUniqueId"):
            self._document = text
        elif element == (XDSI, "TransferSyntaxUID"):
            self._add_transfer_syntax(text)
        elif element == _DOCUMENT:
            self._add_document()
        elif not self._open:
            self._check()

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._length += len(text)
            if self._length > _MAXIMUM_TEXT:
                raise Fault("a value of the request is too long")
            self._text.append(text)

    def _add_transfer_syntax(self, uid: str) -> None:
        known = self.request.transfer_syntaxes
        if uid and uid not in known and len(known) < _MAXIMUM_SYNTAXES:
            known.append(uid)

    def _add_document(self) -> None:
        if len(self.request.documents) >= MAXIMUM_DOCUMENTS:
            raise Fault(f"more than {MAXIMUM_DOCUMENTS} documents in one request: ask series by series")
        wanted = Wanted(self._study, self._series, self._repository, self._document)
        if not all((wanted.study, wanted.series, wanted.repository, wanted.document)):
            raise Fault(
                "a DocumentRequest needs its studyInstanceUID, seriesInstanceUID, RepositoryUniqueId and "
                "DocumentUniqueId (RAD TF-3 4.69.4.1.2)"
            )
        self.request.documents.append(wanted)

    def _check(self) -> None:
        if self.request.action not in ("", ACTION):
            raise Fault(f"this endpoint answers {ACTION} only", subcode="ActionNotSupported")
        if not self._asked or not self.request.documents:
            raise Fault("the Body has no RetrieveImagingDocumentSetRequest with a DocumentRequest")
        if not self.request.transfer_syntaxes:
            raise Fault("the request has no TransferSyntaxUIDList (RAD TF-3 4.69.4.1.2)")


def _check_root(element: tuple[str, str]) -> None:
    if element == (SOAP_1_1, "Envelope"):
        raise Fault("SOAP 1.2 is spoken here, not SOAP 1.1", "VersionMismatch")
    if element != (SOAP, "Envelope"):
        raise Fault("the body is no SOAP 1.2 envelope")


def _check_understood(element: tuple[str, str], attributes: dict[str, str]) -> None:
    """Of headers that must be understood only those of WS-Addressing are (SOAP 1.2 part 1, 5.4.8)."""
    must = attributes.get(f"{SOAP} mustUnderstand", "").strip() in ("1", "true")
    if must and element[0] != ADDRESSING:
        raise Fault(f"the header {element[1][:64]} must be understood and is not", "MustUnderstand")


def _refuse_doctype(*_: object) -> None:
    raise Fault("a SOAP envelope has no DOCTYPE")
