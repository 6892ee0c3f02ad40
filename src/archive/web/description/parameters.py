"""The parameters of paths and queries, described once for everybody who asks what this door understands.

What is described here is read elsewhere: of a search in `qido_parameters`, of pictures in `rendered`. The keys of a
search follow from the table of attributes.
"""

from __future__ import annotations

from collections.abc import Mapping

from archive.dicom.attribute_ids import keyword
from archive.dicom.attribute_levels import vr_of
from archive.dicom.attributes import ATTRIBUTES, REQUEST_ATTRIBUTES
from archive.dicom.instance import Level
from archive.web.description.route import Parameter
from archive.web.http.charset import SUPPORTED

_UID = r"^[0-9][0-9.]{0,63}$"
_BOOLEAN = ("true", "false")

VARIABLES: Mapping[str, Parameter] = {
    row.name: row
    for row in (
        Parameter("study", "Study Instance UID (0020,000D).", "10.1.1", pattern=_UID),
        Parameter("series", "Series Instance UID (0020,000E).", "10.1.1", pattern=_UID),
        Parameter("instance", "SOP Instance UID (0008,0018).", "10.1.1", pattern=_UID),
        Parameter(
            "frames",
            "Frame numbers from 1, divided by commas.",
            "10.1.1",
            pattern=r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$",
        ),
        Parameter(
            "path",
            "The rest of a BulkDataURI: tags and item numbers, such as 00420011 or 54000100/0/54001010.",
            "10.1.1",
            pattern=r"^[0-9A-Fa-f]{8}(/[0-9]+/[0-9A-Fa-f]{8})*$",
        ),
        Parameter("transaction", "Transaction UID that the user agent chose.", "13.4.1.1", pattern=_UID),
        Parameter("title", "AE title.", pattern=r"^[ -\[\]-~]{1,16}$"),
        Parameter("conflict", "Number of a conflict.", type="integer", minimum=0),
        Parameter("notification", "Number of a notification.", type="integer", minimum=0),
        Parameter("patient", "Patient ID, or ID^^^ISSUER.", pattern=r"^.{1,200}$"),
        Parameter("person", "Name that somebody signs in with.", pattern=r"^[^:/]{1,128}$"),
        Parameter("credential", "Number of a session or token.", type="integer", minimum=0),
        Parameter("correction", "Number of a correction.", type="integer", minimum=0),
        Parameter("rejection", "Number of a rejection note.", type="integer", minimum=0),
        Parameter("deletion", "Number of a deletion.", type="integer", minimum=0),
        Parameter("hold", "Number of a hold.", type="integer", minimum=0),
        Parameter("code", "Code and coding scheme of the reason, as 113001^DCM.", pattern=r"^[^/]{1,80}$"),
        Parameter("entry", "Number of an entry of the worklist.", type="integer", minimum=0),
        Parameter("share", "Number of a share.", type="integer", minimum=1),
        Parameter("secret", "The secret of a link.", pattern=r"^[A-Za-z0-9_-]{43}$"),
        Parameter("step", "SOP Instance UID of a performed procedure step.", pattern=_UID),
        Parameter(
            "workitem", "Workitem UID; to subscribe, also one of the worklists'.", "11.1.1", pattern=_UID
        ),
        Parameter("file", "Name of a file of the built-in viewer.", pattern=r"^[a-z-]{1,40}\.[a-z]{2,4}$"),
        Parameter(
            "name", "Name of a file of OHIF, or an address within it.", pattern=r"^[A-Za-z0-9._/-]{0,200}$"
        ),
        Parameter("subscriber", "AE title of a subscriber.", "11.1.1", pattern=r"^[!-\[\]-~]{1,16}$"),
    )
}
"""What stands in the braces of a path."""

ACCEPT = Parameter(
    "accept",
    "Acceptable media types, divided by commas; goes before the Accept header. No wildcards.",
    "8.3.3.1",
)
CHARSET = Parameter(
    "charset",
    "Acceptable character sets, divided by commas; goes before the Accept-Charset header. What is not known counts as "
    "nothing.",
    "8.3.3.2",
    options=SUPPORTED,
)

_PAGING = (
    Parameter(
        "includefield",
        'Attributes to return besides, as tags, keywords or paths of them divided by commas; or "all".',
        "8.3.4.3",
        repeating=True,
    ),
    Parameter("fuzzymatching", "Fuzzy matching of person names.", "8.3.4.2", "boolean", options=_BOOLEAN),
    Parameter("emptyvaluematching", "Empty value matching.", "8.3.4.5", "boolean", options=_BOOLEAN),
    Parameter("multiplevaluematching", "Multiple value matching.", "8.3.4.6", "boolean", options=_BOOLEAN),
    Parameter("limit", "Most matches to return.", "8.3.4.4", "integer", minimum=0),
    Parameter("offset", "Matches to skip.", "8.3.4.4", "integer", minimum=0),
)
_TIMEZONE = Parameter(
    "TimezoneOffsetFromUTC",
    "The time zone of the dates and times in the request, such as +0100.",
    "8.3.4.1.1",
    alias="00080201",
    pattern=r"^[+-][0-9]{4}$",
)
_BY_RECORD = (
    Parameter(
        "MaximumNumberOfRecords", "Most records to return.", "10.6.1.2.4", "integer", "00080429", minimum=0
    ),
    Parameter("PriorRecordKey", "RecordKey of the record to go on after.", "10.6.1.2.4", alias="0008041C"),
)
_ANY_ATTRIBUTE = Parameter(
    "{attributeID}",
    "Any other attribute: tag or keyword, or several divided by dots for one in a sequence.",
    "8.3.4.1",
    open_ended=True,
)


