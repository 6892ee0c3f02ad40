"""WADO-URI: one instance by query parameters, as DICOM or as a picture (PS3.18 chapter 9).

A request is translated to one of WADO-RS and handed to its handler, so that transfer syntaxes, windows, viewports
and media types mean the same at both addresses; here are only the names and rules that chapter 9 has of its own.

Where the chapter contradicts itself the lenient reading counts, unless the settings are strict: one of rows and
columns is enough (9.5.2.5; 9.5.1.2.4 wants both), transferSyntax may be `*` or a list (8.7.3.6; 9.4.2.4 wants one
UID), frame 1 may be asked of an image with a single frame (9.5.2.1 wants 400), and a frame together with a
presentation state (9.5.1.2.7 does not).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from archive.dicom.errors import InvalidQuery, NotAcceptable
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Scope
from archive.security.shares import Reach
from archive.web import rendered, wado
from archive.web.http import media_types
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import ANY_SYNTAX, DICOM, MediaType
from archive.web.http.urls import ROOT

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

PATH = "/wado"
_UIDS = {
    "study": ("studyUID", 0x0020000D),
    "series": ("seriesUID", 0x0020000E),
    "instance": ("objectUID", 0x00080018),
}
_TRANSFER_SYNTAX_UID = 0x00020010
_WINDOW = ("windowCenter", "windowWidth")
_PRESENTATION = ("presentationSeriesUID", "presentationUID")
_NOT_WITH_PRESENTATION = (*_WINDOW, "anonymize", "transferSyntax")
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})([eE][+-]?[0-9]{1,2})?", re.ASCII)


def retrieve(archive: Archive, asked: Asked) -> Answer:
    """The instance that the parameters name, as they want it. Raises InvalidQuery, InvalidUID, NotFound,
    NotAcceptable."""
    if asked.parameter("requestType") != "WADO":
        raise InvalidQuery("requestType=WADO is missing from the parameters (PS3.18 9.1.2.1.1)")
    path = {name: _uid(asked, *parameter) for name, parameter in _UIDS.items()}
    types = _content_types(asked)
    _check_anonymize(asked)
    if _wants_dicom(types or media_types.parse_list(asked.headers.get("accept", ""))):
        return _dicom(archive, asked, path)
    return _picture(archive, asked, path, types)


def renders(asked: Asked) -> bool:
    """Whether a picture is asked for, of which few are made at a time. Raises InvalidQuery."""
    named = asked.parameter("contentType") or asked.headers.get("accept", "")
    return not _wants_dicom(media_types.parse_list(named))


def reach(asked: Asked) -> Reach:
    """A picture may be seen by who came by a share, DICOM is a download. Raises InvalidQuery."""
    return Reach.VIEW if renders(asked) else Reach.DOWNLOAD


def _uid(asked: Asked, name: str, tag: int) -> str:
    value = asked.parameter(name)
    if not value:
        raise InvalidQuery(f"the parameter {name} is missing (PS3.18 9.1.2.1)")
    return check_uid(value, tag)


# --- application/dicom, or a picture? ---


def _content_types(asked: Asked) -> list[MediaType]:
    """What contentType names (9.1.2.2.1). Raises InvalidQuery, NotAcceptable."""
    types = media_types.parse_list(asked.parameter("contentType") or "")
    if any(name in each.parameters for each in types for name in ("transfer-syntax", "charset")):
        raise InvalidQuery(
            "contentType takes neither transfer-syntax nor charset: use the parameters transferSyntax and charset"
        )
    if asked.strict:
        _check_strictly(asked, types)
    return types


def _check_strictly(asked: Asked, types: Sequence[MediaType]) -> None:
    header = asked.headers.get("accept")
    accepted = media_types.parse_list(header or "")
    if header is None and not any(each.name == DICOM for each in types):
        raise NotAcceptable("the header Accept is missing; */* takes whatever there is (PS3.18 9.5.1.3)")
    for several in (types, accepted):
        names = {each.name for each in several if not each.name.endswith("*")}
        if DICOM in names and len(names) > 1:
            raise InvalidQuery("application/dicom and rendered media types are not accepted together (8.7.5)")
    if any(each.name.endswith("*") for each in types):
        raise InvalidQuery("contentType takes no wildcards (PS3.18 8.3.3.1)")
    ranges = {"*/*"} if header is None else {each.name for each in accepted}
    for each in types:
        if not ranges & {each.name, each.name.partition("/")[0] + "/*", "*/*"}:
            raise NotAcceptable(
                "a media type of contentType is not within the header Accept (PS3.18 8.3.3.1)"
            )


def _wants_dicom(types: Sequence[MediaType]) -> bool:
    """Whether DICOM is liked best; among equals what is named first. Without any it is a picture (9.3)."""
    wanted = [each for each in types if each.quality > 0]
    best = max(wanted, key=lambda each: each.quality, default=None)
    return best is not None and best.name in (DICOM, "application/*")


def _check_anonymize(asked: Asked) -> None:
    """9.4.2.3 lets us refuse. Half a de-identification would be worse than none: the profile asked for includes
    text in the pixels (Clean Pixel Data Option of PS3.15 annex E)."""
    value = asked.parameter("anonymize")
    if value is None:
        return
    if value != "yes":
        raise InvalidQuery("anonymize takes the one value yes (PS3.18 9.4.2.3)")
    raise NotAcceptable("this archive does not de-identify: ask without anonymize, and do it elsewhere")


# --- Retrieve DICOM Instance (9.4) ---


def _dicom(archive: Archive, asked: Asked, path: Mapping[str, str]) -> Answer:
    if any(asked.parameter(name) is not None for name in _WINDOW):
        raise InvalidQuery(
            "windowCenter and windowWidth are for pictures, not for application/dicom (9.5.1.2.6)"
        )
    syntaxes = [f"; transfer-syntax={uid}" for uid in _transfer_syntaxes(asked)] or [""]
    accept = ", ".join(DICOM + syntax for syntax in syntaxes)
    answer = wado.instances(archive, _translated(asked, path, accept, _charset(asked)))
    return _located(asked, path, replace(answer, media_type=DICOM))


def _transfer_syntaxes(asked: Asked) -> list[str]:
    """Without any the default is meant, Explicit VR Little Endian. Raises InvalidQuery, InvalidUID."""
    value = asked.parameter("transferSyntax")
    if value is None:
        return []
    several = value.split(",")
    if asked.strict and (value == ANY_SYNTAX or len(several) > 1):
        raise InvalidQuery("transferSyntax takes one Transfer Syntax UID (PS3.18 9.4.2.4)")
    return [uid if uid == ANY_SYNTAX else check_uid(uid, _TRANSFER_SYNTAX_UID) for uid in several[:20]]


# --- Retrieve Rendered Instance (9.5) ---


def _picture(archive: Archive, asked: Asked, path: Mapping[str, str], types: Sequence[MediaType]) -> Answer:
    _check_pairs(asked)
    path = dict(path) | _presentation(asked)
    query = _charset(asked) | _options(asked)
    if any(asked.parameter(name) is not None for name in ("frameNumber", "rows", "columns", "region")):
        image = _metadata(archive, path)
        query |= _viewport(asked, image)
        path |= _frame(asked, image)
    make = rendered.frames if "frames" in path else rendered.instance
    header = _single_picture(asked.headers.get("accept", "*/*"))
    named = asked.parameter("contentType") if types else header
    try:
        answer = make(archive, _translated(asked, path, named or header, query))
    except NotAcceptable:
        if named == header:
            raise
        # Nothing of what contentType names: then the header counts (8.7.8.1, step 3).
        answer = make(archive, _translated(asked, path, header, query))
    return _located(asked, path, answer)


def _single_picture(accept: str) -> str:
    """The header, by which a wildcard means image/jpeg (9.3): elsewhere it means an animation if there are several
    frames, here the answer is a single picture (9.5.3.3)."""
    types = media_types.parse_list(accept)
    wildcards = [each.quality for each in types if each.name in ("*/*", "image/*")]
    if not wildcards or any(each.name == "image/jpeg" for each in types):
        return accept
    return f"image/jpeg;q={max(wildcards):g}, {accept}"


def _check_pairs(asked: Asked) -> None:
    """Raises InvalidQuery, InvalidUID, NotAcceptable."""
    for pair in (_WINDOW, _PRESENTATION):
        if sum(asked.parameter(name) is None for name in pair) == 1:
            raise InvalidQuery(f"{pair[0]} and {pair[1]} come together (PS3.18 9.5.1.2)")
    if asked.parameter("presentationUID") is None:
        return
    forbidden = _NOT_WITH_PRESENTATION + (("frameNumber",) if asked.strict else ())
    wrong = [name for name in forbidden if asked.parameter(name) is not None]
    if wrong:
        raise InvalidQuery(f"{wrong[0]} is not used together with a presentation state (PS3.18 9.5.1.2.7)")


def _presentation(asked: Asked) -> dict[str, str]:
    """The presentation state to show the image through (9.5.1.2.7), as `rendered` takes it. Raises InvalidUID."""
    series, instance = map(asked.parameter, _PRESENTATION)
    if series is None or instance is None:
        return {}
    return {
        "presentation_series": check_uid(series, _UIDS["series"][1]),
        "presentation": check_uid(instance, _UIDS["instance"][1]),
    }


def _options(asked: Asked) -> dict[str, str]:
    """What needs no knowledge of the image, with the names of 8.3.5.1."""
    options = {}
    quality, center, width = map(asked.parameter, ("imageQuality", *_WINDOW))
    if quality is not None:
        options["quality"] = quality or "0"
    if center is not None and width is not None:
        options["window"] = f"{_decimal(center, 'windowCenter')!r},{_decimal(width, 'windowWidth')!r},linear"
    notes = [asked.parameter(name) for name in ("annotation", "imageAnnotation")]
    if None not in notes:
        raise InvalidQuery("annotation and imageAnnotation are two names for the same: use one of them")
    if any(note is not None for note in notes):
        options["annotation"] = notes[0] or notes[1] or ""
    return options


def _charset(asked: Asked) -> dict[str, str]:
    charset = asked.parameter("charset")
    return {} if charset is None else {"charset": charset}


def _frame(asked: Asked, image: Mapping[str, Any]) -> dict[str, str]:
    """The frame as a part of the path. Raises InvalidQuery."""
    value = asked.parameter("frameNumber")
    if value is None:
        return {}
    frames = _integer(image, "00280008")
    if frames is None and asked.strict:
        raise InvalidQuery("frameNumber is only for images of several frames (PS3.18 9.5.2.1)")
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= (frames or 1):
        raise InvalidQuery(f"frameNumber is a number from 1 to {frames or 1}, the frames of this instance")
    return {"frames": str(int(value))}


def _viewport(asked: Asked, image: Mapping[str, Any]) -> dict[str, str]:
    """rows, columns and region as a viewport of 8.3.5.1.3, in pixels. Raises InvalidQuery."""
    rows, columns = (_count(asked, name) for name in ("rows", "columns"))
    if asked.strict and (rows is None) != (columns is None):
        raise InvalidQuery("rows and columns come together (PS3.18 9.5.1.2.4)")
    region = _region(asked)
    height, width = _integer(image, "00280010"), _integer(image, "00280011")
    if (rows, columns, region) == (None, None, None) or not height or not width:
        return {}
    left, top, right, bottom = region or (0.0, 0.0, 1.0, 1.0)
    across, down = (right - left) * width, (bottom - top) * height
    if rows is None and columns is None:
        rows, columns = max(1, round(down)), max(1, round(across))
    columns = columns if columns is not None else max(1, math.ceil((rows or 1) * across / down))
    rows = rows if rows is not None else max(1, math.ceil(columns * down / across))
    if region is None:
        return {"viewport": f"{columns},{rows}"}
    return {"viewport": f"{columns},{rows},{left * width!r},{top * height!r},{across!r},{down!r}"}


def _count(asked: Asked, name: str) -> int | None:
    value = asked.parameter(name)
    if value is not None and (not _COUNT.fullmatch(value) or not int(value)):
        raise InvalidQuery(f"{name} is a positive whole number (PS3.18 9.5.1.2.4)")
    return None if value is None else int(value)


def _region(asked: Asked) -> list[float] | None:
    value = asked.parameter("region")
    if value is None:
        return None
    numbers = [_decimal(each, "region") for each in value.split(",", 4)]
    if len(numbers) == 4:
        left, top, right, bottom = numbers
        if 0 <= left < right <= 1 and 0 <= top < bottom <= 1:
            return numbers
    raise InvalidQuery(
        "region is xmin,ymin,xmax,ymax, each minimum below its maximum, all from 0.0 to 1.0 (9.5.1.2.5)"
    )


def _decimal(text: str, name: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise InvalidQuery(f"{name} holds something else than a decimal number")
    return float(text)


def _metadata(archive: Archive, path: Mapping[str, str]) -> Mapping[str, Any]:
    scope = Scope((path["study"],), (path["series"],), (path["instance"],))
    if not archive.retrieve.instances(scope):
        raise archive.retrieve.missing(scope)
    metadata: Mapping[str, Any] = orjson.loads(next(archive.retrieve.metadata(scope, lambda _: "")))
    return metadata


def _integer(image: Mapping[str, Any], tag: str) -> int | None:
    """The first value of an attribute, if it is a positive number."""
    value = next(iter(image.get(tag, {}).get("Value") or ()), None)
    return int(value) if isinstance(value, int | float) and value >= 1 else None


# --- between the two services ---


def _translated(asked: Asked, path: Mapping[str, str], accept: str, query: Mapping[str, str]) -> Asked:
    return replace(
        asked, path=path, query_string=urlencode(query), headers={**asked.headers, "accept": accept}
    )


def _located(asked: Asked, path: Mapping[str, str], answer: Answer) -> Answer:
    """With the one URL of what is answered as Content-Location (9.4.3, 9.5.3)."""
    query = {"requestType": "WADO"} | {name: path[level] for level, (name, _) in _UIDS.items()}
    query["contentType"] = answer.media_type.partition(";")[0]
    if "frames" in path:
        query["frameNumber"] = path["frames"]
    if "presentation" in path:
        query |= {
            "presentationSeriesUID": path["presentation_series"],
            "presentationUID": path["presentation"],
        }
    url = f"{asked.base_url.removesuffix(ROOT)}{PATH}?{urlencode(query)}"
    kept = tuple(header for header in answer.headers if header[0].lower() != "content-location")
    return replace(answer, headers=(*kept, ("Content-Location", url)))
