"""The transactions of the HTTP door, each described once: media types, parameters, statuses.

`routes` says at which paths each is carried out. A status without a row here must not come back; a test that asks
by /openapi.json holds the door to that.
"""

from __future__ import annotations

from collections.abc import Iterable

from archive.dicom.instance import Level
from archive.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from archive.web import commitment, data_set_body, metadata
from archive.web.description import parameters
from archive.web.description.parameters import ACCEPT, CHARSET
from archive.web.description.route import About, Parameter, Status
from archive.web.http.media_types import DICOM, DICOM_JSON, DICOM_XML, JSON, MULTIPART, OCTET_STREAM, ZIP

OK = Status(200, "Here it is.")
NOT_MODIFIED = Status(304, "The representation that If-None-Match names is up to date.", empty=True)
PARTIAL = Status(
    206, "The part that Range names; or the instances whose stored bytes are whole, Warning names others."
)
PRECONDITION_FAILED = Status(412, "What is stored is not what If-Match names.")
NOT_SATISFIABLE = Status(416, "Range names nothing that is there.")
BAD_REQUEST = Status(400, "A parameter, UID or header that cannot be.")
NOT_FOUND = Status(
    404, "Nothing is stored under these UIDs, frame numbers or path, and nothing is known to have been."
)
NOT_ACCEPTABLE = Status(
    406,
    "It is not available in any of the acceptable media types, transfer syntaxes or "
    "character sets; the body says in which it is.",
)
GONE = Status(410, "It was stored, and has been deleted.")
_ALWAYS = (
    Status(400, "A parameter or header that cannot be."),
    Status(406, "No acceptable character set or content coding is available."),
    Status(421, "The Host header names another host than those that this archive serves."),
    Status(500, "A fault of the archive; its log has the details."),
    Status(503, "The store or the index cannot be used now: try again after Retry-After."),
)
_OF_A_BODY = (
    Status(408, "The body stood still for longer than http.idle_deadline."),
    Status(413, "The body is larger than what is taken here.", reports=True),
    Status(415, "A Content-Type or Content-Encoding that is not taken here; the body says which are."),
)
"""What every transaction with a request body may answer besides."""


def related(*media_types: str) -> tuple[str, ...]:
    """These as types of the parts of a multipart body."""
    return tuple(f'{MULTIPART}; type="{name}"' for name in media_types)


def about(
    summary: str,
    statuses: Iterable[Status],
    offers: tuple[str, ...] = (),
    described: tuple[Parameter, ...] = (ACCEPT,),
    takes: tuple[str, ...] = (),
    *,
    extension: bool = False,
    schema: str = "",
    takes_schema: str = "",
) -> About:
    """A transaction. What is said of a status here goes before what is said of it for all."""
    body = _OF_A_BODY if takes else ()
    by_code = {status.code: status for status in (*_ALWAYS, *body, *statuses)}
    every = tuple(by_code[code] for code in sorted(by_code))
    return About(summary, offers, described, every, takes, extension, schema, takes_schema)


_RETRIEVED = (
    OK,
    PARTIAL,
    NOT_MODIFIED,
    BAD_REQUEST,
    NOT_FOUND,
    NOT_ACCEPTABLE,
    GONE,
    PRECONDITION_FAILED,
    NOT_SATISFIABLE,
)
_DATA_SETS = tuple(str(offer) for offer in metadata.OFFERS)
_BULK = (*related(OCTET_STREAM), OCTET_STREAM)
_COMPRESSED = tuple(
    dict.fromkeys(row.media_type for row in TRANSFER_SYNTAXES.values() if row.media_type != OCTET_STREAM)
)
"""The media types of compressed frames (PS3.18 Table 8.7.3-5)."""
_PICTURES = ("image/jpeg", "image/png", "image/gif")


def _search(level: Level, noun: str) -> About:
    statuses = (
        Status(200, "The matches; Warning says how many more there are."),
        Status(204, "Nothing matches.", empty=True),
        NOT_MODIFIED,
        BAD_REQUEST,
        NOT_ACCEPTABLE,
        PRECONDITION_FAILED,
        Status(413, "The search is too broad to be carried out."),
    )
    return about(f"Search for {noun}.", statuses, _DATA_SETS, parameters.search(level), schema="DataSets")


SEARCH_STUDIES = _search(Level.STUDY, "studies")
SEARCH_SERIES = _search(Level.SERIES, "series")
SEARCH_INSTANCES = _search(Level.IMAGE, "instances")

