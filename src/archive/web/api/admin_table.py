"""The rows of the route table for people and their accounts, the audit trail, and what the archive is doing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archive.security.roles import Right
from archive.web.api import account, audit, people, second_factor, status, throughput
from archive.web.api.guard import guarded
from archive.web.description import api_audit, api_people, api_second_factor, api_status, api_throughput
from archive.web.description.route import About, Route

PERSON = "/people/{person}"
OWN = "/session/second-factor"

Handler = Callable[[Any, Any], Any]


def _row(
    right: Right,
    method: str,
    path: str,
    name: str,
    handler: Handler,
    described: About,
    *,
    takes_body: bool = False,
) -> Route:
    """One's own account is no administration: `http.administration` has no say in it."""
    handler = handler if right is Right.ACCOUNT else guarded(handler)
    return Route(method, f"/api{path}", name, "", handler, takes_body, about=described, right=right)


ADMIN: tuple[Route, ...] = (
    _row(Right.ADMINISTER, "GET", "/people", "SearchPeople", people.search, api_people.SEARCH),
    _row(Right.ADMINISTER, "POST", "/people", "AddPerson", people.add, api_people.ADD, takes_body=True),
    _row(
        Right.ADMINISTER,
        "GET",
        f"{PERSON}/credentials",
        "SearchCredentials",
        people.credentials,
        api_people.CREDENTIALS,
    ),
    _row(Right.ADMINISTER, "GET", PERSON, "RetrievePerson", people.retrieve, api_people.RETRIEVE),
    _row(
        Right.ADMINISTER, "PATCH", PERSON, "ChangePerson", people.change, api_people.CHANGE, takes_body=True
    ),
    _row(Right.ADMINISTER, "DELETE", PERSON, "RemovePerson", people.remove, api_people.REMOVE),
    _row(
        Right.ADMINISTER,
        "DELETE",
        "/credentials/{credential}",
        "RevokeCredential",
        people.revoke,
        api_people.REVOKE,
    ),
    _row(
        Right.ADMINISTER,
        "DELETE",
        f"{PERSON}/second-factor",
        "ResetSecondFactor",
        people.reset_second_factor,
        api_second_factor.RESET,
    ),
    _row(Right.ACCOUNT, "GET", OWN, "OwnSecondFactor", second_factor.standing, api_second_factor.STANDING),
    _row(
        Right.ACCOUNT,
        "POST",
        OWN,
        "BeginSecondFactor",
        second_factor.begin,
        api_second_factor.BEGIN,
        takes_body=True,
    ),
    _row(
        Right.ACCOUNT,
        "POST",
        f"{OWN}/confirmation",
        "ConfirmSecondFactor",
        second_factor.confirm,
        api_second_factor.CONFIRM,
        takes_body=True,
    ),
    _row(
        Right.ACCOUNT,
        "POST",
        f"{OWN}/removal",
        "RemoveSecondFactor",
        second_factor.remove,
        api_second_factor.REMOVE,
        takes_body=True,
    ),
    _row(Right.ACCOUNT, "GET", "/tokens", "SearchOwnTokens", account.search, api_people.OWN),
    _row(Right.ACCOUNT, "POST", "/tokens", "MakeOwnToken", account.issue, api_people.ISSUE, takes_body=True),
    _row(Right.ACCOUNT, "DELETE", "/tokens/{credential}", "RevokeOwnToken", account.revoke, api_people.END),
    _row(
        Right.ACCOUNT,
        "POST",
        "/session/password",
        "ChangeOwnPassword",
        account.set_password,
        api_people.SET_PASSWORD,
        takes_body=True,
    ),
    _row(Right.OBSERVE, "GET", "/status", "Status", status.status, api_status.STATUS),
    _row(Right.OBSERVE, "GET", "/throughput", "Throughput", throughput.throughput, api_throughput.THROUGHPUT),
    _row(Right.AUDIT, "GET", "/audit", "SearchAuditTrail", audit.search, api_audit.SEARCH),
    _row(
        Right.AUDIT,
        "GET",
        "/audit/patients/{patient:path}",
        "ReportPatient",
        audit.patient,
        api_audit.PATIENT,
    ),
    _row(
        Right.AUDIT, "GET", "/audit/verification", "VerifyAudit", audit.verification, api_audit.VERIFICATION
    ),
)
