"""The rows of the route table that are our own API, below /api."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from archive.security.roles import Right
from archive.web.api import (
    ae_titles,
    commitments,
    conflicts,
    corrections,
    deletions,
    holds,
    refusals,
    rejections,
    session,
    shares,
    worklist,
)
from archive.web.api.admin_table import ADMIN
from archive.web.api.guard import for_sharing, guarded
from archive.web.description import (
    api_ae_titles,
    api_commitments,
    api_conflicts,
    api_corrections,
    api_deletions,
    api_rejections,
    api_session,
    api_shares,
    api_worklist,
)
from archive.web.description.route import About, Route

ENTRY = "/worklist/{entry}"
CORRECTION = "/corrections/{correction}"
REJECTION = "/rejections/{rejection}"
REPORTED = "/commitments/{transaction}"
AE_TITLE = "/ae-titles/{title:path}"
"""An AE title may hold a slash."""

Handler = Callable[[Any, Any], Any]


def _api(
    right: Right,
    method: str,
    path: str,
    name: str,
    handler: Handler,
    described: About,
    *,
    takes_body: bool = False,
) -> Route:
    """A resource of our own API, below /api; a path of it may have several methods."""
    return Route(method, f"/api{path}", name, "", guarded(handler), takes_body, about=described, right=right)


def _share(
    method: str, path: str, name: str, handler: Handler, described: About, *, takes_body: bool = False
) -> Route:
    """For people who share: no administrators, so `http.administration` is not about them."""
    return Route(
        method,
        f"/api/shares{path}",
        name,
        "",
        for_sharing(handler),
        takes_body,
        about=described,
        right=Right.SHARE,
    )


DELETION = "/deletions/{deletion}"
_delete, _hold = partial(_api, Right.DELETE), partial(_api, Right.HOLD)
_administer, _correct = partial(_api, Right.ADMINISTER), partial(_api, Right.CORRECT)


def _session(
    method: str, name: str, handler: Handler, described: About, *, takes_body: bool = False
) -> Route:
    """For everybody: nobody has signed in before they have."""
    return Route(method, "/api/session", name, "", handler, takes_body, about=described, right=None)


API: tuple[Route, ...] = (
    _administer("GET", "/ae-titles", "SearchAETitles", ae_titles.search, api_ae_titles.SEARCH),
    _administer("POST", f"{AE_TITLE}/echo", "EchoAETitle", ae_titles.echo, api_ae_titles.ECHO),
    _administer("GET", AE_TITLE, "RetrieveAETitle", ae_titles.retrieve, api_ae_titles.RETRIEVE),
    _administer("PUT", AE_TITLE, "PutAETitle", ae_titles.put, api_ae_titles.PUT, takes_body=True),
    _administer("PATCH", AE_TITLE, "ChangeAETitle", ae_titles.change, api_ae_titles.CHANGE, takes_body=True),
    _administer("DELETE", AE_TITLE, "RemoveAETitle", ae_titles.remove, api_ae_titles.REMOVE),
    _administer("GET", "/refusals", "SearchRefusals", refusals.search, api_ae_titles.REFUSALS),
    _administer("GET", "/commitments", "SearchCommitments", commitments.search, api_commitments.SEARCH),
    _administer("GET", REPORTED, "RetrieveCommitment", commitments.retrieve, api_commitments.RETRIEVE),
    _administer("POST", f"{REPORTED}/report", "ReportCommitment", commitments.again, api_commitments.AGAIN),
    _administer(
        "GET",
        "/notifications",
        "SearchNotifications",
        commitments.notifications,
        api_commitments.NOTIFICATIONS,
    ),
    _administer(
        "POST",
        "/notifications/{notification}/report",
        "ReportAvailability",
        commitments.notify_again,
        api_commitments.NOTIFY_AGAIN,
    ),
    _correct("GET", "/conflicts", "SearchConflicts", conflicts.search, api_conflicts.SEARCH),
    _correct(
        "POST",
        "/conflicts/decisions",
        "DecideConflicts",
        conflicts.decide,
        api_conflicts.DECIDE,
        takes_body=True,
    ),
    _correct("GET", "/conflicts/{conflict}", "RetrieveConflict", conflicts.one, api_conflicts.RETRIEVE),
    _correct(
        "GET",
        "/conflicts/{conflict}/differences",
        "RetrieveConflictDifferences",
        conflicts.differences,
        api_conflicts.DIFFERENCES,
    ),
    _correct("GET", "/conflicts/{conflict}/copy", "RetrieveConflictCopy", conflicts.copy, api_conflicts.COPY),
    _correct("GET", "/patients", "SearchPatients", corrections.patients, api_corrections.PATIENTS),
    _correct("GET", "/corrections", "SearchCorrections", corrections.search, api_corrections.SEARCH),
    _correct(
        "POST", "/corrections", "MakeCorrection", corrections.make, api_corrections.MAKE, takes_body=True
    ),
    _correct("GET", CORRECTION, "RetrieveCorrection", corrections.one, api_corrections.RETRIEVE),
    _correct(
        "POST",
        f"{CORRECTION}/undo",
        "UndoCorrection",
        corrections.undo,
        api_corrections.UNDO,
        takes_body=True,
    ),
    _correct("POST", f"{CORRECTION}/retry", "RetryCorrection", corrections.retry, api_corrections.RETRY),
    _correct("GET", "/rejections", "SearchRejections", rejections.search, api_rejections.SEARCH),
    _correct("GET", REJECTION, "RetrieveRejection", rejections.one, api_rejections.RETRIEVE),
    _correct("GET", f"{REJECTION}/note", "RetrieveRejectionNote", rejections.note, api_rejections.NOTE),
    _correct(
        "GET",
        f"{REJECTION}/instances/{{instance}}",
        "RetrieveRejectedInstance",
        rejections.instance,
        api_rejections.INSTANCE,
    ),
    _correct(
        "POST",
        f"{REJECTION}/decision",
        "DecideRejection",
        rejections.decide,
        api_rejections.DECIDE,
        takes_body=True,
    ),
    _correct("GET", "/worklist", "SearchWorklist", worklist.search, api_worklist.SEARCH),
    _correct("POST", "/worklist", "AddToWorklist", worklist.add, api_worklist.ADD, takes_body=True),
    _correct("GET", ENTRY, "RetrieveWorklistEntry", worklist.one, api_worklist.RETRIEVE),
    _correct("PUT", ENTRY, "ReplaceWorklistEntry", worklist.replace, api_worklist.REPLACE, takes_body=True),
    _correct("DELETE", ENTRY, "RemoveWorklistEntry", worklist.remove, api_worklist.REMOVE),
    _correct("PUT", f"{ENTRY}/state", "PlanWorklistEntry", worklist.plan, api_worklist.PLAN, takes_body=True),
    _correct("GET", "/performed-steps", "SearchPerformedSteps", worklist.steps, api_worklist.STEPS),
    _correct("GET", "/performed-steps/{step}", "RetrievePerformedStep", worklist.step, api_worklist.STEP),
    *ADMIN,
    _share("GET", "", "SearchShares", shares.search, api_shares.SEARCH),
    _share("POST", "", "MakeShare", shares.make, api_shares.MAKE, takes_body=True),
    _share("GET", "/{share}", "RetrieveShare", shares.retrieve, api_shares.RETRIEVE),
    _share("DELETE", "/{share}", "RevokeShare", shares.revoke, api_shares.REVOKE),
    _share("GET", "/{share}/uses", "SearchShareUses", shares.uses, api_shares.USES),
    Route(
        "POST",
        "/api/share-session",
        "OpenShare",
        "",
        shares.enter,
        takes_body=True,
        about=api_shares.ENTER,
        right=None,
    ),
    _delete("GET", "/deletions", "SearchDeletions", deletions.search, api_deletions.SEARCH),
    _delete("POST", "/deletions", "AskForDeletion", deletions.ask, api_deletions.ASK, takes_body=True),
    _delete("GET", DELETION, "RetrieveDeletion", deletions.one, api_deletions.RETRIEVE),
    _delete(
        "POST",
        f"{DELETION}/decision",
        "DecideDeletion",
        deletions.decide,
        api_deletions.DECIDE,
        takes_body=True,
    ),
    _delete(
        "GET",
        f"{DELETION}/certificate",
        "RetrieveDeletionCertificate",
        deletions.certificate,
        api_deletions.CERTIFICATE,
    ),
    _delete("GET", "/retention/due", "SearchDueStudies", deletions.due, api_deletions.DUE),
    _hold("GET", "/holds", "SearchHolds", holds.search, api_deletions.HOLDS),
    _hold("POST", "/holds", "PlaceHold", holds.place, api_deletions.PLACE, takes_body=True),
    _hold("POST", "/holds/{hold}/lift", "LiftHold", holds.lift, api_deletions.LIFT, takes_body=True),
    _session("POST", "SignIn", session.enter, api_session.ENTER, takes_body=True),
    _session("GET", "WhoAmI", session.who, api_session.WHO),
    _session("DELETE", "SignOut", session.leave, api_session.LEAVE),
)
