"""/api/deletions: deleting with a reason, approving of it, the certificates of what was destroyed; and what is due."""

from __future__ import annotations

import dataclasses
from itertools import islice
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.services.deletion_requests import Order, Request, State, Target
from archive.web.api import json_body, listing
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.media_types import JSON

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 100
ALL = "all"
STATES = (*State, ALL)
APPROVE, REFUSE = "approve", "refuse"
DECISIONS = (APPROVE, REFUSE)
_DIGITS = 18
_MOMENTS = ("asked_at", "decided_at", "deleted_at", "certified_at")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_WANTED = {
    **dict.fromkeys(("PatientID", "IssuerOfPatientID", *_UIDS, "reason"), str),
    "override_retention": bool,
}
_DECIDED = {"decision": str, "reason": str}


def search(archive: Archive, asked: Asked) -> Answer:
    """The last deletions, newest first; of one state where that is named. Raises InvalidQuery."""
    state = asked.parameter("state") or ALL
    if state not in STATES:
        raise InvalidQuery(f"state is one of {', '.join(STATES)}")
    states = () if state == ALL else (State(state),)
    found = archive.deletions.last(states, listing.limit(asked, DEFAULT_LIMIT, MOST))
    return json_body.answer([_described(one) for one in found])


def one(archive: Archive, asked: Asked) -> Answer:
    """One of them. Raises NotFound."""
    return json_body.answer(_described(archive.deletions.get(number(asked))))


def certificate(archive: Archive, asked: Asked) -> Answer:
    """The certificate, byte by byte as its digest in the audit trail is of it. Raises NotFound."""
    text = archive.deletions.certificate(number(asked))
    return Answer(200, JSON, text.encode(), (("Cache-Control", "no-store"),))


def ask(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Delete a patient, study, series or instance for a reason: 201 when it is deleted, 202 when it waits for
    approval. Raises RequestRefused (403, 415), and what the service raises."""
    _check_allowed(archive)

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, _WANTED)
        target = Target(**{name: wanted.get(name, "") for name in Target.__dataclass_fields__})
        named = [bool(getattr(target, name)) for name in _UIDS]
        if named != sorted(named, reverse=True):
            raise RequestRefused("what is deleted is named from the study down")
        if target.StudyInstanceUID and target.PatientID:
            raise RequestRefused("name either a patient or a study")
        overrides = wanted.get("override_retention", False)
        order = Order(target, wanted.get("reason", ""), everything=True, overrides=overrides)
        made = archive.deletions.ask(order, asked.actor)
        return json_body.answer(_described(made), 202 if made.state == State.WAITING else 201)

    return json_body.taker(asked, act)


def decide(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """`{"decision": "approve"}`, or `"refuse"` with a reason. Raises RequestRefused (403, 415)."""
    _check_allowed(archive)
    of = number(asked)

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, _DECIDED)
        if wanted.get("decision") == APPROVE:
            return json_body.answer(_described(archive.deletions.approve(of, asked.actor)))
        if wanted.get("decision") == REFUSE:
            done = archive.deletions.refuse(of, asked.actor, wanted.get("reason", ""))
            return json_body.answer(_described(done))
        raise RequestRefused(f"decision is one of {', '.join(DECISIONS)}")

    return json_body.taker(asked, act)


def due(archive: Archive, asked: Asked) -> Answer:
    """Studies whose time is over by the rules of retention. Raises InvalidQuery."""
    found = islice(archive.deletions.due(), listing.limit(asked, DEFAULT_LIMIT, MOST))
    return json_body.answer(
        [dataclasses.asdict(each) | {"since": listing.moment(max(each.since, 1.0))} for each in found]
    )


def _check_allowed(archive: Archive) -> None:
    if not archive.settings.http.deletion:
        raise RequestRefused("nothing is deleted here: the administrator has set http.deletion to false", 403)


def number(asked: Asked) -> int:
    """Which deletion the path names. Raises NotFound."""
    text = asked.path["deletion"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no deletion of this number")
    return int(text)


def _described(one: Request) -> dict[str, Any]:
    told = dataclasses.asdict(one)
    return told | {name: listing.moment(told[name]) for name in _MOMENTS}
