"""Retrieve Capabilities (PS3.18 8.9): OPTIONS of the Base URI, and of every resource for itself and what is below it.

The description follows from the route table. Lenient as everywhere: a page of another origin, or the standard's own
example B.15, sends OPTIONS with the Accept header of the request that is to follow, and is answered nevertheless; in
strict mode it gets 406. Allow names the methods of the resource itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from archive.dicom.errors import InvalidQuery, NotAcceptable
from archive.web.description import wadl
from archive.web.description.route import Route
from archive.web.http import conditional, media_types
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import DICOM_JSON, JSON, Offer
from archive.web.http.urls import ROOT

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

WADL = "application/vnd.sun.wadl+xml"
OFFERS = (Offer(WADL), Offer(JSON), Offer(DICOM_JSON))
REMEMBERED = 4
"""Descriptions of one resource that are kept made: under how many public names and in how many media types."""


def handler(routes: Sequence[Route], path: str) -> Callable[[Archive, Asked], Answer]:
    """A handler of OPTIONS for the resources of one path of the table, which need not have any other method."""
    target = next((route.template for route in routes if route.path == path), path.rstrip("/"))
    allowed = allow(route.method for route in routes if route.path == path)
    below = ROOT if target.startswith(ROOT) else ""

    @functools.lru_cache(maxsize=REMEMBERED)
    def encoded(base: str, media_type: str) -> bytes:
        described = wadl.description(routes, base, below, target)
        return wadl.as_xml(described) if media_type == WADL else wadl.as_json(described)

    def answer(_archive: Archive, asked: Asked) -> Answer:
        media_type = _chosen(asked)
        body = encoded(asked.base_url if below else asked.base_url.removesuffix(ROOT), media_type)
        found = Answer(
            200, media_type, body, (("Allow", allowed),), etag=conditional.tag(asked.base_url, path)
        )
        # 304 is an answer to this transaction too (Table 8.9.3-1).
        return conditional.applied(found, replace(asked, method="GET"))

    return answer


def allow(methods: Iterable[str]) -> str:
    """The methods of a resource as an Allow header has them."""
    found = {*methods, "OPTIONS"}
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))


def _chosen(asked: Asked) -> str:
    try:
        return media_types.choose(asked.accept, OFFERS).media_type
    except (NotAcceptable, InvalidQuery):
        if asked.strict:
            raise
        return WADL
