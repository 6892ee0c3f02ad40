"""/api/rejections: rejection notes, what they hide, and taking them back.

What is hidden is served here and nowhere else: for whoever searches and retrieves it is not in the archive.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.identifiers import check_uid
from archive.dicom.instance import StoredInstance
from archive.dicom.rejection_notes import MEANINGS
from archive.services.rejections import Reason, Rejection, State
from archive.web.api import json_body, listing
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked, Sliced
from archive.web.http.media_types import DICOM

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 100
_ALL = "all"
STATES = (*State, _ALL)
RESTORE, DROP = "restore", "drop"
DECISIONS = (RESTORE, DROP)
_STUDY_INSTANCE_UID, _SOP_INSTANCE_UID = 0x0020000D, 0x00080018
_DIGITS = 18
_MEMBERS = {"decision": str, "instance": str}


def search(archive: Archive, asked: Asked) -> Answer:
    """The last notes, newest first; those that reject unless `state` says otherwise. Raises InvalidQuery,
    InvalidUID."""
    state = asked.parameter("state") or State.ACTIVE
    if state not in STATES:
        raise InvalidQuery(f"state is one of {', '.join(STATES)}")
    states = () if state == _ALL else (State(state),)
    study = asked.parameter("study") or ""
    if study:
        check_uid(study, _STUDY_INSTANCE_UID)
    found = archive.rejections.last(listing.limit(asked, DEFAULT_LIMIT, MOST), states, study)
    return json_body.answer([_described(one, counts) for one, counts in found])


def one(archive: Archive, asked: Asked) -> Answer:
    """One of them, with what it refers to. Raises NotFound, InvalidQuery."""
    number = _number(asked)
    note, counts = archive.rejections.counted(number)
    referred = archive.rejections.references(number, listing.limit(asked, MOST, MOST))
    instances = [dataclasses.asdict(each) for each in referred]
    return json_body.answer(_described(note, counts) | {"instances": instances})


def note(archive: Archive, asked: Asked) -> Answer:
    """The note, as a PS3.10 file. Raises NotFound."""
    number = _number(asked)
    return _file(lambda: archive.rejections.open_note(number))


def instance(archive: Archive, asked: Asked) -> Answer:
    """What is held of an instance, as a PS3.10 file. Raises NotFound, InvalidUID."""
    number, uid = _number(asked), check_uid(asked.path["instance"], _SOP_INSTANCE_UID)
    return _file(lambda: archive.rejections.open_copy(number, uid))


def decide(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """`{"decision": "restore"}` or `"drop"`, about all that a note refers to, or about one `"instance"`.

    Raises RequestRefused (415)."""
    number = _number(asked)

    def act(value: Any) -> Answer:
        wanted = json_body.members(value, _MEMBERS)
        uid = wanted.get("instance", "")
        if uid:
            check_uid(uid, _SOP_INSTANCE_UID)
        by = f"api {asked.peer_address}"
        if wanted.get("decision") == RESTORE:
            done = archive.rejections.restore(number, by, uid)
            failed = [{"instance": one, "reason": reason} for one, reason in done.failed.items()]
            status = 409 if failed and not done.number else 200
            return json_body.answer({"decided": done.number, "failed": failed}, status)
        if wanted.get("decision") == DROP:
            return json_body.answer({"decided": archive.rejections.drop(number, by, uid), "failed": []})
        raise RequestRefused(f"decision is one of {', '.join(DECISIONS)}")

    return json_body.taker(asked, act)


def _file(opened: Callable[[], tuple[StoredInstance, Any]]) -> Answer:
    stored, blob = opened()
    blob.close()

    def read(offset: int, length: int) -> Iterator[bytes]:
        with opened()[1] as again:
            yield from again.pieces(offset, length)

    return Answer(200, DICOM, Sliced(stored.blob_length, read), etag=f"{stored.sha256}.{stored.blob_key}")


def _number(asked: Asked) -> int:
    text = asked.path["rejection"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no rejection note of this number")
    return int(text)


def _described(one: Rejection, counts: dict[str, int]) -> dict[str, Any]:
    """As JSON: moments in UTC, and not where the bytes are."""
    stored, source = one.note.stored, one.note.source
    return {
        "id": one.id,
        "state": one.state,
        "reason": one.reason,
        "meaning": MEANINGS[Reason(one.reason)],
        "SOPInstanceUID": stored.SOPInstanceUID,
        "SeriesInstanceUID": stored.SeriesInstanceUID,
        "StudyInstanceUID": stored.StudyInstanceUID,
        "door": source.door,
        "address": source.address,
        "calling_ae_title": source.calling_ae_title,
        "called_ae_title": source.called_ae_title,
        "came_at": listing.moment(one.came_at),
        "settled_at": listing.moment(one.settled_at),
        "settled_by": one.settled_by,
        "counts": counts,
    }
