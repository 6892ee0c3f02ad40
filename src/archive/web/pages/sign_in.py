"""The page to sign in at, and the way there for who has to and has not."""

from __future__ import annotations

import html
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from archive.dicom.errors import NotSignedIn
from archive.security.people import NOBODY
from archive.web import admission
from archive.web.http.exchange import Answer, Asked, text
from archive.web.static import Static
from archive.web.viewer.policies import public_path

if TYPE_CHECKING:
    from archive.bootstrap.building import Archive

PATH = "/sign-in"

_STATIC = Static(__package__)


def page(archive: Archive, asked: Asked) -> Answer:
    """The page. Raises InvalidQuery."""
    return _STATIC.page("sign-in.html", archive.settings.http, asked, openid=_at_issuer(archive, asked))


def file(archive: Archive, asked: Asked) -> Answer:
    """Its script or style sheet. Raises NotFound."""
    return _STATIC.file(asked.path["file"], archive.settings.http)


def _at_issuer(archive: Archive, asked: Asked) -> str:
    """The way to the issuer, where there is one."""
    if not archive.openid.is_on:
        return ""
    there = f"{public_path(asked)}{PATH}/openid?next={quote(asked.parameter('next') or '', safe='')}"
    label = html.escape(archive.settings.openid.label)
    return f'<a id="openid" class="button" href="{html.escape(there)}">{label}</a>'


def first(archive: Archive, asked: Asked, path: str) -> Answer | None:
    """The way to the page for who has to sign in before they see what is at this path of ours; None for others. Raises
    OutOfResources."""
    if not admission.is_required(archive.settings):
        return None
    with suppress(NotSignedIn):
        if admission.who(archive, asked) is not NOBODY:
            return None
    base = public_path(asked)
    onward = f"{base}{path}{'?' if asked.query_string else ''}{asked.query_string}"
    there = f"{base}{PATH}?next={quote(onward, safe='')}"
    return text(303, "sign in first", ("Location", there), ("Cache-Control", "no-store"))