STORE = about(
    "Store instances.",
    (
        Status(200, "All instances are stored."),
        Status(202, "Some instances are stored, or with warnings; the body tells the fate of each."),
        Status(400, "The body cannot be read, or the request contradicts itself.", reports=True),
        Status(406, "The answer is not available in any acceptable media type."),
        Status(409, "No instance is stored; the body has the reason for each.", reports=True),
        Status(503, "The store or the index cannot be used now: try again after Retry-After.", reports=True),
    ),
    (DICOM_JSON, JSON, DICOM_XML),
    (ACCEPT, CHARSET),
    (
        *related(DICOM, DICOM_JSON, DICOM_XML, OCTET_STREAM, *_COMPRESSED),
        *(DICOM, DICOM_JSON, DICOM_XML),
    ),
    schema="DataSet",
)
RETRIEVE_INSTANCES = about(
    "Retrieve all instances, as PS3.10 files.", _RETRIEVED, (*related(DICOM, OCTET_STREAM), ZIP)
)
RETRIEVE_INSTANCE = about(
    "Retrieve one instance, as a PS3.10 file.", _RETRIEVED, (*related(DICOM, OCTET_STREAM), DICOM, ZIP)
)
RETRIEVE_METADATA = about(
    "Retrieve all attributes, bulk data by URI.",
    _RETRIEVED,
    _DATA_SETS,
    (ACCEPT, CHARSET),
    schema="DataSets",
)
RETRIEVE_BULKDATA = about(
    "Retrieve the bulk data.", _RETRIEVED, (*_BULK, *related(*_COMPRESSED), *_COMPRESSED)
)
RETRIEVE_ALL_BULKDATA = about("Retrieve all bulk data.", _RETRIEVED, related(OCTET_STREAM, *_COMPRESSED))
RETRIEVE_PIXEL_DATA = about("Retrieve all pixel data.", _RETRIEVED, related(OCTET_STREAM, *_COMPRESSED))
RETRIEVE_FRAMES = about("Retrieve frames.", _RETRIEVED, (*_BULK, *related(*_COMPRESSED), *_COMPRESSED))
_TEXTS = ("text/html", "text/plain", "text/xml")
_AS_STORED = ("application/pdf", "model/stl", "model/obj", "model/mtl", "video/mp4", "video/mpeg", "video/*")
_TOO_MANY = Status(413, "More pictures than one answer may have: ask for series, instances or frames.")
RETRIEVE_RENDERED = about(
    "Retrieve as pictures, videos or text for people.",
    (*_RETRIEVED, _TOO_MANY),
    (*_PICTURES, *_TEXTS, *_AS_STORED, *related(*_PICTURES, *_TEXTS, *_AS_STORED)),
    parameters.RENDERED,
)
RETRIEVE_ALL_RENDERED = about(
    "Retrieve every instance as pictures, video or text for people.",
    (*_RETRIEVED, _TOO_MANY),
    related(*_PICTURES, *_TEXTS, *_AS_STORED),
    parameters.RENDERED,
)
RETRIEVE_THUMBNAIL = about("Retrieve a small picture.", _RETRIEVED, _PICTURES, (ACCEPT, parameters.VIEWPORT))
RETRIEVE_URI = about(
    "Retrieve one instance, named by parameters, as DICOM or rendered (WADO-URI).",
    _RETRIEVED,
    (*_PICTURES, *_TEXTS, *_AS_STORED, DICOM),
    parameters.WADO_URI,
)
DELETE = about(
    "Delete, for everybody and for good.",
    (
        Status(202, "It waits until a second person has approved."),
        Status(204, "It is deleted.", empty=True),
        Status(400, "A UID that cannot be."),
        Status(403, "The administrator has set http.deletion to false."),
        NOT_FOUND,
        Status(409, "It is on hold, has to be kept for longer, or is not deleted without a reason."),
        GONE,
    ),
    ("text/plain",),
    described=(),
    extension=True,
)
REJECT = about(
    "Reject for a reason, as `113001^DCM`: nobody finds it any more, until the rejection is taken back.",
    (
        Status(204, "It is rejected.", empty=True),
        Status(400, "A UID that cannot be."),
        Status(403, "The administrator has set http.deletion to false, or a page of another origin asks."),
        Status(404, "Nothing is stored there, or no rejection note has this code."),
        GONE,
        Status(409, "Nothing is hidden for this reason here: rejection.quality is show."),
    ),
    described=(),
    extension=True,
)
_WORKING = Status(202, "It takes longer: ask for the result after Retry-After.", empty=True)
_COMMITMENT_OFFERS = tuple(str(offer) for offer in commitment.OFFERS)
REQUEST_COMMITMENT = about(
    "Ask for the safekeeping of instances.",
    (
        Status(200, "The verdict about each instance, which may be that it is not committed to."),
        _WORKING,
        Status(400, "The request cannot be read, names no instance, or has a UID that cannot be."),
        NOT_ACCEPTABLE,
        Status(409, "The Transaction UID is in use."),
    ),
    _COMMITMENT_OFFERS,
    (ACCEPT, CHARSET),
    (*data_set_body.TAKES, *related(DICOM_JSON, DICOM_XML)),
    schema="DataSet",
)
CHECK_COMMITMENT = about(
    "Ask what became of a request for safekeeping.",
    (
        Status(200, "The verdict about each instance."),
        _WORKING,
        NOT_MODIFIED,
        BAD_REQUEST,
        Status(404, "No request has this Transaction UID, or it was too long ago."),
        NOT_ACCEPTABLE,
        Status(410, "There was such a request, but its result is not kept any longer."),
        PRECONDITION_FAILED,
    ),
    _COMMITMENT_OFFERS,
    (ACCEPT, CHARSET),
    schema="DataSet",
)
LIVE = about("Whether this process answers.", (OK,), ("text/plain",), ())
READY = about(
    "Whether the store and the index can take work now.",
    (OK, Status(503, "One of them cannot; the body says which.", reports=True)),
    ("application/json",),
    (),
    schema="Readiness",
)
METRICS = about("Counters for Prometheus.", (OK,), ("text/plain",), ())
OPENAPI = about(
    "These resources as an OpenAPI document.",
    (OK, NOT_MODIFIED, PRECONDITION_FAILED),
    ("application/json",),
    (),
    schema="Document",
)
