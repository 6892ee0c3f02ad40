"""RAD-69 of IHE XDS-I.b, described."""

from __future__ import annotations

from archive.web.description.route import Status
from archive.web.description.transactions import about
from archive.web.http.media_types import MULTIPART
from archive.web.xdsi.responses import SOAP_XML, XOP
from archive.web.xdsi.source import TAKES

RETRIEVE_IMAGING_DOCUMENT_SET = about(
    "Retrieve Imaging Document Set (IHE RAD-69): documents by SOP Instance UID, in SOAP 1.2 with MTOM.",
    (
        Status(
            200, "The documents that could be had, and a RegistryError for each that could not.", reports=True
        ),
        Status(400, "A SOAP fault: the request cannot be understood."),
        Status(404, "RAD-69 is off: xds.repository_unique_id is not set."),
        Status(500, "A SOAP fault: a header that must be understood is not, or SOAP 1.1."),
    ),
    (f'{MULTIPART}; type="{XOP}"', SOAP_XML),
    (),
    TAKES,
    extension=True,
)
