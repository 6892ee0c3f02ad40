"""QIDO-RS: search on six resources (PS3.18 10.6).

The query string becomes the one `Query`, `services/search` answers it, and the matches get their URLs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from archive.dicom.identifiers import check_uid
from archive.dicom.instance import Level
from archive.dicom.query import Key, Match, UIDList
from archive.services.search import Found
from archive.web.http import charset, media_types, urls
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_XML
from archive.web.http.multipart_body import related
from archive.web.metadata import OFFERS, json_array, xml_parts
from archive.web.qido_parameters import Search, parse

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
"""Of which a search over DICOMweb is the like, for the audit trail."""
_RESOURCES = (("study", "studies"), ("series", "series"))
_SEARCHED = {Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "instances"}
_ONLINE = {"vr": "CS", "Value": ["ONLINE"]}


def studies(archive: Archive, asked: Asked) -> Answer:
    """Search among studies. Raises InvalidQuery, TooBroad, InvalidUID, NotAcceptable."""
    return _search(archive, asked, Level.STUDY)


def series(archive: Archive, asked: Asked) -> Answer:
    """Search among all series, or those of the path's study. Raises as `studies`."""
    return _search(archive, asked, Level.SERIES)


def instances(archive: Archive, asked: Asked) -> Answer:
    """Search among all instances, or those of the path's study or series. Raises as `studies`."""
    return _search(archive, asked, Level.IMAGE)


def _search(archive: Archive, asked: Asked, level: Level) -> Answer:
    chosen = media_types.choose(asked.accept, OFFERS)
    maximum = archive.settings.limits.maximum_query_results
    search = parse(asked.parameters, level, maximum, strict=asked.strict)
    query = replace(search.query, keys=_path_keys(asked) + search.query.keys)
    archive.auditing.out.asked(asked.actor, STUDY_ROOT_FIND, _as_asked(asked, level))
    found = archive.search.find(query)
    warnings = _warnings(asked, search, found)
    if not found.number:
        return Answer(204, headers=warnings)
    data_sets = (_with_urls(asked.base_url, match, level) for match in found.matches)
    if chosen.media_type == DICOM_XML:
        spoken = charset.chosen(asked, DICOM_XML, multipart=True)
        return related(DICOM_XML, xml_parts(data_sets, spoken), warnings)
    return Answer(200, chosen.media_type, json_array(map(orjson.dumps, data_sets)), warnings)


def _as_asked(asked: Asked, level: Level) -> bytes:
    """The question as PS3.18 10.6 words it, for the audit trail."""
    below = [f"/{resource}/{asked.path[name]}" for name, resource in _RESOURCES if name in asked.path]
    question = f"?{asked.query_string}" if asked.query_string else ""
    return f"{''.join(below)}/{_SEARCHED[level]}{question}".encode()


def _path_keys(asked: Asked) -> tuple[Key, ...]:
    tags = {"study": _STUDY_INSTANCE_UID, "series": _SERIES_INSTANCE_UID}
    return tuple(
        Key((tag,), UIDList((check_uid(asked.path[name], tag),)))
        for name, tag in tags.items()
        if name in asked.path
    )


def _warnings(asked: Asked, search: Search, found: Found) -> tuple[tuple[str, str], ...]:
    """Each in the form of PS3.18 8.3.4: `299 <service>: <text>`."""
    texts = list(search.warnings)
    if found.unread:
        texts.append(f"The metadata of {found.unread} candidates are too long to be searched")
    if found.remaining:
        texts.append(f"There are {found.remaining} additional results that can be requested")
    return tuple(("Warning", f"299 {asked.base_url}: {text}") for text in texts)


def _with_urls(base: str, match: Match, level: Level) -> Mapping[str, Any]:
    """The match with RetrieveURL and InstanceAvailability, in the order of tags."""
    uids = [_uid(match, tag) for tag in ("0020000D", "0020000E", "00080018")[: level.value]]
    url = urls.resource_url(base, *uids)
    added = {"00080056": _ONLINE, "00081190": {"vr": "UR", "Value": [url]}}
    return dict(sorted((dict(match) | added).items()))


def _uid(match: Match, tag: str) -> str:
    return str(match[tag]["Value"][0])
