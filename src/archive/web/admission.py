"""Whose request this is, and whether they may make it: asked once for each request, before its handler.

A program brings a token, one of ours or of the issuer (OpenID Connect), as Bearer (RFC 6750); ours also in place of a
password (Basic, RFC 7617), as many DICOMweb clients know nothing else. A browser brings the cookie of its session,
whatever page asks: so what changes something is refused to pages of other origins (`api.guard`).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING

from archive.dicom.errors import MustEnrol, NotAuthorized, NotSignedIn
from archive.security.people import NOBODY, TOKEN_PREFIX, UNASKED, Kind, Principal
from archive.security.roles import Right
from archive.services import shares
from archive.web.api import guard
from archive.web.http.exchange import Asked

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive
    from archive.settings.doors import Http
    from archive.settings.whole import Settings

COOKIE, SECURE_COOKIE = "archive-session", "__Host-archive-session"
"""The second is taken by browsers over TLS alone, and from no other host of the same site (RFC 6265bis 4.1.3.2)."""

SHARE_COOKIE, SECURE_SHARE_COOKIE = "archive-share", "__Host-archive-share"
"""Of who came by a share."""

ENROL = (
    "a second factor is needed here (sign_in.second_factor): set one up first, at /account or with POST "
    "/api/session/second-factor"
)
"""What who must is told wherever they ask for anything else."""
_HOW = "sign in at /api/session, or send a token: Authorization: Bearer …"


def is_required(settings: Settings) -> bool:
    """Whether anybody has to sign in."""
    required = settings.sign_in.required
    return required == "always" or (required == "auto" and not is_private(settings.http))


def is_private(http: Http) -> bool:
    """Whether only this machine can reach the archive over HTTP, as far as we know."""
    return http.listen.is_loopback and not http.public_url and not http.behind_proxy


def admitted(archive: Archive, asked: Asked, right: Right | None) -> Asked:
    """The request with who makes it. Raises NotSignedIn, NotAuthorized, RequestRefused, OutOfResources."""
    if right is None:
        return asked
    principal = who(archive, asked) if is_required(archive.settings) else by_share(archive, asked) or UNASKED
    if principal is NOBODY:
        raise NotSignedIn(_HOW)
    if principal.by_cookie:
        guard.check_page(archive.settings.http, asked)
    if not principal.may(right):
        if principal.must_enrol and principal.may(Right.ACCOUNT):
            raise MustEnrol(ENROL)
        raise NotAuthorized(
            f"{principal.name} has no right to {right.value} here; an administrator gives roles with `archive user set`"
        )
    return replace(asked, principal=principal)


def who(archive: Archive, asked: Asked) -> Principal:
    """Who asks, as far as the request proves it; NOBODY where it brings nothing. Raises NotSignedIn for what is wrong,
    OutOfResources."""
    scheme, _, value = asked.headers.get("authorization", "").strip().partition(" ")
    if scheme:
        token, name = _token(scheme.lower(), value.strip())
        if name is None and archive.openid.is_on and not token.startswith(TOKEN_PREFIX):
            return archive.openid.principal(token)
        return archive.sign_in.principal(token, Kind.TOKEN, name)
    if (shared := by_share(archive, asked)) is not None:
        return shared
    secret = session_secret(asked)
    if not secret and share_secret(asked):
        raise NotSignedIn(shares.OVER)
    return archive.sign_in.principal(secret, Kind.SESSION) if secret else NOBODY


def by_share(archive: Archive, asked: Asked) -> Principal | None:
    """Who came by a share, and sees no more than that, also where they have signed in besides; None for others, and
    where the share has ended. Raises OutOfResources."""
    secret = share_secret(asked)
    if not secret or "authorization" in asked.headers:
        return None
    try:
        return archive.shares.principal(secret)
    except NotSignedIn:
        return None


def share_secret(asked: Asked) -> str:
    """That of the cookie of who came by a share; empty without one."""
    return cookies(asked).get(SECURE_SHARE_COOKIE if _is_secure(asked) else SHARE_COOKIE, "")


def session_secret(asked: Asked) -> str:
    """That of the cookie; empty without one."""
    return cookies(asked).get(SECURE_COOKIE if _is_secure(asked) else COOKIE, "")


def _is_secure(asked: Asked) -> bool:
    """Whether browsers reach us over TLS: there the other name is believed from nobody, as another host of the same
    site can set it."""
    return asked.base_url.startswith("https:")


def cookies(asked: Asked) -> dict[str, str]:
    """Those that the request brings."""
    # A cookie comes once, but HTTP/2 to a proxy may divide the field, which joins it with a comma here.
    pairs = asked.headers.get("cookie", "").replace(",", ";").split(";")
    return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}


def _token(scheme: str, value: str) -> tuple[str, str | None]:
    """A token, and the name that comes with it."""
    if scheme == "bearer":
        return value, None
    if scheme != "basic":
        raise NotSignedIn(_HOW)
    try:
        name, colon, token = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise NotSignedIn(_HOW) from None
    if not colon:
        raise NotSignedIn(_HOW)
    return token, name
