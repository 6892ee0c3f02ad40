"""/api/commitments and /api/notifications: what other application entities were told, what they could not be told and
why, and telling it once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery, NotFound
from archive.dicom.identifiers import check_uid
from archive.dicom.receiving.commitment import TRANSACTION_UID
from archive.services.notifications import Notification
from archive.services.reports import Progress, Report
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 1000
DEFAULT_LIMIT = 100
STATES = tuple(each.value for each in Progress)
_LARGEST_NUMBER = 2**63 - 1


def search(archive: Archive, asked: Asked) -> Answer:
    """The last requests of storage commitment by DIMSE, newest first. Raises InvalidQuery."""
    found = archive.reports.newest(listing.limit(asked, DEFAULT_LIMIT, MOST), _state(asked))
    return json_body.answer([_report(one) for one in found])


def retrieve(archive: Archive, asked: Asked) -> Answer:
    """One of them, with what was found of each instance. Raises NotFound, Gone, InvalidUID."""
    uid = _transaction(asked)
    report = archive.reports.get(uid)
    verdicts = archive.commitment.result(uid)
    items = [
        {
            "SOPClassUID": one.reference.SOPClassUID,
            "SOPInstanceUID": one.reference.SOPInstanceUID,
            "FailureReason": one.failure_reason,
        }
        for one in verdicts or ()
    ]
    return json_body.answer(_report(report) | {"instances": items})


def again(archive: Archive, asked: Asked) -> Answer:
    """Check it anew and tell the result once more. Raises NotFound, InvalidUID."""
    return json_body.answer(_report(archive.reports.again(_transaction(asked))), 202)


def notifications(archive: Archive, asked: Asked) -> Answer:
    """The last notifications of instance availability, newest first. Raises InvalidQuery."""
    found = archive.notifications.newest(listing.limit(asked, DEFAULT_LIMIT, MOST), _state(asked))
    return json_body.answer([_notification(one) for one in found])


def notify_again(archive: Archive, asked: Asked) -> Answer:
    """Tell of a study once more, as it is now. Raises NotFound."""
    number = asked.path["notification"]
    if not (number.isascii() and number.isdecimal()) or int(number[:20]) > _LARGEST_NUMBER:
        raise NotFound("a notification has a number")
    return json_body.answer(_notification(archive.notifications.again(int(number))), 202)


def _report(one: Report) -> dict[str, Any]:
    return {
        "TransactionUID": one.TransactionUID,
        "calling_ae_title": one.calling_ae_title,
        "called_ae_title": one.called_ae_title,
        "address": one.address,
        "state": one.progress.value,
        "instances_asked": one.number_of_items,
        "instances_checked": one.checked,
        "instances_failed": one.failed,
        "attempts": one.attempts,
        "reason": one.reason,
        "requested_at": listing.moment(one.requested_at),
        "last_at": listing.moment(one.last_at),
    }


def _notification(one: Notification) -> dict[str, Any]:
    return {
        "id": one.id,
        "StudyInstanceUID": one.StudyInstanceUID,
        "ae_title": one.ae_title,
        "state": one.progress.value,
        "attempts": one.attempts,
        "reason": one.reason,
        "last_at": listing.moment(one.last_at),
    }


def _transaction(asked: Asked) -> str:
    return check_uid(asked.path["transaction"], TRANSACTION_UID)


def _state(asked: Asked) -> Progress | None:
    text = asked.parameter("state")
    if text is None:
        return None
    if text not in STATES:
        raise InvalidQuery(f"state is one of {', '.join(STATES)}")
    return Progress(text)