def search(level: Level) -> tuple[Parameter, ...]:
    """What a search among entities of this level understands."""
    keys = [
        Parameter(row.keyword, f"{_tag(row.tag)}, {row.vr}.", "10.6.1.2", alias=row.tag_hex)
        for row in ATTRIBUTES
        if row.matched and row.vr != "SQ" and row.level <= level
    ]
    if level >= Level.SERIES:
        keys += [
            Parameter(
                f"RequestAttributesSequence.{keyword}",
                f"{_tag(tag)} in the sequence, SH.",
                "10.6.1.2",
                alias=f"00400275.{tag:08X}",
            )
            for tag, keyword in REQUEST_ATTRIBUTES.items()
        ]
    return search_for(tuple(keys), *_BY_RECORD)


def search_for(keys: tuple[Parameter, ...], *more: Parameter) -> tuple[Parameter, ...]:
    """What a search by these matching keys understands."""
    return (ACCEPT, CHARSET, *keys, _TIMEZONE, *more, _ANY_ATTRIBUTE, *_PAGING)


def key(tag: int, clause: str) -> Parameter:
    """A matching key, under its two names."""
    return Parameter(keyword(tag), f"{_tag(tag)}, {vr_of(tag)}.", clause, alias=f"{tag:08X}")


_RECTANGLE = r"^[0-9]+,[0-9]+(,[^,]*){0,4}$"
VIEWPORT = Parameter(
    "viewport",
    "vw,vh or vw,vh,sx,sy,sw,sh: width and height in pixels, and the region shown in it, which a negative width or "
    "height flips.",
    "8.3.5.1.3",
    pattern=_RECTANGLE,
)
RENDERED = (
    ACCEPT,
    CHARSET,
    Parameter("annotation", "patient, technique, or both divided by a comma: burned in.", "8.3.5.1.1"),
    Parameter("quality", "Of a lossy picture, 1 to 100.", "8.3.5.1.2", "integer", minimum=1, maximum=100),
    VIEWPORT,
    Parameter(
        "window",
        "center,width,function; the function is linear, linear-exact or sigmoid.",
        "8.3.5.1.4",
        pattern=r"^[-+.0-9eE]+,[-+.0-9eE]+,(linear|linear-exact|sigmoid)$",
    ),
    Parameter(
        "iccprofile",
        "The colour profile of the picture.",
        "8.3.5.1.5",
        options=("no", "yes", "srgb", "adobergb", "rommrgb"),
    ),
)

WADO_URI = (
    Parameter("requestType", "WADO.", "9.1.2.1.1", options=("WADO",)),
    Parameter("studyUID", "Study Instance UID.", "9.1.2.1.2", pattern=_UID),
    Parameter("seriesUID", "Series Instance UID.", "9.1.2.1.3", pattern=_UID),
    Parameter("objectUID", "SOP Instance UID.", "9.1.2.1.4", pattern=_UID),
    Parameter("contentType", "application/dicom, or rendered media types divided by commas.", "9.1.2.2.1"),
    CHARSET,
    Parameter("transferSyntax", "Of application/dicom; * is as stored.", "9.4.1.2.3"),
    Parameter("anonymize", "yes: refused, this archive does not de-identify.", "9.4.1.2.1", options=("yes",)),
    Parameter(
        "annotation",
        "patient, technique, or both divided by a comma: burned in.",
        "9.5.1.2.2",
        alias="imageAnnotation",
    ),
    Parameter(
        "imageQuality", "Of a lossy picture, 1 to 100.", "9.5.1.2.3", "integer", minimum=1, maximum=100
    ),
    Parameter("frameNumber", "One frame, from 1.", "9.5.1.2.1", "integer", minimum=1),
    Parameter("rows", "Most rows of the picture.", "9.5.1.2.4.1", "integer", minimum=1),
    Parameter("columns", "Most columns of the picture.", "9.5.1.2.4.2", "integer", minimum=1),
    Parameter("region", "xmin,ymin,xmax,ymax of the image, each from 0.0 to 1.0.", "9.5.1.2.5"),
    Parameter("windowCenter", "Centre of the window; with windowWidth.", "9.5.1.2.6.1", "number"),
    Parameter("windowWidth", "Width of the window; with windowCenter.", "9.5.1.2.6.2", "number"),
    Parameter("presentationSeriesUID", "Series of a presentation state.", "9.5.1.2.7.1", pattern=_UID),
    Parameter("presentationUID", "SOP Instance UID of a presentation state.", "9.5.1.2.7.2", pattern=_UID),
)


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
