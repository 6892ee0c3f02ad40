"""The console's pages for who runs the archive and for auditors, described."""

from __future__ import annotations

from archive.web.description.route import About, Parameter, Status
from archive.web.description.transactions import BAD_REQUEST, NOT_FOUND, OK, about

_SIGN_IN = Status(303, "A browser signs in at the address in Location.")


def _page(summary: str, *parameters: Parameter) -> About:
    return about(summary, (OK, _SIGN_IN, BAD_REQUEST, NOT_FOUND), ("text/html",), parameters)


_SEARCHED = ("patient", "study", "user", "address", "event", "outcome", "since", "until", "before")
AE_TITLES = _page(
    "The known AE titles, and callers that were refused.",
    Parameter("title", "AE title to fill in."),
    Parameter("host", "Its host."),
)
AE_TITLE = _page("A known AE title: its rules, and what it sees of the studies.")
DELETIONS = _page("Deletions that wait for a second person, are under way, done or refused.")
DELETION = _page("A deletion and its certificate.")
DUE = _page("The rules of retention, and the studies whose time is over by them.")
HOLDS = _page(
    "What is on hold, and what was.",
    Parameter("study", "Study Instance UID to fill in."),
    Parameter("patient", "Patient ID to fill in."),
    Parameter("issuer", "Its issuer."),
)
PEOPLE = _page("Everybody who may sign in.")
PERSON = _page("Somebody who may sign in, and what they have signed in with.")
ACCOUNT = _page("One's own account.")
CONFLICTS = _page("Objects that wait for a decision.")
WORK = _page("What others could not be told yet, corrections that are not done, and files in quarantine.")
STATUS = _page("What the archive is doing.")
AUDIT = _page("The audit trail.", *(Parameter(name, "As at /api/audit.") for name in _SEARCHED))
PATIENT = _page(
    "Everyone who has had to do with a patient.",
    *(Parameter(name, "As at /api/audit.") for name in ("since", "until")),
)
