"""/api/tokens and /api/session/password: one's own account, for everybody who has signed in.

A token cannot make tokens or end sessions: who has found one that may do little must not come by more with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archive.dicom.errors import MustEnrol, NotAuthorized, NotFound
from archive.security.people import check_password
from archive.web.admission import ENROL
from archive.web.api import json_body, people, session
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_TOKEN = {"label": str, "days": int, "roles": list, "see": list}
_PASSWORDS = {"old": str, "new": str}
DEFAULT_DAYS = 90


def search(archive: Archive, asked: Asked) -> Answer:
    """One's own tokens and sessions. Raises NotFound where nobody signs in."""
    name = _whose(asked)
    return json_body.answer([people.credential_form(one) for one in archive.people.credentials(name)])


def issue(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """A new token of one's own: its secret is in this answer, and nowhere else. Raises RequestRefused, InvalidEntry,
    NotAuthorized, NotFound."""
    name = in_person(asked)

    def act(value: Any) -> Answer:
        said = json_body.members(value, _TOKEN)
        if not said.get("label", "").strip():
            raise RequestRefused("a token needs a label: what it is for")
        roles = people.roles_of(said.get("roles", []))
        days = said.get("days", DEFAULT_DAYS)
        see = people.seen(said.get("see", []))
        secret, made = archive.people.issue(name, said["label"], days, roles, see, by=asked.actor)
        form = people.credential_form(made)
        del form["id"]  # it has none before it is kept
        return json_body.answer({**form, "secret": secret}, 201)

    return json_body.taker(asked, act)


def revoke(archive: Archive, asked: Asked) -> Answer:
    """End a token or a session of one's own. Raises NotAuthorized, NotFound."""
    name = in_person(asked)
    archive.people.revoke(people.number(asked), name=name, by=asked.actor)
    return Answer(204)


def set_password(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Change one's own password, given the one that it was: every session ends, this one too. Raises RequestRefused,
    InvalidEntry, NotSignedIn, NotAuthorized, OutOfResources."""
    name = in_person(asked)
    session.check_private(asked)

    def act(value: Any) -> Answer:
        said = json_body.members(value, _PASSWORDS)
        if set(said) != set(_PASSWORDS):
            raise RequestRefused("another password takes old and new")
        check_password(said["new"])
        archive.sign_in.check_password(name, said["old"], asked.peer_address)
        archive.people.set_password(name, said["new"], by=asked.actor)
        return Answer(204)

    return json_body.taker(asked, act)


def _whose(asked: Asked, *, enrolling: bool = False) -> str:
    if not asked.principal.name:
        raise NotFound("nobody signs in here, so nobody has an account: see sign_in.required")
    if asked.principal.must_enrol and not enrolling:
        raise MustEnrol(ENROL)
    return asked.principal.name


def in_person(asked: Asked, *, enrolling: bool = False) -> str:
    """Who has signed in in a browser; `enrolling`: also who may do nothing else before they have a second factor.
    Raises NotAuthorized, NotFound."""
    name = _whose(asked, enrolling=enrolling)
    if not asked.principal.by_cookie:
        raise NotAuthorized("this is for who signs in with a password at /api/session, not for tokens")
    return name
