"""/api/session/second-factor: one's own second factor, for who has signed in with a password in a browser."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import segno

from archive.security import second_factor
from archive.web import admission
from archive.web.api import account, json_body, session
from archive.web.http.errors import RequestRefused
from archive.web.http.exchange import Answer, Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

_PASSWORD = {"password": str}
_CODE = {"code": str}
_BOTH = {"password": str, "code": str}
_MODULE = 5
"""Pixels of a module of the picture, before a page makes it larger or smaller."""


def standing(archive: Archive, asked: Asked) -> Answer:
    """Whether one has one, and needs one. Raises NotFound, NotAuthorized."""
    found = archive.second_factors.standing(account.in_person(asked, enrolling=True))
    said = {"enabled": found.enabled, "required": found.required, "recovery_codes": found.left}
    return json_body.answer(said)


def begin(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """A secret for a device, given the password: in this answer, and nowhere else. Raises RequestRefused, InvalidEntry,
    NotSignedIn, NotAuthorized, OutOfResources."""
    name = account.in_person(asked, enrolling=True)
    session.check_private(asked)

    def act(value: Any) -> Answer:
        said = _all_of(value, _PASSWORD)
        archive.sign_in.check_password(name, said["password"], asked.peer_address)
        secret = archive.second_factors.begin(name)
        host = urlsplit(asked.base_url).hostname or "here"
        address = second_factor.address(secret, name, f"DICOM archive {host}")
        return json_body.answer({"secret": secret, "address": address, "picture": _picture(address)}, 201)

    return json_body.taker(asked, act)


def confirm(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Put it in effect by a code that the device shows: recovery codes, in this answer and nowhere else. Raises
    RequestRefused, InvalidEntry, NotAuthorized."""
    name = account.in_person(asked, enrolling=True)
    session.check_private(asked, "a code")

    def act(value: Any) -> Answer:
        code = _all_of(value, _CODE)["code"]
        kept = admission.session_secret(asked)
        made = archive.second_factors.confirm(name, code, kept, by=asked.actor)
        return json_body.answer({"recovery_codes": made})

    return json_body.taker(asked, act)


def remove(archive: Archive, asked: Asked) -> json_body.JSONBody:
    """Take it off, given password and a code. Raises RequestRefused, NotFound, NotSignedIn, NotAuthorized,
    OutOfResources."""
    name = account.in_person(asked)
    session.check_private(asked)

    def act(value: Any) -> Answer:
        said = _all_of(value, _BOTH)
        archive.sign_in.check_password(name, said["password"], asked.peer_address, said["code"])
        archive.second_factors.remove(name, by=asked.actor)
        return Answer(204)

    return json_body.taker(asked, act)


def _all_of(value: Any, members: Mapping[str, type]) -> dict[str, Any]:
    said = json_body.members(value, members)
    if set(said) != set(members):
        raise RequestRefused(f"this takes {' and '.join(members)}")
    return said


def _picture(address: str) -> str:
    """The QR code as SVG, dark on light whatever the page is, as cameras expect it."""
    written = io.BytesIO()
    segno.make_qr(address, error="l").save(
        written,
        kind="svg",
        scale=_MODULE,
        xmldecl=False,
        light="#fff",
        svgclass=None,
        lineclass=None,
        nl=False,
    )
    return written.getvalue().decode()
