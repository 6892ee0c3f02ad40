"""The console's pages for who runs the archive and for auditors, as rows of the route table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive.security.roles import Right
from archive.web.api.guard import guarded
from archive.web.console import administering, ae_rules, auditing, deletion_pages, pages, standing
from archive.web.description import admin_pages as described
from archive.web.description.route import About, Route

AE_TITLE = "/ae-titles/{title:path}"
"""An AE title may hold a slash."""

Handler = Callable[[Any, Any], Any]


def _page(path: str, name: str, handler: Handler, right: Right, about: About) -> Route:
    return Route("GET", path, name, "", guarded(handler), about=about, right=right, refused=pages.refused)


ADMIN: tuple[Route, ...] = (
    _page("/ae-titles", "AETitlesPage", administering.ae_titles, Right.ADMINISTER, described.AE_TITLES),
    _page(AE_TITLE, "AETitlePage", ae_rules.page, Right.ADMINISTER, described.AE_TITLE),
    _page("/deletions", "DeletionsPage", deletion_pages.listed, Right.DELETE, described.DELETIONS),
    _page("/deletions/due", "DueStudiesPage", deletion_pages.due, Right.DELETE, described.DUE),
    _page("/deletions/{deletion}", "DeletionPage", deletion_pages.one, Right.DELETE, described.DELETION),
    _page("/holds", "HoldsPage", deletion_pages.holds, Right.HOLD, described.HOLDS),
    _page("/people", "PeoplePage", administering.everybody, Right.ADMINISTER, described.PEOPLE),
    _page("/people/{person}", "PersonPage", administering.person, Right.ADMINISTER, described.PERSON),
    Route(
        "GET",
        "/account",
        "AccountPage",
        "",
        administering.account,
        about=described.ACCOUNT,
        right=Right.ACCOUNT,
        refused=pages.refused,
    ),
    _page("/conflicts", "ConflictsPage", administering.conflicts, Right.CORRECT, described.CONFLICTS),
    _page("/work", "WorkPage", administering.work, Right.ADMINISTER, described.WORK),
    _page("/status", "StatusPage", standing.page, Right.OBSERVE, described.STATUS),
    _page("/audit", "AuditPage", auditing.page, Right.AUDIT, described.AUDIT),
    _page(
        "/audit/patients/{patient:path}", "AuditPatientPage", auditing.patient, Right.AUDIT, described.PATIENT
    ),
)
