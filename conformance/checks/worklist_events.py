"""Subscriptions to Workitems and their events over WebSocket (PS3.18 11.10 to 11.13, 8.10)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from conformance.client import Answer
from conformance.objects import new_uid
from conformance.registry import check
from conformance.verdicts import Failed, Level, expect
from conformance.web_socket import Listener, listening
from conformance.workitems import FILTERED, STATE, WORKLIST, changed, new, sent, value, warned
from conformance.world import World

SUBSCRIBER = "CONFORMANCE"
SECONDS = 20
NO_FILTERS = "Filtered Worklist Subscriptions are not supported."
NO_LOCK = "Deletion Lock not granted."
AFFECTED_SOP_INSTANCE, EVENT_TYPE, READINESS = "00001000", "00001002", "00404041"


def _path(uid: str) -> str:
    return f"/{uid}/subscribers/{SUBSCRIBER}"


@contextmanager
def _subscribed(w: World, uid: str, parameters: str = "") -> Iterator[Answer]:
    """A subscription for the length of a check."""
    answer = sent(w, "POST", _path(uid) + parameters).must(201, 403)
    try:
        yield answer
    finally:
        if answer.status == 201:
            sent(w, "DELETE", _path(uid))


def _event(listener: Listener, uid: str, never: str = "") -> dict[str, Any]:
    """The next event about this workitem; those of others, and of before, may come first, but `never` one."""
    for _ in range(100):
        try:
            found = json.loads(listener.text(SECONDS))
        except ValueError:
            raise Failed("an event is not JSON (8.10.5.1.1)") from None
        expect(isinstance(found, dict), "an event is no object in the DICOM JSON Model (11.13)")
        expect(not never or value(found, AFFECTED_SOP_INSTANCE) != never, "an event came that does not match")
        if value(found, AFFECTED_SOP_INSTANCE) == uid:
            return dict(found)
    raise Failed("no event about the Workitem came")


@check("UPS.30", "a subscription names its WebSocket", "11.10.3, Table 11.10.3-2")
def subscribed(w: World) -> None:
    uid = new(w)
    with _subscribed(w, uid) as answer:
        place = answer.must(201).headers.get("content-location", "")
        expect(place.startswith(("ws://", "wss://")), f"Content-Location is {place!r}")


@check("UPS.31", "a Workitem that is not there has no subscribers: 404", "Table 11.10.3-1")
def nobody(w: World) -> None:
    new(w)
    sent(w, "POST", _path(new_uid())).must(404)


@check("UPS.32", "a subscription is ended once", "Table 11.11.3-1")
def unsubscribed(w: World) -> None:
    uid = new(w)
    sent(w, "POST", _path(uid)).must(201)
    sent(w, "DELETE", _path(uid)).must(200)
    sent(w, "DELETE", _path(uid)).must(404)


@check("UPS.33", "events come over the WebSocket", "11.13, 8.10.5, PS3.4 CC.2.4.3")
def events(w: World) -> None:
    uid = new(w)
    with _subscribed(w, uid) as answer:
        place = answer.must(201).headers.get("content-location", "")
        with listening(place) as listener:
            changed(w, uid, "IN PROGRESS", new_uid()).must(200)
            event = _event(listener, uid)
            while value(event, STATE) != "IN PROGRESS":
                event = _event(listener, uid)
    expect(value(event, EVENT_TYPE) == 1, f"its Event Type ID is {value(event, EVENT_TYPE)!r}")
    expect(value(event, READINESS) == "READY", "Input Readiness State is not told")


@check("UPS.34", "who subscribes to the Worklist hears of new Workitems", "11.10.2, PS3.4 CC.2.4.3")
def worklist(w: World) -> None:
    with _subscribed(w, WORKLIST) as answer:
        place = answer.must(201).headers.get("content-location", "")
        with listening(place) as listener:
            event = _event(listener, new(w))
    expect(value(event, STATE) == "SCHEDULED", f"its state is {value(event, STATE)!r}")


@check("UPS.35", "a filter is kept, or refused in the words for that", "11.10.1.2, 11.10.3.2", Level.OPTIONAL)
def filtered(w: World) -> None:
    label = f"CONF{w.run}F"
    with _subscribed(w, FILTERED, f"?filter=WorklistLabel={label}") as answer:
        if answer.status == 403:
            warned(answer, NO_FILTERS)
            return
        with listening(answer.headers.get("content-location", "")) as listener:
            other = new(w)
            _event(listener, new(w, WorklistLabel=label), never=other)


@check("UPS.36", "a deletion lock is granted, or the answer says that it is not", "11.10.3.2")
def lock(w: World) -> None:
    uid = new(w)
    with _subscribed(w, uid, "?deletionlock=true") as answer:
        answer.must(201)
        if "Deletion Lock" in answer.warnings:
            warned(answer, NO_LOCK)


@check("UPS.37", "a suspended subscription is none any more", "11.12.2, Table 11.12.3-1")
def suspended(w: World) -> None:
    with _subscribed(w, WORKLIST) as answer:
        answer.must(201)
        sent(w, "POST", f"{_path(WORKLIST)}/suspend").must(200)
        sent(w, "POST", f"{_path(WORKLIST)}/suspend").must(404)
