"""/api/conflicts: objects whose identifiers are taken, in what they differ from what is stored, and deciding.

What is kept aside is served here and nowhere else: for whoever searches and retrieves it is not in the archive.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.identifiers import check_uid
from archive.services.conflicts import WAITING, Conflict, Decision, State
from archive.web.api import json_body, listing
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import DICOM

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 100
MOST_OF_A_STUDY = 100_000
_STUDY_INSTANCE_UID = 0x0020000D
_LARGEST_NUMBER = 2**63 - 1
_DIGITS = 18
_WAITING, _ALL = "waiting", "all"
STATES = (_WAITING, *State, _ALL)
DECISIONS = tuple(Decision)

_MEMBERS = {"decision": str, "conflicts": list, "study": str}


def search(archive: Archive, asked: Asked) -> Answer:
    """The last ones, newest first; those that wait for somebody unless `state` says otherwise. Raises InvalidQuery,
    InvalidUID."""
    state = asked.parameter("state") or _WAITING
    if state not in STATES:
        raise InvalidQuery(f"state is one of {', '.join(STATES)}")
    states = {_WAITING: WAITING, _ALL: ()}.get(state) or (() if state == _ALL else (State(state),))
    study = asked.parameter("study") or ""
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
    found = archive.conflicts.last(listing.limit(asked, DEFAULT_LIMIT, MOST), states, study)
    return json_body.answer([_described(one) for one in found])


def one(archive: Archive, asked: Asked) -> Answer:
    """One of them. Raises NotFound."""
    return json_body.answer(_described(archive.conflicts.get(_number(asked))))


def differences(archive: Archive, asked: Asked) -> Answer:
    """In what its copy differs from what is stored. Raises NotFound, NotAcceptable."""
    told = archive.conflicts.differences(_number(asked))
    return json_body.answer([dataclasses.asdict(difference) for difference in told])


def copy(archive: Archive, asked: Asked) -> Answer:
    """What is kept aside, as a PS3.10 file. Raises NotFound."""
    number = _number(asked)
    found, blob = archive.conflicts.open_copy(number)
    blob.close()

    def read(offset: int, length: int) -> Iterator[bytes]:
        with archive.conflicts.open_copy(number)[1] as opened:
            yield from opened.pieces(offset, length)

    return Answer(200, DICOM, Sliced(found.blob_length, read), etag=f"{found.kept_sha256}.{found.id}")


def decide(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """`{"decision": "accept", "conflicts": [12, 13]}`, or `"study"` for all that is open in one: each by itself.

    Raises RequestRefused (415)."""

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, _MEMBERS)
        decision = _decision(wanted)
        numbers = _numbers(archive, wanted)
        decided, failed = archive.conflicts.decide_all(
            numbers, decision, f"api {asked.peer_address}", asked.actor
        )
        told = [{"conflict": number, "reason": reason} for number, reason in failed.items()]
        status = 409 if failed and not decided else 200
        return json_body.answer({"decided": [_described(each) for each in decided], "failed": told}, status)

    return json_body.taker(asked, act)


def _decision(wanted: dict[str, Any]) -> Decision:
    try:
        return Decision(wanted.get("decision", ""))
    except ValueError:
        raise RequestRefused(f"decision is one of {', '.join(DECISIONS)}") from None


def _numbers(archive: Archive, wanted: dict[str, Any]) -> list[int]:
    numbers, study = wanted.get("conflicts", []), wanted.get("study", "")
    if bool(numbers) == bool(study):
        raise RequestRefused("name either conflicts, by their numbers, or a study")
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
        return archive.conflicts.open_in(study, MOST_OF_A_STUDY)
    if len(numbers) > MOST or not all(type(n) is int and 0 <= n <= _LARGEST_NUMBER for n in numbers):
        raise RequestRefused(f"conflicts are at most {MOST} whole numbers")
    return list(dict.fromkeys(numbers))


def _number(asked: Asked) -> int:
    text = asked.path["conflict"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no conflict of this number")
    return int(text)


def _described(conflict: Conflict) -> dict[str, Any]:
    """As JSON: moments in UTC, and whether there is a copy instead of where it is."""
    members = dataclasses.asdict(conflict)
    for hidden in ("blob_key", "data_set_offset"):
        del members[hidden]
    for name in ("first_at", "last_at", "settled_at"):
        members[name] = listing.moment(members[name])
    return members | {"has_copy": conflict.has_copy}
