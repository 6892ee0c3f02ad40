"""Search for Workitems (PS3.18 11.9): the parameters of QIDO-RS, over what workitems hold.

Every attribute at any depth may be a matching key and may be included. That there is more than what is sent is said by
206 and by a Warning (Table 11.9.3-1, 8.3.4.4); for that the matches are counted before the first of them is sent, so
that none has to be held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from archive.dicom.errors import InvalidQuery
from archive.dicom.instance import Level
from archive.dicom.matching import projection
from archive.dicom.query import Query
from archive.dicom.workitems.attributes import REPLACED_STEPS, RETURNED
from archive.web.http import charset, media_types
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_XML
from archive.web.http.multipart_body import related
from archive.web.metadata import OFFERS, json_array, xml_parts
from archive.web.qido_parameters import parse
from archive.web.ups import refusals

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

LEVEL = Level.IMAGE
"""That of no information model here: keys of any may be asked for."""

MOST_COUNTED = 10_000
"""Matches after those that are sent."""

_ALWAYS = tuple((int(tag, 16),) for tag in (*RETURNED, REPLACED_STEPS))
"""PS3.4 Table CC.2.5-3: Return Key Type 1, 2 and, where it is there, 1C."""


def search(archive: Archive, asked: Asked) -> Answer:
    """The Workitems that match. Raises InvalidQuery, InvalidUID, NotAcceptable."""
    chosen = media_types.choose(asked.accept, OFFERS)
    maximum = archive.settings.limits.maximum_query_results
    search = parse(asked.parameters, LEVEL, maximum, strict=asked.strict)
    if search.query.by_record_key:
        raise InvalidQuery("Workitems have no RecordKey: go on with offset")
    sent, remaining = _counted(archive, search.query)
    texts = [*search.warnings, *_remaining(remaining)]
    warnings = tuple(refusals.warning(asked, one) for one in texts)
    if not sent:
        return Answer(204, headers=warnings)
    status = 206 if remaining else 200
    data_sets = _matches(archive, search.query)
    if chosen.media_type == DICOM_XML:
        spoken = charset.chosen(asked, DICOM_XML, multipart=True)
        return replace(related(DICOM_XML, xml_parts(data_sets, spoken), warnings), status=status)
    return Answer(status, chosen.media_type, json_array(map(orjson.dumps, data_sets)), warnings)


def _counted(archive: Archive, query: Query) -> tuple[int, int]:
    """How many matches are sent, and how many there are after them, as far as they are counted."""
    limit = query.limit or 0
    found = archive.workitems.search(query, limit + MOST_COUNTED + 1, query.offset)
    number = sum(1 for one in found if one is not None)
    return min(number, limit), max(number - limit, 0)


def _remaining(number: int) -> Iterator[str]:
    if number > MOST_COUNTED:
        yield f"There are more than {MOST_COUNTED} additional results that can be requested"
    elif number:
        yield f"There are {number} additional results that can be requested"


def _matches(archive: Archive, query: Query) -> Iterator[dict[str, Any]]:
    paths = {*_ALWAYS, *(key.path for key in query.keys), *query.include_parts}
    what = projection.wanted([*paths, *((tag,) for tag in query.include)], query.creators)
    found = archive.workitems.search(query, query.limit, query.offset)
    for one in islice((one for one in found if one is not None), query.limit):
        yield dict(one) if query.include_all else projection.shown(one, what)
