"""/api/shares: links to studies for people without an account. /api/share-session: coming in by one.

The secret of a link is in the body of a request alone, never in what is logged or recorded; what looks at links by
itself, as mail scanners do, sends no such request, and uses none up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from archive.dicom.deidentifying.actions import Options
from archive.dicom.errors import NotFound
from archive.security.actor import Actor
from archive.security.roles import Right
from archive.security.shares import Share, Wanted
from archive.services.deidentifying import LeftOut
from archive.web.api import guard, json_body, listing, session
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked
from archive.web.http.urls import ROOT
from archive.web.viewer.policies import PATH as VIEWER
from archive.web.viewer.policies import public_path

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

LINK = "/share"
_MEMBERS = {
    "studies": list,
    "recipient": str,
    "purpose": str,
    "days": int,
    "passcode": str,
    "attempts": int,
    "uses": int,
    "download": bool,
    "deidentified": bool,
    "retained": list,
}
_DEFAULTS = Wanted((), "")
_DIGITS = 15


def search(archive: Archive, asked: Asked) -> Answer:
    """One's own; for administrators those of everybody. The newest first."""
    return json_body.answer([form(archive, one) for one in archive.shares.listed(maker(asked))])


def retrieve(archive: Archive, asked: Asked) -> Answer:
    """One. Raises NotFound."""
    return json_body.answer(form(archive, archive.shares.get(_number(asked), maker(asked))))


def make(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Make one: the answer has its link, this once. Raises RequestRefused, InvalidEntry, NotFound, NotAuthorized."""

    def act(value: Any) -> Answer:
        wanted = _wanted(json_body.members(value, _MEMBERS))
        left: list[LeftOut] = []
        name, seen = asked.principal.name, archive.retrieve
        secret, made = archive.shares.make(asked.actor, name, wanted, seen, left.append)
        link = f"{asked.base_url.removesuffix(ROOT)}{LINK}/{secret}"
        told = [_left_out(one) for one in left]
        return json_body.answer({**form(archive, made), "link": link, "left_out": told}, 201)

    return json_body.taker(asked, act)


def revoke(archive: Archive, asked: Asked) -> Answer:
    """Take one back. Raises NotFound."""
    archive.shares.revoke(asked.actor, _number(asked), maker(asked))
    return Answer(204)


def uses(archive: Archive, asked: Asked) -> Answer:
    """When one was used, and from where, the last first. Raises NotFound."""
    one = archive.shares.get(_number(asked), maker(asked))
    told = [
        {"at": listing.moment(used.time), "what": used.what.value, "address": used.address}
        for used in archive.shares.uses(one.id)
    ]
    return json_body.answer(told)


def enter(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Open a share: the answer sets the cookie of a session, and says where its pictures are. Raises RequestRefused,
    NotFound, Gone, NotSignedIn, OutOfResources."""
    guard.check_page(archive.settings.http, asked)
    session.check_private(asked, "a share")

    def act(value: Any) -> Answer:
        said = json_body.members(value, {"secret": str, "passcode": str})
        actor = Actor("HTTP", asked.peer_address)
        kept, one = archive.shares.open(said.get("secret", ""), said.get("passcode", ""), actor)
        uids = ",".join(quote(uid, safe="") for uid in one.shown)
        viewer = f"{public_path(asked)}{VIEWER}?StudyInstanceUIDs={uids}"
        cookie = ("Set-Cookie", session.share_cookie(asked, kept))
        return json_body.answer({"viewer": viewer, "recipient": one.recipient}, 200, cookie)

    return json_body.taker(asked, act)


def form(archive: Archive, one: Share) -> dict[str, Any]:
    """A share as JSON. Of a passcode it is only said that there is one."""
    return {
        "id": one.id,
        "state": archive.shares.state_of(one).value,
        "made_by": one.made_by,
        "recipient": one.recipient,
        "purpose": one.purpose,
        "studies": list(one.visible),
        "hidden": len(one.hidden),
        "created_at": listing.moment(one.created_at),
        "expires_at": listing.moment(one.expires_at),
        "revoked_at": listing.moment(one.revoked_at),
        "has_passcode": bool(one.passcode_hash),
        "failed_attempts": one.failed,
        "attempts": one.most_attempts,
        "times_used": one.uses,
        "uses": one.most_uses,
        "download": one.may_download,
        "deidentified": one.deidentified is not None,
        "retained": list(one.deidentified.options.names) if one.deidentified else [],
    }


def _left_out(one: LeftOut) -> dict[str, Any]:
    return {
        "series": one.SeriesInstanceUID,
        "modality": one.Modality,
        "objects": one.objects,
        "reason": one.reason,
    }


def maker(asked: Asked) -> str | None:
    """Whose shares this one may look at and take back: their own; None for those of everybody."""
    return None if asked.principal.may(Right.ADMINISTER) else asked.principal.name


def _wanted(said: dict[str, Any]) -> Wanted:
    studies = said.get("studies", [])
    if not all(isinstance(uid, str) for uid in studies):
        raise RequestRefused("the member studies has to be an array of Study Instance UIDs")
    return Wanted(
        tuple(studies),
        said.get("recipient", ""),
        said.get("purpose", ""),
        said.get("days", _DEFAULTS.days),
        said.get("passcode", ""),
        said.get("attempts", _DEFAULTS.most_attempts),
        said.get("uses", _DEFAULTS.most_uses),
        said.get("download", False),
        _options(said),
    )


def _options(said: dict[str, Any]) -> Options | None:
    retained = said.get("retained", [])
    if not all(isinstance(name, str) for name in retained):
        raise RequestRefused("the member retained has to be an array of names of options")
    if not said.get("deidentified", False):
        if retained:
            raise RequestRefused("the member retained goes with deidentified: true")
        return None
    return Options.named(retained)


def _number(asked: Asked) -> int:
    text = asked.path["share"]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFound("there is no such share")
    return int(text)
