"""Subscriptions: Subscribe, Unsubscribe, Suspend Global Subscription (PS3.18 11.10 to 11.12).

A subscriber is an AE title, which need not be one that the archive knows. Who subscribes here is told over the
Notification Connections that are opened in its name; who subscribes by DIMSE is told by N-EVENT-REPORT as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archive.dicom.attribute_ids import attribute_path
from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.query import Query
from archive.dicom.workitems import filters
from archive.dicom.workitems.attributes import FILTERED, GLOBAL
from archive.web import qido_parameters
from archive.web.http import urls
from archive.web.http.exchange import Answer, Asked, text
from archive.web.ups import requests
from archive.web.ups.searching import LEVEL

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

NOTIFICATIONS = f"{urls.SUBSCRIBERS}/{{subscriber:path}}"
"""Where a Notification Connection is opened."""

_FILTER, _DELETION_LOCK = "filter", "deletionlock"
_NO_KEYS = frozenset((_DELETION_LOCK, requests.REQUESTER, "accept", "charset"))
_MANNERS = frozenset(("fuzzymatching", "emptyvaluematching", "multiplevaluematching"))


def subscribe(archive: Archive, asked: Asked) -> Answer:
    """Subscribe to a Workitem, to the Worklist, or to what matches a filter. Raises InvalidUID, InvalidQuery,
    NotFound."""
    uid, title = requests.workitem(asked), requests.ae_title(asked.path["subscriber"])
    archive.workitems.subscribe(title, uid, _deletion_lock(asked), _filter(asked, uid))
    return Answer(201, headers=(("Content-Location", urls.notification_url(asked.base_url, title)),))


def unsubscribe(archive: Archive, asked: Asked) -> Answer:
    """End a subscription; that of the Worklist ends those of its Workitems too (PS3.4 CC.2.3.3). Raises InvalidUID,
    InvalidQuery, NotFound."""
    title = requests.ae_title(asked.path["subscriber"])
    if not archive.workitems.unsubscribe(title, requests.workitem(asked)):
        raise _no_subscription()
    return Answer(200)


def suspend(archive: Archive, asked: Asked) -> Answer:
    """Do not subscribe to Workitems that are created from now on. Raises InvalidUID, InvalidQuery, NotFound."""
    uid = requests.workitem(asked)
    if uid not in (GLOBAL, FILTERED):
        raise NotFound("only the subscription to a worklist can be suspended (PS3.18 Table 11.12.1-1)")
    if not archive.workitems.suspend(requests.ae_title(asked.path["subscriber"]), uid):
        raise _no_subscription()
    return Answer(200)


def _no_subscription() -> NotFound:
    return NotFound("there is no such subscription of this subscriber")


def notifications(_archive: Archive, asked: Asked) -> Answer:
    """A plain GET of what is a WebSocket (RFC 9110 15.5.22). Raises InvalidQuery."""
    requests.ae_title(asked.path["subscriber"])
    sentence = "this is a Notification Connection: open it with the WebSocket protocol (PS3.18 8.10.4)"
    return text(426, sentence, ("Upgrade", "websocket"), ("Connection", "Upgrade"))


def _deletion_lock(asked: Asked) -> bool:
    said = (asked.parameter(_DELETION_LOCK) or "false").lower()
    if said not in ("true", "false"):
        raise InvalidQuery("deletionlock is neither true nor false")
    return said == "true"


def _filter(asked: Asked, uid: str) -> Query | None:
    """The matching keys of a Filtered Worklist Subscription. They come in one parameter, divided by commas (PS3.18
    11.10.1.2); lenient, also as matching keys come elsewhere. Raises InvalidQuery, InvalidUID."""
    if uid != FILTERED:
        return None
    given = [one for one in asked.parameters if one[0].lower() not in _NO_KEYS]
    pairs = [
        pair for name, value in given for pair in (_pairs(value) if name == _FILTER else [(name, value)])
    ]
    unknown = [name for name, _ in pairs if attribute_path(name) is None and name.lower() not in _MANNERS]
    read = qido_parameters.parse(pairs, LEVEL, 0, strict=asked.strict)
    if unknown or read.warnings:
        # one that does not restrict would subscribe to what nobody asked for
        raise InvalidQuery("the filter names something that is no attribute, or none that is matched")
    if not filters.keys_of(read.query):
        raise InvalidQuery("the Filtered Worklist needs a filter, such as filter=ProcedureStepLabel=Fusion")
    return read.query


def _pairs(text: str) -> list[tuple[str, str]]:
    """`attribute=value` divided by commas; what has no `=` goes on with the value before it, as UID lists do."""
    pairs: list[tuple[str, str]] = []
    for one in text.split(","):
        name, equals, value = one.partition("=")
        if equals:
            pairs.append((name.strip(), value))
        elif pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{one}")
        elif one.strip():
            raise InvalidQuery("the filter is not made of attribute=value, divided by commas")
    return pairs
