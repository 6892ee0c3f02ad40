"""/api/session: signing in with name and password, who one is, and signing out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from archive.dicom.errors import NotSignedIn
from archive.security.actor import Actor
from archive.security.people import LONGEST_NAME, NOBODY, UNASKED, Principal
from archive.web import admission
from archive.web.api import guard, json_body
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.urls import is_loopback_base

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_OVER = "; Max-Age=0"
_NEEDED = {"name": str, "password": str}
_MEMBERS = {**_NEEDED, "code": str}


def enter(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Sign in. Raises RequestRefused, NotSignedIn, OutOfResources."""
    http = archive.settings.http
    guard.check_page(http, asked)
    check_private(asked)

    def act(value: Any) -> Answer:
        said = json_body.members(value, _MEMBERS)
        if not set(_NEEDED) <= set(said):
            raise RequestRefused("signing in takes name and password, and a code of who has a second factor")
        address = asked.peer_address
        label = asked.headers.get("user-agent", "")
        actor = Actor("HTTP", address, user=said["name"][:LONGEST_NAME])
        try:
            secret, principal = archive.sign_in.enter(
                said["name"], said["password"], address, label, said.get("code", "")
            )
        except NotSignedIn as refused:
            archive.auditing.signed_in(actor, failed=refused.reason)
            raise
        archive.auditing.signed_in(replace(actor, user=principal.name))
        cookies = [("Set-Cookie", cookie(asked, secret))]
        if admission.share_secret(asked):  # whoever signs in sees what they see, not what was shared
            cookies.append(("Set-Cookie", share_cookie(asked, "", _OVER)))
        return json_body.answer(_form(principal), 200, *cookies)

    return json_body.taker(asked, act)


def check_private(asked: Asked, what: str = "a password") -> None:
    """Raises RequestRefused (403) where somebody on the way could read it."""
    if not asked.base_url.startswith("https:") and not is_loopback_base(asked.base_url):
        raise RequestRefused(
            f"{what} is taken over https only; let the proxy set X-Forwarded-Proto, or set http.public_url",
            403,
        )


def who(archive: Archive, asked: Asked) -> Answer:
    """Who one is: without a name where nobody is asked to sign in. Raises NotSignedIn, OutOfResources."""
    if not admission.is_required(archive.settings):
        return json_body.answer(_form(admission.by_share(archive, asked) or UNASKED))
    principal = admission.who(archive, asked)
    return json_body.answer(_form(principal), 401 if principal is NOBODY else 200)


def leave(archive: Archive, asked: Asked) -> Answer:
    """Sign out; of a share first, if one is open. Raises RequestRefused, OutOfResources."""
    guard.check_page(archive.settings.http, asked)
    if (shared := admission.by_share(archive, asked)) is not None:
        archive.shares.leave(admission.share_secret(asked))
        archive.auditing.signed_out(replace(asked, principal=shared).actor)
        return Answer(204, headers=(("Set-Cookie", share_cookie(asked, "", _OVER)),))
    secret = admission.session_secret(asked)
    left = archive.sign_in.leave(secret) if secret else ""
    if left:
        archive.auditing.signed_out(replace(asked.actor, user=left))
    return Answer(204, headers=(("Set-Cookie", cookie(asked, "", _OVER)),))


def share_cookie(asked: Asked, secret: str, more: str = "") -> str:
    """As that of a session: no script reads it, and no other site has it sent."""
    if asked.base_url.startswith("https:"):
        return f"{admission.SECURE_SHARE_COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict{more}"
    return f"{admission.SHARE_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{more}"


def _form(principal: Principal) -> dict[str, Any]:
    rights = sorted(right.value for right in principal.rights)
    must = {"must_enrol": True} if principal.must_enrol else {}
    return {"name": principal.name, "rights": rights, **must}


def cookie(asked: Asked, secret: str, more: str = "") -> str:
    """That of a session. No script reads it, and no other site has it sent. It goes with the browser; the archive
    ends it earlier."""
    if asked.base_url.startswith("https:"):
        return f"{admission.SECURE_COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict{more}"
    return f"{admission.COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict{more}"
