"""The console's page for auditors: who did what, and everyone who has had to do with a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from archive.audit.codes import EVENTS
from archive.services.audit_log import Sought
from archive.services.audit_reports import dealings
from archive.web.api import audit
from archive.web.console import pages
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

SHOWN = 100
_FIELDS = ("patient", "study", "user", "address", "since", "until", "outcome", "event")


def page(archive: Archive, asked: Asked) -> Answer:
    """The search, and what it finds once something is asked. That the trail is read is recorded. Raises InvalidQuery,
    OutOfResources."""
    given = {name: asked.parameter(name) or "" for name in (*_FIELDS, "before")}
    found = []
    if asked.query_string:
        found = audit.read(archive, asked, audit.sought_by(asked), SHOWN, audit.before(asked))
    query = {name: given[name] for name in _FIELDS if given[name]}
    older = urlencode({**query, "before": found[-1].position}) if len(found) == SHOWN else ""
    return pages.render(
        archive,
        asked,
        "audit.html",
        given=given,
        asked_something=bool(asked.query_string),
        records=[audit.form(one) for one in found],
        events=sorted((one.meaning, code) for code, one in EVENTS.items()),
        older=older,
        table=urlencode({**query, "format": "csv", "limit": audit.MOST}),
        quote=lambda text: quote(text, safe=""),
    )


def patient(archive: Archive, asked: Asked) -> Answer:
    """Everyone who saw, got or changed something of a patient. Raises InvalidQuery, OutOfResources."""
    sought = Sought(
        asked.path["patient"], since=audit.moment(asked, "since"), until=audit.moment(asked, "until")
    )
    found = audit.read(archive, asked, sought, audit.MOST_OF_A_PATIENT)
    return pages.render(
        archive,
        asked,
        "audit-patient.html",
        patient=sought.PatientID,
        dealings=[audit.dealing_form(one) for one in dealings(found)],
        complete=len(found) < audit.MOST_OF_A_PATIENT,
        path=quote(sought.PatientID, safe=""),
    )
