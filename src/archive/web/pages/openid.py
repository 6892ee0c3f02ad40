"""Signing in at an OpenID Connect issuer, as a browser does it: there, and back.

The cookie that belongs to one sign-in is sent when the issuer leads back (SameSite=Lax); that of the session is not, as
the way began on another site (SameSite=Strict). So the answer is a page of ours that goes on by itself, and not a
redirect.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from archive.dicom.errors import ArchiveError, NotFound, NotSignedIn
from archive.security.actor import Actor
from archive.web import admission
from archive.web.api import session
from archive.web.http import errors, urls
from archive.web.http.exchange import Answer, Asked, text
from archive.web.viewer.policies import LIGHT, headers, public_path

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive
    from archive.services.openid import Entered

PATH = "/sign-in/openid"
RETURN = f"{PATH}/return"
COOKIE, SECURE_COOKIE = "archive-openid", "__Host-archive-openid"

_DOTS = re.compile(r"(^|/)\.\.?(/|$)")
_NO_STORE = ("Cache-Control", "no-store")


def begin(archive: Archive, asked: Asked) -> Answer:
    """Lead a browser to the issuer."""
    try:
        _check(archive, asked)
        there, flow = archive.openid.begin(_redirect(asked), _onward(asked, asked.parameter("next") or ""))
    except ArchiveError as error:
        return _failed(archive, asked, error)
    kept = ("Set-Cookie", _cookie(asked, flow.text, "; Max-Age=600"))
    return text(303, "go on at the issuer", ("Location", there), kept, _NO_STORE)


def end(archive: Archive, asked: Asked) -> Answer:
    """Take a browser back that the issuer has sent: with a session, or with what went wrong."""
    actor = Actor("HTTP", asked.peer_address)
    try:
        _check(archive, asked)
        entered = _entered(archive, asked)
    except NotSignedIn as error:
        archive.auditing.signed_in(actor, failed=error.reason)
        return _failed(archive, asked, error)
    except ArchiveError as error:
        return _failed(archive, asked, error)
    archive.auditing.signed_in(replace(actor, user=entered.principal.name))
    onward = _onward(asked, entered.onward) or f"{public_path(asked)}/"
    there = html.escape(f"{asked.base_url.removesuffix(urls.ROOT).removesuffix(public_path(asked))}{onward}")
    more = f'<meta http-equiv="refresh" content="0;url={there}">'
    said = f'<p><a class="button" href="{there}">Go on</a></p>'
    cookies = session.cookie(asked, entered.secret), _cookie(asked, "", "; Max-Age=0")
    return _page(archive, asked, 200, "Signed in", said, cookies, more)


def _check(archive: Archive, asked: Asked) -> None:
    if not archive.openid.is_on:
        raise NotFound("no issuer is set to sign in at")
    session.check_private(asked)


def _entered(archive: Archive, asked: Asked) -> Entered:
    said: Mapping[str, str] = {
        name: value for name in ("code", "state", "iss", "error") if (value := asked.parameter(name))
    }
    flow = admission.cookies(asked).get(_cookie_name(asked), "")
    return archive.openid.end(flow, said, _redirect(asked), asked.headers.get("user-agent", ""))


def _failed(archive: Archive, asked: Asked, error: ArchiveError) -> Answer:
    """A page that says why, and leads to another try."""
    again = html.escape(f"{public_path(asked)}/sign-in?next={quote(_asked_onward(asked), safe='')}")
    said = (
        f'<p role="alert">{html.escape(error.reason)}</p><p><a class="button" href="{again}">Sign in</a></p>'
    )
    status = errors.status_of(error)
    return _page(archive, asked, status, "Not signed in", said, (_cookie(asked, "", "; Max-Age=0"),))


def _asked_onward(asked: Asked) -> str:
    try:
        return _onward(asked, asked.parameter("next") or "")
    except ArchiveError:
        return ""


def _page(
    archive: Archive,
    asked: Asked,
    status: int,
    title: str,
    said: str,
    cookies: tuple[str, ...],
    more: str = "",
) -> Answer:
    base = html.escape(public_path(asked))
    body = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
{more}
<link rel="icon" href="{base}/viewer/light/icon.svg">
<link rel="stylesheet" href="{base}/sign-in/sign-in.css">
</head>
<body>
<main>
<h1>{title}</h1>
{said}
</main>
</body>
</html>
"""
    fields = [*headers(LIGHT, archive.settings.http), _NO_STORE]
    fields += [("Set-Cookie", one) for one in cookies]
    fields += [("WWW-Authenticate", errors.CHALLENGE)] if status == 401 else []
    fields += [("Retry-After", str(errors.RETRY_AFTER_SECONDS))] if status == 503 else []
    return Answer(status, "text/html; charset=utf-8", body.encode(), tuple(fields))


def _redirect(asked: Asked) -> str:
    """Where the issuer leads back to, as it has to know it."""
    return f"{asked.base_url.removesuffix(urls.ROOT)}{RETURN}"


def _onward(asked: Asked, wanted: str) -> str:
    """A path of this archive, as it was; empty for anything else. Nothing in it leads out of it: no dots, no backslash,
    nothing that browsers leave out. It is put behind our own origin, so slashes at its beginning name no host."""
    plain = wanted.isascii() and all("!" <= character <= "~" for character in wanted) and "\\" not in wanted
    path = unquote(wanted.partition("?")[0].partition("#")[0])
    ours = wanted.startswith(f"{public_path(asked)}/")
    return wanted if plain and ours and "\\" not in path and not _DOTS.search(path) else ""


def _cookie_name(asked: Asked) -> str:
    """Over https the one that no other host of the same site can set, and no other."""
    return SECURE_COOKIE if asked.base_url.startswith("https:") else COOKIE


def _cookie(asked: Asked, value: str, more: str) -> str:
    name = _cookie_name(asked)
    secure = " Secure;" if name == SECURE_COOKIE else ""
    return f"{name}={value}; Path=/;{secure} HttpOnly; SameSite=Lax{more}"
