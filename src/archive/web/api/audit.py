"""/api/audit: who did what, for auditors. That the trail is read is recorded in it first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import InvalidQuery
from archive.services.audit_log import URI, Found, Sought
from archive.services.audit_reports import Dealing, dealings, described, events_named, what
from archive.web.api import json_body, listing
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

MOST = 10_000
DEFAULT_LIMIT = 100
MOST_OF_A_PATIENT = 100_000
OUTCOMES = ("success", "failure")
FORMATS = ("json", "csv")
CSV = "text/csv; charset=utf-8"
_COLUMNS = ("id", "at", "event", "user", "user_name", "address", "outcome", "reason")
_DIGITS = 18
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def search(archive: Archive, asked: Asked) -> Answer:
    """What is found, newest first; `next` is the `before` of what follows. Raises InvalidQuery, OutOfResources."""
    sought, limit = sought_by(asked), listing.limit(asked, DEFAULT_LIMIT, MOST)
    found = read(archive, asked, sought, limit, before(asked))
    if _is_csv(asked):
        return _csv((*_COLUMNS, "patients", "studies", "instances"), map(form, found), "audit.csv")
    further = found[-1].position if len(found) == limit else None
    return json_body.answer({"records": [form(one) for one in found], "next": further})


def patient(archive: Archive, asked: Asked) -> Answer:
    """Everyone who saw, got or changed something of a patient. Raises InvalidQuery, OutOfResources."""
    sought = Sought(asked.path["patient"], since=moment(asked, "since"), until=moment(asked, "until"))
    found = read(archive, asked, sought, MOST_OF_A_PATIENT)
    told = [dealing_form(one) for one in dealings(found)]
    if _is_csv(asked):
        return _csv(("user", "address", "what", "times", "first_at", "last_at"), told, "patient.csv")
    whole = len(found) < MOST_OF_A_PATIENT
    return json_body.answer({"PatientID": sought.PatientID, "complete": whole, "dealings": told})


def verification(archive: Archive, asked: Asked) -> Answer:
    """Whether every record is as it was written. Raises OutOfResources."""
    archive.auditing.log_used(asked.actor, URI, "verify")
    verdict = archive.audit_log.verify()
    said = {
        "whole": not verdict.fault,
        "records": verdict.records,
        "anchors": verdict.anchors,
        "fault": verdict.fault,
    }
    return json_body.answer(said)


def read(archive: Archive, asked: Asked, sought: Sought, limit: int, before: int = 0) -> list[Found]:
    """Look into the trail, and have that recorded. Raises OutOfResources."""
    archive.auditing.log_used(asked.actor, URI, described(sought))
    return archive.audit_log.search(sought, limit, before)


def sought_by(asked: Asked) -> Sought:
    """What the parameters ask for; empty ones do not restrict. Raises InvalidQuery."""
    names = [value for name, value in asked.parameters if name == "event" and value]
    return Sought(
        (asked.parameter("patient") or "").strip(),
        (asked.parameter("study") or "").strip(),
        (asked.parameter("user") or "").strip(),
        (asked.parameter("address") or "").strip(),
        events_named(names),
        moment(asked, "since"),
        moment(asked, "until"),
        _failed(asked),
    )


def moment(asked: Asked, name: str) -> float:
    """A moment as ISO 8601, in UTC where it names no zone; 0 where it is not given. Raises InvalidQuery."""
    text = asked.parameter(name)
    if not text:
        return 0.0
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidQuery(f"{name} is a time such as 2026-01-31 or 2026-01-31T12:00") from None


def form(one: Found) -> dict[str, Any]:
    """A record as JSON."""
    message, who = one.message, one.message.requestor
    return {
        "id": one.position,
        "at": listing.moment(message.time),
        "code": message.event.value,
        "event": what(one),
        "user": who.UserID,
        "user_name": who.UserName,
        "address": who.address,
        "outcome": "failure" if message.outcome else "success",
        "reason": message.outcome_text,
        "patients": list(message.patient_ids),
        "studies": list(message.study_instance_uids),
        "instances": sum(number for subject in message.subjects for _, number in subject.sop_classes),
    }


def dealing_form(one: Dealing) -> dict[str, Any]:
    """What somebody did with a patient, as JSON."""
    return {
        "user": one.who,
        "address": one.address,
        "what": one.what,
        "times": one.times,
        "first_at": listing.moment(one.first),
        "last_at": listing.moment(one.last),
    }


def _failed(asked: Asked) -> bool | None:
    text = asked.parameter("outcome")
    if not text:
        return None
    if text not in OUTCOMES:
        raise InvalidQuery(f"outcome is one of {', '.join(OUTCOMES)}")
    return text == "failure"


def before(asked: Asked) -> int:
    """The number of the record before which the next ones are; 0: none. Raises InvalidQuery."""
    text = asked.parameter("before")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise InvalidQuery("before is the number of a record")
    return int(text)


def _is_csv(asked: Asked) -> bool:
    text = asked.parameter("format") or "json"
    if text not in FORMATS:
        raise InvalidQuery(f"format is one of {', '.join(FORMATS)}")
    return text == "csv"


def _csv(columns: tuple[str, ...], rows: Iterable[dict[str, Any]], name: str) -> Answer:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    headers = (("Content-Disposition", f'attachment; filename="{name}"'), ("Cache-Control", "no-store"))
    return Answer(200, CSV, made.getvalue().encode(), headers)


def _cell(value: Any) -> Any:
    """Strangers choose some of the texts: none becomes a formula in a spreadsheet."""
    text = " ".join(value) if isinstance(value, list) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text
